use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, One, Pinset, Stopwatch, Subject as _,
    installed::{alone, installed},
    subject::NAME,
    until_gone, with_namespace,
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, label};

use crate::{OTHERS, cluster, count, identities, made, of_size, own_images, with_ipfs};

const PEERS: u32 = 2;

fn deleted_with_all(mut spec: Value) -> Value {
    spec["deletionPolicy"] = json!("Delete");
    spec
}

async fn delete(ipfs: &One<'_, IpfsCluster>) -> Result<()> {
    ipfs.objects().delete(NAME, &DeleteParams::default()).await?;
    Ok(())
}

/// Waits until the object and its pods have gone.
async fn nothing_runs(ipfs: &One<'_, IpfsCluster>) -> Result<()> {
    until_gone(&ipfs.objects(), NAME).await?;
    until_gone(&ipfs.api::<StatefulSet>(), &IpfsCluster::set()).await?;
    for ordinal in 0..PEERS {
        until_gone(&ipfs.api::<Pod>(), &IpfsCluster::pod(ordinal)).await?;
    }
    Ok(())
}

/// Waits until none of the controller's objects of a kind is left but those of which `stays` holds.
async fn nothing_is_left<K>(ipfs: &One<'_, IpfsCluster>) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned + Send + 'static,
{
    let ours = ListParams::default().labels(&format!("{}={}", label::MANAGED_BY, label::STACK));
    for object in ipfs.api::<K>().list(&ours).await? {
        until_gone(&ipfs.api::<K>(), &object.name_any()).await?;
    }
    Ok(())
}

async fn all_is_gone(ipfs: &One<'_, IpfsCluster>) -> Result<()> {
    nothing_is_left::<Secret>(ipfs).await?;
    nothing_is_left::<Service>(ipfs).await?;
    nothing_is_left::<ConfigMap>(ipfs).await?;
    nothing_is_left::<NetworkPolicy>(ipfs).await?;
    nothing_is_left::<PodDisruptionBudget>(ipfs).await?;
    nothing_is_left::<PersistentVolumeClaim>(ipfs).await
}

/// Names of the data: the volumes, and the Secrets without which they cannot be used.
async fn data(ipfs: &One<'_, IpfsCluster>) -> Result<Vec<(String, Option<String>)>> {
    let data = ListParams::default().labels(&format!("{}=true", label::DATA));
    let secrets = ipfs.api::<Secret>().list(&data).await?;
    let claims = ipfs.api::<PersistentVolumeClaim>().list(&data).await?;
    let secrets = secrets.iter().map(|secret| (secret.name_any(), secret.uid()));
    Ok(secrets.chain(claims.iter().map(|claim| (claim.name_any(), claim.uid()))).collect())
}

#[tokio::test]
async fn an_object_of_the_same_name_has_the_peers_and_pins_of_the_one_that_was_deleted() {
    with_ipfs(async |ipfs| {
        let spec = of_size(PEERS, &json!({}));
        let mut watch = made(ipfs, &spec).await?;
        let peers = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&peers, count(30, 300), (1, 2)).await?;
        pins.grow(&peers, count(10, 100), (-1, -1)).await?;
        pins.heals(&peers).await?;
        let (ids, before) = (identities(ipfs, PEERS).await?, data(ipfs).await?);
        ensure!(before.len() == 5, "a shared secret, and an identity and a volume for each peer: {before:?}");

        delete(ipfs).await?;
        nothing_runs(ipfs).await?;
        watch.step("nothing runs after");
        until_gone(&ipfs.api::<Secret>(), &IpfsCluster::binding()).await?;
        ensure!(data(ipfs).await? == before, "the data are others: {:?}", data(ipfs).await?);

        ipfs.create(&spec).await?;
        ipfs.ready().await?;
        watch.step("made again; Ready after");
        ensure!(identities(ipfs, PEERS).await? == ids, "the peers are other ones");
        ensure!(data(ipfs).await? == before, "the data are others");
        pins.heals(&ipfs.peers(PEERS).await?).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn with_deletion_policy_delete_nothing_is_left_of_an_object_that_was_deleted() {
    with_ipfs(async |ipfs| {
        let exposed = json!({"gateway": {}, "swarm": {}, "proxy": true});
        let mut watch = made(ipfs, &deleted_with_all(of_size(PEERS, &exposed))).await?;
        let names = data(ipfs).await?;
        ensure!(names.len() == 5, "a shared secret, and an identity and a volume for each peer: {names:?}");
        delete(ipfs).await?;
        nothing_runs(ipfs).await?;
        watch.step("nothing runs after");
        all_is_gone(ipfs).await?;
        watch.step("and all is gone after");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_namespace_with_peers_goes_when_it_is_deleted() {
    with_ipfs(async |ipfs| {
        let mut watch = made(ipfs, &of_size(PEERS, &json!({}))).await?;
        let peers = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&peers, 10, (-1, -1)).await?;
        pins.heals(&peers).await?;
        ipfs.delete().await?;
        nothing_runs(ipfs).await?;
        watch.step("the namespace was deleted; nothing runs after");
        until_gone(&Api::<Namespace>::all(ipfs.client.clone()), &ipfs.name).await?;
        watch.step("and all has gone after");
        Ok(())
    })
    .await;
}

/// The object is deleted while there is no controller.
async fn goes_by_itself(ipfs: &One<'_, IpfsCluster>, watch: &mut Stopwatch) -> Result<()> {
    delete(ipfs).await?;
    nothing_runs(ipfs).await?;
    all_is_gone(ipfs).await?;
    watch.step("the object was deleted without a controller; all is gone after");
    Ok(())
}

#[tokio::test]
async fn without_a_controller_nothing_is_left_as_well_when_the_object_is_deleted() {
    with_namespace(&cluster(), async |space| {
        let ipfs = space.one::<IpfsCluster>();
        let own = if own_images().is_some() { Some(Controller::start::<IpfsCluster>(space).await?) } else { None };
        let mut watch = made(&ipfs, &deleted_with_all(of_size(PEERS, &json!({})))).await?;
        if let Some(own) = own {
            drop(own);
            return goes_by_itself(&ipfs, &mut watch).await;
        }
        let _others = alone(&OTHERS).await;
        watch.step("no other test ran after");
        installed::<IpfsCluster>(&ipfs, 0).await?;
        let result = goes_by_itself(&ipfs, &mut watch).await;
        installed::<IpfsCluster>(&ipfs, 1).await?;
        result.context("without a controller")
    })
    .await;
}

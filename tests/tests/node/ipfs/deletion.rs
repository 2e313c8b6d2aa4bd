use anyhow::{Context as _, Result, ensure};
use e2e::{Controller, One, Pinset, Stopwatch, Subject as _, installed::installed, subject::NAME, until_gone};
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

use crate::{
    in_namespace,
    ipfs::{count, identities, made, of_size, own_images, peers, with_ipfs},
};

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
async fn retained_pins_return_and_policy_delete_removes_all() {
    with_ipfs(peers(PEERS), async |ipfs| {
        let exposed = json!({"gateway": {}, "swarm": {}, "proxy": true});
        let spec = of_size(PEERS, &exposed);
        let mut watch = made(ipfs, &spec).await?;
        let all = ipfs.peers(PEERS).await?;
        let mut pins = Pinset::default();
        pins.grow(&all, count(30, 300), (1, 2)).await?;
        pins.grow(&all, count(10, 100), (-1, -1)).await?;
        pins.heals(&all).await?;
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

        ipfs.patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
        ipfs.ready().await?;
        watch.step("policy Delete, and Ready after");
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

/// Pins everywhere, deletes the namespace, and waits until all has gone.
pub(crate) async fn namespace_goes(ipfs: &One<'_, IpfsCluster>, watch: &mut Stopwatch) -> Result<()> {
    let peers = ipfs.peers(PEERS).await?;
    let mut pins = Pinset::beside_others(&peers[0]).await?;
    pins.grow(&peers, 10, (-1, -1)).await?;
    pins.heals(&peers).await?;
    ipfs.delete().await?;
    nothing_runs(ipfs).await?;
    watch.step("the namespace was deleted; nothing runs after");
    until_gone(&Api::<Namespace>::all(ipfs.client.clone()), &ipfs.name).await?;
    watch.step("and all has gone after");
    Ok(())
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
async fn deletion_without_a_controller_leaves_nothing() {
    in_namespace(peers(PEERS).ending::<IpfsCluster>(), async |space| {
        let ipfs = space.one::<IpfsCluster>();
        let own = if own_images().is_some() { Some(Controller::start::<IpfsCluster>(space).await?) } else { None };
        let mut watch = made(&ipfs, &deleted_with_all(of_size(PEERS, &json!({})))).await?;
        if let Some(own) = own {
            drop(own);
            return goes_by_itself(&ipfs, &mut watch).await;
        }
        installed::<IpfsCluster>(&ipfs, 0).await?;
        let result = goes_by_itself(&ipfs, &mut watch).await;
        installed::<IpfsCluster>(&ipfs, 1).await?;
        result.context("without a controller")
    })
    .await;
}

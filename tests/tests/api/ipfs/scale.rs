//! More peers, and fewer, as far as it can be seen without any.

use anyhow::{Context as _, Result, ensure};
use e2e::{Controller, Subject as _, subject::NAME, until};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        autoscaling::v1::Scale,
        core::v1::{PersistentVolumeClaim, Pod},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use serde_json::{Value, json};
use temporal_stack_common::api::IpfsCluster;

use super::{Ipfs, ensure_undisturbed, made, scale, secrets, set, template, with_controller};
use crate::{
    step::{complete, quiet},
    volume::bind,
};

/// Whether clients are sent to a pod.
const SERVES: &str = "temporal-stack.dev/serves";

async fn replicas(space: &Ipfs<'_>) -> Result<Option<i32>> {
    Ok(set(space).await?.spec.and_then(|spec| spec.replicas))
}

/// What the subresource says: wanted, there, and the labels of the pods.
async fn read(space: &Ipfs<'_>) -> Result<(i32, i32, String)> {
    let value: Value = serde_json::to_value(space.objects().get_scale(NAME).await?)?;
    let scale: Scale = serde_json::from_value(value)?;
    let wanted = scale.spec.and_then(|spec| spec.replicas).unwrap_or_default();
    let status = scale.status.unwrap_or_default();
    Ok((wanted, status.replicas, status.selector.unwrap_or_default()))
}

#[tokio::test]
async fn scale_subresource_reads_and_writes_the_number_of_peers() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let (wanted, there, selector) = read(space).await?;
        ensure!((wanted, there) == (1, 1), "{wanted} wanted, {there} there");
        let objects = space.objects();
        let lives = super::lives(space).await?;

        // As `kubectl scale` does.
        let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
        objects.patch_scale(NAME, &PatchParams::default(), &three).await?;
        complete(space, controller).await?;
        ensure!(replicas(space).await? == Some(3), "the set has {:?}", replicas(space).await?);
        ensure_undisturbed(space, &lives).await?;

        // As an autoscaler does: by what it has read.
        let mut scale = serde_json::to_value(objects.get_scale(NAME).await?)?;
        scale["spec"]["replicas"] = json!(5);
        objects.replace_scale(NAME, &PostParams::default(), &serde_json::from_value(scale)?).await?;
        complete(space, controller).await?;
        ensure!(read(space).await? == (5, 5, selector.clone()), "{:?}", read(space).await?);
        let pods = space.api::<Pod>().list(&ListParams::default().labels(&selector)).await?;
        ensure!(pods.items.len() == 5, "the selector {selector} finds {} pods", pods.items.len());

        for count in [0, 33] {
            let patch = Patch::Merge(json!({"spec": {"replicas": count}}));
            let taken = objects.patch_scale(NAME, &PatchParams::default(), &patch).await;
            let error = format!("{:?}", taken.err().with_context(|| format!("{count} peers were taken"))?);
            ensure!(error.contains("must be 1 to 32"), "{error}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn several_peers_are_stopped_one_at_a_time() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let (budgets, name) = (space.api::<PodDisruptionBudget>(), IpfsCluster::set());
        ensure!(budgets.get_opt(&name).await?.is_none(), "a single peer cannot be evicted");
        scale(space, 2).await?;
        complete(space, controller).await?;
        let one = |budget: &PodDisruptionBudget| {
            budget.spec.as_ref().is_some_and(|spec| spec.max_unavailable == Some(IntOrString::Int(1)))
        };
        until(&budgets, &name, "one at a time", one).await?;
        let edit = Patch::Merge(json!({"spec": {"maxUnavailable": 2}}));
        budgets.patch(&name, &PatchParams::default(), &edit).await?;
        until(&budgets, &name, "one at a time again", one).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn silent_peers_do_not_leave_and_leavers_get_no_clients() {
    with_controller(async |space, controller| {
        made(space, controller, 5).await?;
        let before = template(space).await?;
        let lives = super::lives(space).await?;
        let claims = space.api::<PersistentVolumeClaim>();
        let pods = space.api::<Pod>();
        for (policy, count) in
            ["Retain", "Delete"].into_iter().flat_map(|policy| [3, 1, 5].map(|count| (policy, count)))
        {
            space.patch(&json!({"spec": {"deletionPolicy": policy}})).await?;
            quiet(space, controller).await?;
            let identities = secrets(space, "identity-").await?;
            scale(space, count).await?;
            for ordinal in 0..5 {
                let serves = (ordinal < count).to_string();
                let is_told = |pod: &Pod| pod.labels().get(SERVES) == Some(&serves);
                until(&pods, &IpfsCluster::pod(ordinal), &format!("{SERVES} {serves}"), is_told).await?;
            }
            quiet(space, controller).await?;
            ensure!(replicas(space).await? == Some(5), "{policy}: {count} peers are wanted, and some have gone");
            ensure!(template(space).await? == before, "the template is another");
            ensure_undisturbed(space, &lives).await?;
            ensure!(secrets(space, "identity-").await? == identities, "an identity was touched");
            for ordinal in 0..5 {
                claims.get(&IpfsCluster::volume(ordinal)).await.context("a volume has gone")?;
            }
        }
        Ok(())
    })
    .await;
}

/// A set of 3 peers of which 2 are to leave and may not yet.
async fn two_are_to_leave(space: &Ipfs<'_>, controller: &Controller) -> Result<StatefulSet> {
    made(space, controller, 3).await?;
    scale(space, 1).await?;
    let pod = IpfsCluster::pod(2);
    let is_told = |pod: &Pod| pod.labels().get(SERVES).is_some_and(|serves| serves == "false");
    until(&space.api::<Pod>(), &pod, "no clients", is_told).await?;
    quiet(space, controller).await?;
    set(space).await
}

#[tokio::test]
async fn growing_volume_lets_no_peer_leave() {
    with_controller(async |space, controller| {
        let before = two_are_to_leave(space, controller).await?.uid();
        for ordinal in 0..3 {
            bind(space, ordinal).await?;
        }
        let lives = super::lives(space).await?;
        space.patch_provider(&json!({"storage": {"size": "2Gi"}})).await?;
        let is_new = |set: &StatefulSet| set.uid() != before;
        until(&space.api::<StatefulSet>(), &IpfsCluster::set(), "been made again", is_new).await?;
        quiet(space, controller).await?;
        ensure!(replicas(space).await? == Some(3), "the set was made again with {:?}", replicas(space).await?);
        let pods = lives.into_iter().filter(|(name, _)| *name != IpfsCluster::set()).collect();
        ensure_undisturbed(space, &pods).await
    })
    .await;
}

#[tokio::test]
async fn deleted_set_comes_back_with_all_peers() {
    with_controller(async |space, controller| {
        two_are_to_leave(space, controller).await?;
        let sets = space.api::<StatefulSet>();
        let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
        for params in [orphan, DeleteParams::background()] {
            let before = sets.get(&IpfsCluster::set()).await?.uid();
            sets.delete(&IpfsCluster::set(), &params).await?;
            let is_new = |set: &StatefulSet| set.uid() != before;
            until(&sets, &IpfsCluster::set(), "been made again", is_new).await?;
            quiet(space, controller).await?;
            ensure!(replicas(space).await? == Some(3), "the set was made again with {:?}", replicas(space).await?);
        }
        Ok(())
    })
    .await;
}

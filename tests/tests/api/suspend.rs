//! A suspended object has no pods, keeps everything else, and comes back.

use anyhow::{Result, ensure};
use e2e::{
    Controller, Identity, One, Subject,
    prepare::api_server,
    step::{ask, outcome},
    subject::{assert_told, condition_of},
    until, with_namespace,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use temporal_stack_common::condition::{READY, SUSPENDED};

use crate::{
    crash::{ended_at_each_write, ensure_same},
    step::{complete, look, made, quiet},
    with_controller,
};

e2e::for_each_kind!(
    suspended_object_has_no_pods_and_comes_back,
    crash_around_each_write_of_a_suspension_loses_nothing,
    object_elsewhere_cannot_be_suspended,
);

async fn suspend<K: Subject>(space: &One<'_, K>, suspend: bool) -> Result<K> {
    space.patch(&json!({"spec": {"suspend": suspend}})).await
}

/// The replicas of the set, and its pod template.
async fn set_of<K: Subject>(space: &One<'_, K>) -> Result<(Option<i32>, Value)> {
    let spec = space.api::<StatefulSet>().get(&K::set()).await?.spec.unwrap_or_default();
    Ok((spec.replicas, serde_json::to_value(spec.template)?))
}

/// The kept objects, by their UIDs.
async fn kept<K: Subject>(space: &One<'_, K>) -> Result<Vec<Option<String>>> {
    let mut uids = vec![space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?.uid()];
    for name in K::data() {
        uids.push(space.api::<Secret>().get(&name).await?.uid());
    }
    Ok(uids)
}

async fn suspended_object_has_no_pods_and_comes_back<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let (before, data) = (set_of(space).await?, kept(space).await?);
        suspend(space, true).await?;
        let told = space.condition(SUSPENDED, "True", "Suspended").await?;
        assert_told(&told, &["no pod runs", "spec.suspend"])?;
        let pods = space.api::<Pod>().list(&ListParams::default()).await?;
        ensure!(pods.items.is_empty(), "there are {} pods", pods.items.len());
        let object = space.get().await?;
        for absent in [READY, "Reconciling", "Stalled"] {
            ensure!(condition_of(&object, absent).is_none(), "kstatus would not take it for current: {absent}");
        }
        ensure!(set_of(space).await? == (Some(0), before.1.clone()), "the template has changed");
        ensure!(kept(space).await? == data, "data were recreated");

        let sent = quiet(space, controller).await?;
        for _ in 0..10 {
            look(space, controller).await?;
        }
        let after = controller.requests()?.of_passes();
        ensure!(after == sent, "passes over a suspended object made requests; before:\n{sent}after:\n{after}");

        suspend(space, false).await?;
        let object = complete(space, controller).await?;
        ensure!(condition_of(&object, SUSPENDED).is_none(), "it still says that it is suspended");
        ensure!(set_of(space).await? == before, "it did not come back as it was");
        ensure!(kept(space).await? == data, "data were recreated");
        Ok(())
    })
    .await;
}

async fn crash_around_each_write_of_a_suspension_loses_nothing<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<K>(space).await?;
        let one = space.one::<K>();
        let mut controller = Controller::start_as(space, &identity).await?;
        controller.leads().await?;
        ask::<K>(&one, false).await?;
        let undisturbed = outcome::<K>(&one, &controller).await?;
        controller.terminate()?;
        controller.ended().await?;
        for is_suspended in [true, false] {
            suspend(&one, is_suspended).await?;
            let ends = ended_at_each_write(space, &identity).await?;
            println!("suspend {is_suspended} {}: ended {ends} times", K::kind(&()));
            ensure!(ends > 0, "there were no writes");
            let replicas = if is_suspended { 0 } else { i32::try_from(one.get().await?.pods())? };
            until(&space.api::<StatefulSet>(), &K::set(), &format!("{replicas} replicas"), |set| {
                set.spec.as_ref().and_then(|spec| spec.replicas) == Some(replicas)
            })
            .await?;
        }
        let controller = Controller::start_as(space, &identity).await?;
        let disturbed = outcome::<K>(&one, &controller).await?;
        ensure_same(&disturbed, &undisturbed)
    })
    .await;
}

async fn object_elsewhere_cannot_be_suspended<K: Subject>() {
    with_controller::<K>(async |space, _| {
        let mut spec = K::external("theirs");
        spec["suspend"] = json!(true);
        let refused = space.create(&spec).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(refused.contains("spec.suspend has no effect with provider external"), "{refused}");
        Ok(())
    })
    .await;
}

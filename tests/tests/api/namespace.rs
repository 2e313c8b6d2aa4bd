//! `kubectl delete namespace` ends, and nobody minds.

use anyhow::{Result, ensure};
use e2e::{
    Controller, Identity, Space, Stopwatch, Subject, controller::complaints, prepare::api_server, until_gone,
    with_namespace,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use crate::step::made;

/// More than what may be said while kinds disappear one after the other; an error that repeats itself is more.
const STORM: usize = 20;

/// Starts a controller that outlives the namespace, makes an object and deletes the namespace.
async fn deleted<K: Subject>(space: &Space, home: &Space, with_controller: bool) -> Result<()> {
    let identity = Identity::of_cluster::<K>(home).await?;
    let controller = Controller::start_as(space, &identity).await?;
    controller.leads().await?;
    made::<K>(&space.one(), &controller).await?;
    let controller = with_controller.then_some(controller);
    let mut watch = Stopwatch::new();
    space.delete().await?;
    until_gone(&Api::<Namespace>::all(space.client.clone()), &space.name).await?;
    watch.step("the namespace has gone");
    if let Some(mut controller) = controller {
        // It still answers, and what it says of itself is that it is well.
        controller.metrics()?;
        let lines = controller.log.lines();
        let complaints = complaints(&lines);
        println!("{} warnings and errors", complaints.len());
        ensure!(complaints.len() < STORM, "an error storm: {complaints:#?}");
        controller.terminate()?;
        ensure!(controller.ended().await?.success(), "the controller did not end in order");
    }
    Ok(())
}

async fn in_two_namespaces<K: Subject>(with_controller: bool) {
    let cluster = api_server().await.expect("an API server");
    let cluster = &cluster;
    with_namespace(cluster, async |home| {
        with_namespace(cluster, async |space| deleted::<K>(space, home, with_controller).await).await;
        Ok(())
    })
    .await;
}

e2e::for_each_kind!(
    namespace_deletion_completes_while_the_controller_runs,
    namespace_deletion_completes_without_the_controller,
);

async fn namespace_deletion_completes_while_the_controller_runs<K: Subject>() {
    in_two_namespaces::<K>(true).await;
}

async fn namespace_deletion_completes_without_the_controller<K: Subject>() {
    in_two_namespaces::<K>(false).await;
}

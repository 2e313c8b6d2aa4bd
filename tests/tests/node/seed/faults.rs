use anyhow::{Result, ensure};
use e2e::{
    Needs, Space, Stopwatch, Subject,
    host::{SERVER, Signal, restarts, signal_postmaster},
    installed::SYSTEM,
    until,
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, ResourceExt as _, api::DeleteParams};
use temporal_stack_common::api::PostgresDatabase;

use crate::{
    on_stack,
    seed::{as_given::controllers, rows},
};

#[tokio::test]
async fn deleted_pod_keeps_its_rows() {
    on_stack(Needs::stack(), async |space| {
        let rows = rows::add(space).await?;
        let before = space.server().await?;
        let mut watch = Stopwatch::new();
        let pods = space.api::<Pod>();
        pods.delete(SERVER, &DeleteParams::default()).await?;
        until(&pods, SERVER, "been made again", |pod: &Pod| pod.uid() != before.uid()).await?;
        watch.step("the pod was made again after");
        rows::are_there(space, rows).await
    })
    .await;
}

#[tokio::test]
async fn killed_postgres_keeps_its_rows() {
    on_stack(Needs::stack(), async |space| {
        let rows = rows::add(space).await?;
        let before = space.server().await?;
        let mut watch = Stopwatch::new();
        signal_postmaster(&before, Signal::KILL)?;
        let started_again = |pod: &Pod| restarts(pod) == restarts(&before) + 1;
        let after = until(&space.api::<Pod>(), SERVER, "been started again", started_again).await?;
        watch.step("Postgres was started again after");
        ensure!(after.uid() == before.uid(), "the pod was made again");
        rows::are_there(space, rows).await
    })
    .await;
}

#[tokio::test]
async fn deleted_controller_keeps_rows_and_pod() {
    on_stack(Needs::stack().ending::<PostgresDatabase>(), async |space| {
        let rows = rows::add(space).await?;
        let before = space.server().await?;
        let mut watch = Stopwatch::new();
        end_controllers::<PostgresDatabase>(space).await?;
        controller_works(space).await?;
        watch.step("the next controller works after");
        is_the_same(space, &before).await?;
        rows::are_there(space, rows).await
    })
    .await;
}

/// Ends the controllers of a kind without notice.
pub(crate) async fn end_controllers<K: Subject>(space: &Space) -> Result<()> {
    let pods = Api::<Pod>::namespaced(space.client.clone(), SYSTEM);
    for pod in controllers::<K>(space).await? {
        pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    Ok(())
}

/// Deletes the database's binding and waits until a controller has made it again, and the database is Ready.
pub(crate) async fn controller_works(space: &Space) -> Result<()> {
    binding_is_made_again::<PostgresDatabase>(space).await?;
    space.ready().await.map(drop)
}

/// Deletes the binding and waits until a controller has made it again.
pub(crate) async fn binding_is_made_again<K: Subject>(space: &Space) -> Result<()> {
    let name = &K::binding();
    let secrets = space.api::<Secret>();
    let before = secrets.get(name).await?;
    secrets.delete(name, &DeleteParams::default()).await?;
    let again = |secret: &Secret| secret.uid() != before.uid();
    let after = until(&secrets, name, "been made again", again).await?;
    ensure!(after.data == before.data, "the binding says something else than before");
    Ok(())
}

/// Fails if the server was made or started again.
pub(crate) async fn is_the_same(space: &Space, before: &Pod) -> Result<()> {
    let after = space.server().await?;
    ensure!(after.uid() == before.uid(), "the server's pod was made again");
    ensure!(restarts(&after) == restarts(before), "the server was started again");
    Ok(())
}

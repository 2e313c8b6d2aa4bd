//! The mesh with the kinds of Linkerd and a control plane that reports what the test says; there are no nodes.

mod absent;
mod addresses;
mod alone;
mod certificates;
mod crash;
mod drift;
mod enforce;
mod foreign;
mod hundred;
mod policies;
mod quiet;
mod versions;

use anyhow::Result;
use e2e::{
    Controller, Identity, One, Space,
    linkerd::{self, Alone, Shared},
    prepare::api_server,
    subject::condition_of,
    with_namespace,
};
use serde_json::json;
use temporal_stack_common::{api::Mesh, condition::READY};

/// The object that tests make.
type Meshes<'a> = One<'a, Mesh>;

/// Runs a test with a controller, and with the recorded Linkerd.
async fn with_mesh(test: impl AsyncFnOnce(&Meshes<'_>, &Controller) -> Result<()>) {
    let cluster = api_server().await.expect("an API server");
    let _linkerd: Shared = linkerd::shared(&cluster).await.expect("Linkerd");
    with_namespace(&cluster, async |space| {
        let controller = start(space).await?;
        test(&space.one(), &controller).await
    })
    .await;
}

/// Runs a test with a controller, and with a Linkerd of the test's own, of which nothing is installed.
async fn with_own_linkerd(test: impl AsyncFnOnce(&Meshes<'_>, &Alone, &Controller) -> Result<()>) {
    let cluster = api_server().await.expect("an API server");
    let linkerd = linkerd::alone(&cluster).await.expect("Linkerd is removed");
    with_namespace(&cluster, async |space| {
        let controller = start(space).await?;
        test(&space.one(), &linkerd, &controller).await
    })
    .await;
}

/// Starts the controller with its rights in the whole cluster: Linkerd is in another namespace.
async fn start(space: &Space) -> Result<Controller> {
    let identity = Identity::of_cluster::<Mesh>(space).await?;
    let controller = Controller::start_as(space, &identity).await?;
    controller.leads().await?;
    Ok(controller)
}

/// Has everything read again that was remembered: after an edit of the spec.
async fn read_again(mesh: &Meshes<'_>) -> Result<()> {
    let is_on = mesh.get().await?.spec.traffic.is_on();
    mesh.patch(&json!({"spec": {"traffic": if is_on { "Off" } else { "On" }}})).await.map(drop)
}

/// Whether the object says in `Ready` what it waits for, or that it waits for nothing: it is never silent.
fn has_said(object: &Mesh) -> bool {
    condition_of(object, READY).is_some()
}

//! Steps that many tests have.

use anyhow::{Context as _, Result, bail};
use e2e::{
    Controller, Space,
    database::{child::SERVER, child::VOLUME, embedded},
    until,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{PostgresDatabase, annotation},
    process::client::Counts,
};

/// How many quiet looks in a row are taken for quiet.
const QUIET: u32 = 3;

/// Makes a database, and waits until only its pod is missing.
pub(crate) async fn made(space: &Space, controller: &Controller) -> Result<PostgresDatabase> {
    space.create(&embedded()).await?;
    complete(space, controller).await
}

/// Waits until all children are there, the claim and the pod that others make included, and the controller is quiet.
pub(crate) async fn complete(space: &Space, controller: &Controller) -> Result<PostgresDatabase> {
    let object = space.waits_for_its_pod().await?;
    let uid = object.uid().context("the object has no uid")?;
    until(&space.api::<PersistentVolumeClaim>(), VOLUME, "been taken care of", |claim| {
        claim.annotations().get(annotation::OWNER) == Some(&uid)
    })
    .await?;
    until(&space.api::<Pod>(), &format!("{SERVER}-0"), "been made", |_| true).await?;
    quiet(space, controller).await?;
    space.waits_for_its_pod().await
}

/// Has the controller look until it sends nothing any more, and returns what it has sent till then.
pub(crate) async fn quiet(space: &Space, controller: &Controller) -> Result<Counts> {
    let mut before = controller.requests()?.of_passes();
    let mut quiet = 0;
    for _ in 0..100 {
        look(space, controller).await?;
        let after = controller.requests()?.of_passes();
        quiet = if after == before { quiet + 1 } else { 0 };
        if quiet == QUIET {
            return Ok(after);
        }
        before = after;
    }
    bail!("the controller does not come to rest; it has sent\n{before}")
}

/// Has the controller look at the database once more, by a change that is none of its business.
pub(crate) async fn look(space: &Space, controller: &Controller) -> Result<()> {
    let before = controller.metrics()?.passes("unchanged");
    space.annotate("example.com/look", &json!(format!("{:016x}", rand::random::<u64>()))).await?;
    controller.until("a pass that changes nothing", |metrics| metrics.passes("unchanged") > before).await?;
    Ok(())
}

/// The one container of the server.
pub(crate) fn server_of(set: &StatefulSet) -> Value {
    let containers = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map(|pod| pod.containers.clone());
    let server = containers.into_iter().flatten().find(|container| container.name == "postgres");
    serde_json::to_value(server).unwrap_or_default()
}

/// Writes the data of the seed's ConfigMap.
pub(crate) async fn configure(space: &Space, data: &Value) -> Result<()> {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "postgres-config"},
        "data": data,
    });
    space.api::<ConfigMap>().patch("postgres-config", &PatchParams::apply("user").force(), &Patch::Apply(map)).await?;
    Ok(())
}

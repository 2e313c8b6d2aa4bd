use anyhow::{Context as _, Result, ensure};
use e2e::{
    Needs, Space, Stopwatch, Subject,
    database::NAME,
    host::SERVER,
    installed::SYSTEM,
    program::{run, xtask, xtask_with},
    until,
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt as _,
    api::{LogParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::{
    api::{PostgresDatabase, annotation},
    condition::{self, RESTART_PENDING},
};

use crate::{
    on_stack,
    seed::{
        as_given::controllers,
        faults::{controller_works, is_the_same},
        rows,
    },
};

/// The version of the build that is upgraded to.
const NEXT: &str = "0.1.0-next";

/// Has the node run a newer controller of a kind, and returns when its pod says so.
pub(crate) async fn upgrade<K: Subject>(space: &Space) -> Result<()> {
    let deploy = ["deploy", K::COMPONENT, "--yes", "--tag", NEXT];
    xtask_with(&deploy, &[("TEMPORAL_STACK_VERSION", NEXT)]).await?;
    let pods = controllers::<K>(space).await?;
    let newest = pods.iter().find(|pod| pod.metadata.deletion_timestamp.is_none()).context("no controller")?;
    let api = Api::<Pod>::namespaced(space.client.clone(), SYSTEM);
    let log = api.logs(&newest.name_any(), &LogParams::default()).await?;
    ensure!(log.contains(&format!("\"version\":\"{NEXT}\"")), "another version runs: {log}");
    Ok(())
}

/// Back to the version of before.
pub(crate) async fn downgrade<K: Subject>() -> Result<()> {
    xtask(&["deploy", K::COMPONENT, "--yes"]).await.map(drop)
}

fn pending(object: &PostgresDatabase) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == RESTART_PENDING)
}

#[tokio::test]
async fn other_controller_version_restarts_no_database() {
    on_stack(Needs::stack().ending::<PostgresDatabase>(), async |space| {
        let rows = rows::add(space).await?;
        let before = space.server().await?;
        upgrade::<PostgresDatabase>(space).await?;
        controller_works(space).await?;
        is_the_same(space, &before).await?;
        ensure!(!pending(&space.databases().get(NAME).await?), "a restart is said to bring something new");
        rows::are_there(space, rows).await?;

        downgrade::<PostgresDatabase>().await?;
        controller_works(space).await?;
        is_the_same(space, &before).await?;
        rows::are_there(space, rows).await
    })
    .await;
}

/// containerd's own client, on the images of the node.
async fn images(arguments: &[&str]) -> Result<()> {
    let node = ["--address", "/run/temporal-stack/node/containerd.sock", "--namespace", "k8s.io", "images"];
    run("ctr".into(), &[&node[..], arguments].concat(), &[]).await.map(drop)
}

/// Makes the controller's default image another name of the same image.
async fn other_default_image(space: &Space) -> Result<String> {
    let server = space.server().await?.spec.context("the server's pod has no spec")?;
    let image = server.containers.first().and_then(|container| container.image.clone()).context("it has no image")?;
    let other = format!("{image}-other");
    images(&["tag", "--force", &image, &other]).await?;

    let deployments = Api::<Deployment>::namespaced(space.client.clone(), SYSTEM);
    let env = json!([{"name": "RELATED_IMAGE_POSTGRES", "value": other}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "controller", "env": env}]}}}});
    deployments.patch(PostgresDatabase::PROGRAM, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    Ok(other)
}

/// Waits until the server's pod is another one, of this image.
async fn restarted(space: &Space, before: &Pod, image: &str) -> Result<Pod> {
    let is_other = |pod: &Pod| {
        let runs = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
        pod.uid() != before.uid() && runs == Some(image)
    };
    until(&space.api::<Pod>(), SERVER, &format!("been made again from {image}"), is_other).await
}

#[tokio::test]
async fn newer_template_waits_for_a_requested_restart() {
    on_stack(Needs::stack().ending::<PostgresDatabase>(), async |space| {
        let rows = rows::add(space).await?;
        let before = space.server().await?;
        let normal = before.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()).unwrap_or_default();
        let mut watch = Stopwatch::new();
        let other = other_default_image(space).await?;
        let told = space.condition(RESTART_PENDING, "True", "NewerTemplate").await?;
        watch.step("RestartPending after");
        ensure!(told.message.contains(annotation::RESTART), "{}", told.message);
        space.condition(condition::READY, "True", "Verified").await?;
        is_the_same(space, &before).await?;

        let now = format!("{:?}", std::time::SystemTime::now());
        space.annotate(annotation::RESTART, &json!(now)).await?;
        let second = restarted(space, &before, &other).await?;
        watch.step("asked for, and restarted after");
        rows::are_there(space, rows).await?;
        ensure!(!pending(&space.databases().get(NAME).await?), "the restart is still said to bring something new");

        space.patch(&json!({"spec": {"rollout": "Automatic"}})).await?;
        downgrade::<PostgresDatabase>().await?;
        watch.step("back to the normal default after");
        restarted(space, &second, &normal).await?;
        watch.step("restarted by itself, as spec.rollout Automatic says, after");
        rows::are_there(space, rows).await?;
        images(&["remove", &other]).await?;
        space.patch(&json!({"spec": {"rollout": "WhenAsked"}})).await?;
        space.ready().await.map(drop)
    })
    .await;
}

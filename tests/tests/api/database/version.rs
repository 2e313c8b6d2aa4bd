//! A new image is tried by a Job before the server restarts with it. No pod runs here: the test reports for the pod of the Job.

use anyhow::{Context as _, Result, ensure};
use e2e::{One, Subject as _, turns, until, until_gone};
use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::{api::PostgresDatabase, condition::STALLED};

use crate::with_controller;

/// Reports a version as the pod of the Job for this image.
async fn report(space: &One<'_, PostgresDatabase>, image: &str, version: &str) -> Result<String> {
    let pods = space.api::<Pod>();
    let is_of_image = |pod: &Pod| {
        pod.spec.as_ref().is_some_and(|spec| spec.containers.first().and_then(|it| it.image.as_deref()) == Some(image))
    };
    let labelled = ListParams::default().labels("app.kubernetes.io/name=postgresql-version");
    let mut found = None;
    turns(&format!("a pod tries the image {image}"), async || {
        found = pods.list(&labelled).await?.items.into_iter().find(is_of_image);
        Ok(found.is_some())
    })
    .await?;
    let pod = found.context("no pod")?;
    let job = pod.owner_references().first().context("a pod without a Job")?.name.clone();
    let ended = json!({"terminated": {"exitCode": 0, "message": version}});
    let container =
        json!({"name": "version", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": ended});
    let status = json!({"status": {"containerStatuses": [container]}});
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(job)
}

async fn image(space: &One<'_, PostgresDatabase>) -> Result<String> {
    let set = space.api::<StatefulSet>().get(&PostgresDatabase::set()).await?;
    let template = set.spec.and_then(|spec| spec.template.spec).context("no template")?;
    template.containers.into_iter().next().and_then(|container| container.image).context("no image")
}

#[tokio::test]
async fn image_reaches_the_server_only_with_its_major_version() {
    with_controller::<PostgresDatabase>(async |space, _| {
        space.create(&PostgresDatabase::embedded()).await?;
        until(&space.api::<StatefulSet>(), &PostgresDatabase::set(), "been made", |_| true).await?;
        let before = image(space).await?;
        let objects: Api<PostgresDatabase> = space.api();
        let status = json!({"status": {"serverVersion": "17.6"}});
        objects.patch_status(e2e::subject::NAME, &PatchParams::default(), &Patch::Merge(status)).await?;

        space.patch(&json!({"spec": {"provider": {"postgres": {"image": "example.com/postgres:18"}}}})).await?;
        let refused = report(space, "example.com/postgres:18", "postgres (PostgreSQL) 18.1\n").await?;
        let parts = ["server not restarted", "PostgreSQL 17.6", "set spec.provider.postgres.image"];
        space.condition_about(STALLED, "True", "MajorVersionChanged", &parts).await?;
        ensure!(image(space).await? == before, "the server has got an image that cannot open its data");

        space.patch(&json!({"spec": {"provider": {"postgres": {"image": "example.com/postgres:17"}}}})).await?;
        let accepted = report(space, "example.com/postgres:17", "postgres (PostgreSQL) 17.9").await?;
        until(&space.api::<StatefulSet>(), &PostgresDatabase::set(), "got the image", |set| {
            let template = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
            template.and_then(|pod| pod.containers[0].image.as_deref()) == Some("example.com/postgres:17")
        })
        .await?;
        until_gone(&space.api::<Job>(), &refused).await?;
        until_gone(&space.api::<Job>(), &accepted).await
    })
    .await;
}

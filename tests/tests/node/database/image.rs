//! A new image is tried before the server restarts with it.

use anyhow::{Context as _, Result, ensure};
use e2e::Space;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::json;
use temporal_stack_common::condition::{READY, RECONCILING};

use super::{embedded, made, with_space};

async fn server(space: &Space) -> Result<Pod> {
    space.api::<Pod>().get("temporal-postgresdatabase-0").await.context("no server")
}

#[tokio::test]
async fn image_that_cannot_run_leaves_the_server_serving() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let (before, session) = (server(space).await?, space.until_connects().await?);
        session.run("create table kept as select 1 as n").await?;
        let image = before.spec.as_ref().map(|spec| spec.containers[0].image.clone().unwrap_or_default());
        let patch = |image: &str| json!({"spec": {"provider": {"postgres": {"image": image}}}});

        space.patch(&patch("localhost/no-such-image:1")).await?;
        let message = space.condition(RECONCILING, "True", "CheckingImage").await?.message;
        watch.step("image that does not exist reported after");
        ensure!(message.contains("localhost/no-such-image:1"), "{message}");
        space.condition(READY, "True", "Verified").await?;
        ensure!(server(space).await?.uid() == before.uid(), "the server was restarted");
        ensure!(session.one("select n from kept").await? == "1");

        space.patch(&patch(&image.context("no image")?)).await?;
        space.ready().await?;
        watch.step("Ready with the present image after");
        ensure!(space.until_connects().await?.one("select n from kept").await? == "1");
        Ok(())
    })
    .await;
}

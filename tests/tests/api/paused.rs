//! Hands off, when the user says so.

use anyhow::{Result, ensure};
use e2e::{
    database::{assert_told, child::SERVER},
    until,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt as _;
use serde_json::json;
use temporal_stack_common::{api::annotation, condition::PAUSED};

use crate::{
    step::{look, made, server_of},
    with_controller,
};

#[tokio::test]
async fn a_paused_object_is_reported_on_and_left_alone_until_it_is_resumed() {
    with_controller(async |space, controller| {
        made(space, controller).await?;
        let sets = space.api::<StatefulSet>();
        let before = sets.get(SERVER).await?;
        let of_children = || -> Result<u64> {
            let writes = controller.requests()?.writes();
            let of_children = |resource: &str| !resource.ends_with("/status") && resource != "events";
            Ok(writes.0.iter().filter(|(used, _)| of_children(&used.resource)).map(|(_, count)| count).sum())
        };
        let written = of_children()?;

        let parameters = json!({"provider": {"postgres": {"parameters": {"work_mem": "16MB"}}}});
        space.patch(&json!({"metadata": {"annotations": {annotation::PAUSED: "true"}}, "spec": parameters})).await?;
        let paused = space.condition(PAUSED, "True", "Paused").await?;
        assert_told(&paused, &[annotation::PAUSED, "held back"])?;
        let ready = space.condition("Ready", "False", "Paused").await?;
        assert_told(&ready, &[annotation::PAUSED])?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        ensure!(of_children()? == written, "children were written to while paused");
        ensure!(sets.get(SERVER).await?.resource_version() == before.resource_version(), "the StatefulSet has changed");

        space.annotate(annotation::PAUSED, &json!(null)).await?;
        until(&sets, SERVER, "the parameter", |set| server_of(set)["command"].to_string().contains("work_mem=16MB"))
            .await?;
        space.waits_for_its_pod().await?;
        let conditions = space.databases().get(e2e::database::NAME).await?.status.map(|status| status.conditions);
        ensure!(!conditions.iter().flatten().any(|condition| condition.type_ == PAUSED), "{conditions:?}");
        Ok(())
    })
    .await;
}

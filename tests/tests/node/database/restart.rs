use anyhow::ensure;
use e2e::{host::SERVER, until};
use k8s_openapi::api::{apps::v1::ControllerRevision, core::v1::Pod, events::v1::Event};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::json;
use temporal_stack_common::condition;

use crate::database::{embedded, made, with_space};

#[tokio::test]
async fn changed_parameter_restarts_the_server_once() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let before = space.server().await?;
        let shown = "show max_connections";
        ensure!(space.administrator().await?.one(shown).await? == "100");

        let parameters = json!({"spec": {"provider": {"postgres": {"parameters": {"max_connections": "37"}}}}});
        space.patch(&parameters).await?;
        let made_again = |pod: &Pod| pod.uid() != before.uid();
        until(&space.api::<Pod>(), SERVER, "been made again", made_again).await?;
        space.ready().await?;
        watch.step("Ready with the changed parameter after");
        let after = space.server().await?;
        ensure!(space.administrator().await?.one(shown).await? == "37");

        // Something else to do for the controller, so that it would have restarted the pod again by now.
        space.annotate("e2e", &json!("look again")).await?;
        space.annotate("temporal-stack.dev/rotate", &json!("now")).await?;
        space.until_binding("the second login", |binding| binding.login == 2).await?;
        space.ready().await?;
        let last = space.server().await?;
        ensure!(last.uid() == after.uid() && e2e::host::restarts(&last) == 0, "the server was restarted again");
        let revisions = space.api::<ControllerRevision>().list(&ListParams::default()).await?;
        ensure!(revisions.items.len() == 2, "the template had {} revisions", revisions.items.len());
        let events = ListParams::default().fields("reason=Restarted");
        let events = space.api::<Event>().list(&events).await?;
        ensure!(events.items.len() == 1, "{} events say that the pod was restarted", events.items.len());
        let object = space.databases().get("temporal").await?;
        let status = object.status.unwrap_or_default();
        ensure!(condition::find(&status.conditions, condition::RESTART_PENDING).is_none(), "{status:?}");
        Ok(())
    })
    .await;
}

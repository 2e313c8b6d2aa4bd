use anyhow::{Result, ensure};
use e2e::Space;
use serde_json::json;
use temporal_stack_common::api::annotation::ROTATE;

use crate::database::{application, embedded, made, with_space};

/// Connections that an application opens with the old login after the binding has changed: a second's worth.
const SLOWNESS: u32 = 20;

#[tokio::test]
async fn rotation_fails_no_connection_and_waits_for_old_sessions() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let first = space.binding().await?;
        ensure!((first.login, first.username.as_str()) == (1, "temporal_a"), "{first:?}");
        let held = space.connect(&first).await?;
        held.run("create table kept (n int); insert into kept values (1)").await?;
        let application = application::start(space, SLOWNESS).await?;
        application.answered(1, SLOWNESS).await?;
        watch.step("a second's worth of connections after");

        rotate(space, "first").await?;
        let second = space.until_binding("the second login", |binding| binding.login == 2).await?;
        watch.step("rotated after");
        ensure!(second.username == "temporal_b" && second.password != first.password, "{second:?}");
        application.answered(2, SLOWNESS).await?;
        // The other login is another role, and has what the first one made.
        ensure!(space.connect(&second).await?.one("select n from kept").await? == "1");

        rotate(space, "second").await?;
        let told = space.condition("RotationPending", "True", "OldLoginInUse").await?;
        ensure!(told.message.contains("temporal_a"), "{}", told.message);
        space.ready().await?;
        ensure!(held.one("select n from kept").await? == "1");
        ensure!(space.binding().await? == second, "the binding has changed while its next login is in use");
        application.answered(2, SLOWNESS).await?;
        watch.step("the next rotation waits, as seen after");

        drop(held);
        let third = space.until_binding("the third login", |binding| binding.login == 3).await?;
        watch.step("the old session is closed; rotated after");
        ensure!(third.username == "temporal_a" && third.password != first.password, "{third:?}");
        application.answered(3, SLOWNESS).await?;

        let outcome = application.outcome();
        println!("connections by login: {:?}, failed: {}", outcome.answered, outcome.failures());
        ensure!(outcome.failures() == 0, "connections failed: {outcome:?}");
        let object = space.databases().get("temporal").await?;
        ensure!(object.status.and_then(|status| status.rotation).as_deref() == Some("second"));
        Ok(())
    })
    .await;
}

async fn rotate(space: &Space, value: &str) -> Result<()> {
    space.annotate(ROTATE, &json!(value)).await.map(drop)
}

use anyhow::ensure;
use serde_json::json;
use temporal_stack_common::api::annotation::ROTATE;

use crate::queue::{application, made, nodes, of_size, with_queue};

/// Connections that an application opens with the old login after the binding has changed: a second's worth.
const SLOWNESS: u32 = 20;

#[tokio::test]
async fn rotation_fails_no_connection_and_waits_for_old_ones() {
    with_queue(nodes(1), async |queue| {
        let mut watch = made(queue, &of_size(1, &json!({}))).await?;
        let first = queue.bound().await?;
        ensure!((first.login, first.username.as_str()) == (1, "temporal_a"), "{first:?}");
        let held = queue.session().await?;
        held.declare("kept").await?;
        let application = application::start(queue, SLOWNESS).await?;
        application.answered(1, SLOWNESS).await?;
        watch.step("a second's worth of connections after");

        queue.annotate(ROTATE, &json!("first")).await?;
        let second = queue.until_bound("the second login", |binding| binding.login == 2).await?;
        watch.step("rotated after");
        ensure!(second.username == "temporal_b" && second.password != first.password, "{second:?}");
        application.answered(2, SLOWNESS).await?;
        // The other login may do with a queue what the first one may.
        queue.session().await?.declare("kept").await?;
        queue.session().await?.publish("", "kept", ["from the second".to_owned()]).await?;

        queue.annotate(ROTATE, &json!("second")).await?;
        queue.condition_about("RotationPending", "True", "OldLoginInUse", &["temporal_a"]).await?;
        queue.ready().await?;
        held.publish("", "kept", ["from the first".to_owned()]).await?;
        ensure!(queue.bound().await? == second, "the binding has changed while its next login is in use");
        application.answered(2, SLOWNESS).await?;
        watch.step("the next rotation waits, as seen after");

        held.connection.close(200, "".into()).await?;
        let third = queue.until_bound("the third login", |binding| binding.login == 3).await?;
        watch.step("the old connection is closed; rotated after");
        ensure!(third.username == "temporal_a" && third.password != first.password, "{third:?}");
        application.answered(3, SLOWNESS).await?;
        let taken = queue.session().await?.take("kept", 2).await?;
        ensure!(taken == ["from the second", "from the first"], "{taken:?}");

        let outcome = application.outcome();
        println!("connections by login: {:?}, failed: {}", outcome.answered, outcome.failures());
        ensure!(outcome.failures() == 0, "connections failed: {:?}", outcome.failed);
        queue
            .until("the second rotation", |object| {
                object.status.as_ref().is_some_and(|status| status.rotation.as_deref() == Some("second"))
            })
            .await?;
        Ok(())
    })
    .await;
}

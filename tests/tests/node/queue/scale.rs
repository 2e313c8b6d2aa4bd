use anyhow::{Result, ensure};
use e2e::{
    One, Subject as _,
    broker::{Session, TEMPORAL},
    full, until_gone,
};
use k8s_openapi::api::core::v1::Pod;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use temporal_stack_common::{api::MessageQueue, condition};

use crate::queue::{load::Careless, made, nodes, of_size, with_queue};

/// How many messages are in each queue.
const MESSAGES: usize = 500;

/// What asks for a queue without copies, which holds no more than this.
fn classic() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(10_000));
    arguments
}

/// Numbered messages.
fn numbers() -> Vec<String> {
    (0..MESSAGES).map(|number| number.to_string()).collect()
}

/// Temporal's processes start again, and declare their queues; a queue of another kind would be refused with 406.
async fn temporal_starts(queue: &One<'_, MessageQueue>) -> Result<()> {
    let session = queue.session().await?;
    for name in TEMPORAL {
        session.declare(name).await?;
    }
    Ok(())
}

/// Sets the number of nodes, and waits until the cluster has it, and each of Temporal's queues as many members.
async fn scaled(queue: &One<'_, MessageQueue>, replicas: usize) -> Result<()> {
    queue.patch_provider(&json!({"replicas": replicas})).await?;
    has_scaled(queue, replicas).await
}

async fn has_scaled(queue: &One<'_, MessageQueue>, replicas: usize) -> Result<()> {
    queue.ready().await?;
    let management = queue.management().await?;
    management.runs(replicas).await?;
    for name in TEMPORAL {
        management.has_members(name, replicas).await?;
    }
    temporal_starts(queue).await
}

#[tokio::test]
async fn scaling_to_three_and_back_loses_no_message() {
    with_queue(nodes(3), async |queue| {
        let mut watch = made(queue, &of_size(1, &json!({}))).await?;
        temporal_starts(queue).await?;
        let (replicated, stays, moves, held) = (TEMPORAL[4], "stays", "moves", "held");
        let session = queue.session().await?;
        session.publish("", replicated, numbers()).await?;
        session.declare_with(stays, classic()).await?;
        session.publish("", stays, numbers()).await?;

        scaled(queue, 3).await?;
        watch.step("three nodes, and three members of each queue, after");
        ensure!(session.connection.status().connected(), "the connection from before has ended");

        let on_last = queue.session_on(2).await?;
        on_last.declare_with(moves, classic()).await?;
        on_last.bind(moves, "amq.topic", "orders.*").await?;
        on_last.publish("amq.topic", "orders.new", numbers()).await?;
        on_last.declare_with(held, classic()).await?;
        let management = queue.management().await?;
        for name in [moves, held] {
            let found = management.get(&format!("queues/temporal/{name}")).await?;
            let node = found["node"].as_str().unwrap_or_default();
            ensure!(node.contains(&MessageQueue::pod(2)), "{name} is on {node}");
        }
        let consumer = on_last.consume(held).await?;

        let careless = Careless::start(&queue.bound().await?, queue.service().await?, TEMPORAL[1]);
        queue.patch_provider(&json!({"replicas": 1})).await?;
        let parts = ["queue held on virtual host temporal has consumers", "stop them"];
        queue.condition_about(condition::READY, "False", "ScaleDownBlocked", &parts).await?;
        watch.step("a queue with a consumer blocks the scale-down, as reported after");
        temporal_starts(queue).await?;
        drop(consumer);
        on_last.connection.close(200, "".into()).await?;
        has_scaled(queue, 1).await?;
        for ordinal in [1, 2] {
            until_gone(&queue.api::<Pod>(), &MessageQueue::pod(ordinal)).await?;
        }
        watch.step("the consumer has gone; one node after");

        let session = queue.session().await?;
        careless.end(&session, &mut watch).await?;
        everything_is_there(&session, &[replicated, stays, moves]).await?;
        // The same arguments are no other queue, and what was bound still is.
        for name in [stays, moves, held] {
            session.declare_with(name, classic()).await?;
        }
        session.publish("amq.topic", "orders.again", numbers()).await?;
        let found = queue.management().await?.get("global-parameters").await?;
        ensure!(!found.to_string().contains("temporal-stack-moving"), "a note of a move is left: {found}");
        if full() {
            session.publish("", replicated, numbers()).await?;
            scaled(queue, 3).await?;
            watch.step("three nodes again, with the volumes of before, after");
            everything_is_there(&queue.session().await?, &[replicated, moves]).await?;
        }
        Ok(())
    })
    .await;
}

/// Takes all messages out of the queues, and fails if one is missing, or before another that was published earlier.
async fn everything_is_there(session: &Session, queues: &[&str]) -> Result<()> {
    for name in queues {
        let taken = session.take(name, MESSAGES).await?;
        ensure!(taken == numbers(), "{name} has other messages than before, or another order: {taken:?}");
    }
    Ok(())
}

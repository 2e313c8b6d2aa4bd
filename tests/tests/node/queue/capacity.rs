//! What connections and queues cost a node of RabbitMQ. Of the full run only: printed for docs/production.md, not asserted.

use anyhow::Result;
use e2e::{One, Subject as _, broker::Session, full, host::resident_memory};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use temporal_stack_common::api::MessageQueue;

use crate::queue::{made, nodes, of_size, with_queue};

/// How many nodes there are.
const NODES: u32 = 3;
/// How many connections are opened, each with a channel.
const CONNECTIONS: u32 = 2000;
/// How many queues of each type are declared.
const QUEUES: u32 = 500;
/// How many are opened or declared at once.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn memory_of_connections_and_queues() {
    if !full() {
        println!("not measured: nothing is asserted");
        return;
    }
    with_queue(nodes(NODES), async |queue| {
        let room = json!({"resources": {"requests": {"cpu": "20m", "memory": "160Mi"}, "limits": {"memory": "2Gi"}}});
        made(queue, &of_size(NODES, &room)).await?;
        let mut before = used(queue).await?;
        let session = queue.session().await?;
        for kind in ["classic", "quorum"] {
            let arguments = || {
                let mut arguments = FieldTable::default();
                arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
                arguments
            };
            for number in 0..QUEUES {
                session.declare_with(&format!("{kind}-{number}"), arguments()).await?;
            }
            before = report(queue, &format!("{QUEUES} empty {kind} queues"), QUEUES, before).await?;
        }
        let (binding, address) = (queue.bound().await?, queue.node(0).await?);
        let opened: Vec<Session> = stream::iter(0..CONNECTIONS)
            .map(|_| Session::unconfirmed(&binding, address))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        report(queue, &format!("{} connections with a channel each", opened.len()), CONNECTIONS, before).await?;
        queue.ready().await.map(drop)
    })
    .await;
}

/// The resident memory of all nodes, in MiB.
async fn used(queue: &One<'_, MessageQueue>) -> Result<u64> {
    let mut sum = 0;
    for ordinal in 0..NODES {
        sum += resident_memory(&queue.api::<Pod>().get(&MessageQueue::pod(ordinal)).await?);
    }
    Ok(sum)
}

async fn report(queue: &One<'_, MessageQueue>, what: &str, count: u32, before: u64) -> Result<u64> {
    let after = used(queue).await?;
    let more = after.saturating_sub(before);
    println!("{what}: {more} MiB more on {NODES} nodes, {} KiB each", more * 1024 / u64::from(count));
    Ok(after)
}

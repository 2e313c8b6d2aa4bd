use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use e2e::{Needs, One, Stopwatch, Subject, temporal::Caller, until};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::{
    api::{Kind, MessageQueue, Temporal, annotation},
    login,
};

use crate::{
    on_stack,
    temporal::{Ipfs, of_stack, random},
};

/// Which login a binding holds.
async fn number<K: Subject>(one: &One<'_, K>) -> Result<u32> {
    Ok(login::number(&one.api::<Secret>().get(&K::binding()).await?).unwrap_or_default())
}

/// Uploads until it is told to end; returns what was accepted, and what was refused.
pub(crate) async fn uploads(caller: &Caller, end: &AtomicBool) -> (Vec<String>, Vec<String>) {
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    while !end.load(Ordering::SeqCst) {
        match caller.add(random(2000)).await {
            Ok(cid) => accepted.push(cid),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    (accepted, refused)
}

/// Asks for another login, and waits until all of Temporal uses it.
pub(crate) async fn rotate<K: Subject + Kind>(one: &One<'_, K>, temporal: &One<'_, Temporal>) -> Result<()> {
    let before = number(one).await?;
    let environment = Temporal::child("environment");
    let old = temporal.api::<Secret>().get(&environment).await?;
    one.annotate(annotation::ROTATE, &json!(format!("{before}"))).await?;
    let changed = |secret: &Secret| secret.data != old.data;
    until(&temporal.api::<Secret>(), &environment, "another login", changed).await?;
    ensure!(number(one).await? > before, "the login is that of before");
    temporal.ready().await.map(drop)
}

#[tokio::test]
async fn rotation_of_the_queue_login_refuses_no_upload() {
    on_stack(Needs::stack(), async |space| {
        let temporal = of_stack(space);
        temporal.ready().await?;
        let (ipfs, caller) = (Ipfs::of(space).await?, temporal.admin().await?);
        let end = AtomicBool::new(false);
        let mut watch = Stopwatch::new();
        let story = async {
            let rotated = rotate(&space.one::<MessageQueue>(), &temporal).await;
            end.store(true, Ordering::SeqCst);
            rotated
        };
        let (rotated, (accepted, refused)) = tokio::join!(story, uploads(&caller, &end));
        rotated?;
        watch.step("the login was rotated and all pods rolled after");
        println!("{} uploads meanwhile, {} refused", accepted.len() + refused.len(), refused.len());
        ensure!(refused.is_empty(), "{refused:?}");
        ensure!(accepted.len() > 10, "{} uploads", accepted.len());
        for cid in &accepted {
            ipfs.all_have(cid).await?;
            ipfs.forget(cid).await?;
        }
        Ok(())
    })
    .await;
}

//! Other keys for the applications, under load.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::ensure;
use e2e::load::{Application, Load, reads_again};
use serde_json::json;
use temporal_stack_common::{
    api::{ObjectStorage, annotation::ROTATE},
    s3::Code,
};

use crate::storage::{BUCKETS, for_each_engine, made, of, with_storage};

for_each_engine!(rotation_under_load_refuses_no_request);

/// How many requests an application sends with the old key after the binding has changed.
const SLOWNESS: usize = 40;

async fn rotation_under_load_refuses_no_request(engine: &str) {
    with_storage(2, async |storage| {
        let mut watch = made(storage, &of(engine, &json!({}))).await?;
        let mut bound = storage.bound(BUCKETS[0]).await?;
        let first = bound.clone();
        let application = Application::with_patience(vec![bound.address.clone()], &bound.key, Duration::ZERO);
        let load = Load::start(&application, BUCKETS[0]);
        for request in ["first", "second", "third"] {
            load.goes_on(SLOWNESS).await?;
            storage.annotate(ROTATE, &json!(request)).await?;
            let next = storage.until_rotated(BUCKETS[0], &bound).await?;
            load.goes_on(SLOWNESS).await?;
            application.set_key(&next.key);
            storage.until("the rotation", |object| is_done(object, request)).await?;
            storage.ready().await?;
            watch.step(&format!("the {request} rotation done after"));
            bound = next;
        }
        load.goes_on(SLOWNESS).await?;
        let rounds = load.end().await?;
        println!("{} puts and gets, none refused", 2 * rounds.iter().sum::<usize>());
        ensure!(application.retries.load(Ordering::Relaxed) == 0);
        reads_again(&bound.client()?, BUCKETS[0], &rounds).await?;
        // A key goes with the rotation after the one that has replaced it.
        let refused = first.client()?.list(BUCKETS[0], "", None, 1).await.expect_err("the first key");
        ensure!(refused.is(&Code::InvalidAccessKeyId), "{refused}");
        Ok(())
    })
    .await;
}

fn is_done(object: &ObjectStorage, request: &str) -> bool {
    object.status.as_ref().is_some_and(|status| status.rotation.as_deref() == Some(request))
}

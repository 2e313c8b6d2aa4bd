//! Objects survive a kill, of either engine.

use anyhow::Result;
use e2e::{Stopwatch, objects};
use temporal_stack_common::s3::{Client, Code, Existence};
use tokio::sync::watch;

use crate::engine::{Engine, for_each_engine};

const BUCKET: &str = "kept";

async fn killed_server_keeps_all_objects(mut engine: Engine) -> Result<()> {
    let client = engine.client()?;
    client.create(BUCKET, false).await?;
    let login = engine.login(BUCKET).await?;
    let mut times = Stopwatch::new();
    let user = Client::new(&engine.address(), &login)?;
    objects::put_all(&user, BUCKET).await?;
    times.step("1,000 objects put after");
    engine.kill_and_start().await?;
    times.step("killed and answers again after");
    objects::are_equal(&user, BUCKET).await?;
    times.step("1,000 objects read after");
    assert_eq!(client.exists(BUCKET).await?, Existence::Usable);
    Ok(())
}

async fn confirmed_object_is_whole_after_a_kill(mut engine: Engine) -> Result<()> {
    let client = engine.client()?;
    client.create(BUCKET, false).await?;
    let (content, puts) = (vec![7; 300 << 10], client.clone());
    let (confirmed, mut seen) = watch::channel(0);
    let copy = content.clone();
    let putting = tokio::spawn(async move {
        let mut number = 0;
        while puts.put(BUCKET, &format!("put-{number}"), copy.clone()).await.is_ok() {
            number += 1;
            confirmed.send_replace(number);
        }
        number
    });
    seen.wait_for(|number| *number >= 20).await?;
    engine.kill_and_start().await?;
    let confirmed = putting.await?;
    for number in 0..confirmed {
        assert_eq!(client.get(BUCKET, &format!("put-{number}"), objects::LIMIT).await?, content, "{number}");
    }
    // The one that was under way is absent, or whole.
    match client.get(BUCKET, &format!("put-{confirmed}"), objects::LIMIT).await {
        Ok(got) => assert_eq!(got, content),
        Err(failure) => assert!(failure.is(&Code::NoSuchKey), "{failure}"),
    }
    Ok(())
}

for_each_engine!(killed_server_keeps_all_objects, confirmed_object_is_whole_after_a_kill);

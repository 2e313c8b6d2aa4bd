//! What must not be lost.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{HANG, Session, Space, Stopwatch};
use tokio::time::{interval, timeout};

const COUNT: &str = "select count(*) from kept";

/// Adds a row, and says how many there are.
pub(crate) async fn add(space: &Space) -> Result<u32> {
    space.ready().await?;
    let session = space.connect(&space.binding().await?).await?;
    session.run("create table if not exists kept (at timestamptz not null)").await?;
    session.run("insert into kept values (now())").await?;
    Ok(session.one(COUNT).await?.parse()?)
}

/// Waits until the database answers again, and fails if a row is missing.
pub(crate) async fn are_there(space: &Space, rows: u32) -> Result<()> {
    let mut watch = Stopwatch::new();
    let mut turns = interval(Duration::from_millis(100));
    let answer = timeout(HANG, async {
        loop {
            turns.tick().await;
            if let Ok(session) = session(space).await
                && let Ok(count) = session.one(COUNT).await
            {
                return count;
            }
        }
    });
    let count: u32 = answer.await.with_context(|| format!("waited {HANG:?} for an answer of the database"))?.parse()?;
    watch.step("the database answers after another");
    ensure!(count >= rows, "{count} of {rows} rows are there");
    space.ready().await?;
    watch.step("and is Ready after another");
    Ok(())
}

async fn session(space: &Space) -> Result<Session> {
    space.connect(&space.binding().await?).await
}

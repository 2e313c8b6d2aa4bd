//! What must not be lost.

use anyhow::{Result, ensure};
use e2e::{Space, Stopwatch};

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
    let count: u32 = space.until_connects().await?.one(COUNT).await?.parse()?;
    watch.step("the database answers after another");
    ensure!(count >= rows, "{count} of {rows} rows are there");
    space.ready().await?;
    watch.step("and is Ready after another");
    Ok(())
}

//! Object storages of users, good ones and hostile ones, as far as they can be had without a node.

mod buckets;
mod hostile;
mod owners;

use anyhow::Result;
use e2e::{One, Subject as _, fake::S3, step::write_secret};
use serde_json::Value;
use temporal_stack_common::api::ObjectStorage;

/// The name of the user's Secret.
const SECRET: &str = "theirs";

/// Makes an object on a storage that answers, with these buckets.
async fn on_fake(space: &One<'_, ObjectStorage>, buckets: Value) -> Result<S3> {
    let fake = S3::start().await?;
    on(space, &fake, buckets).await?;
    Ok(fake)
}

/// Makes an object on this storage, with these buckets.
async fn on(space: &One<'_, ObjectStorage>, fake: &S3, buckets: Value) -> Result<()> {
    write_secret(space, SECRET, &fake.keys()).await?;
    let mut spec = ObjectStorage::external(SECRET);
    spec["buckets"] = buckets;
    space.create(&spec).await.map(drop)
}

//! What the API server refuses, and why.

use anyhow::{Result, bail, ensure};
use e2e::{Space, prepare::api_server, with_namespace};
use serde_json::{Value, json};

use crate::schema::{SCHEMA, put};

async fn refused(space: &Space, spec: Value, told: &str) -> Result<()> {
    let Err(error) = put(space, &spec, true).await else { bail!("{spec} was taken") };
    let error = format!("{error:?}");
    ensure!(error.contains(told), "`{told}` is not in: {error}");
    Ok(())
}

#[tokio::test]
async fn the_api_server_refuses_what_cannot_be_and_says_why() {
    let cluster = api_server().await.expect("an API server");
    let _in_force = SCHEMA.lock().await;
    with_namespace(&cluster, async |space| {
        let both = json!({"provider": {"postgres": {}, "external": {"secretName": "x"}}});
        refused(space, both, "name one of postgres and external, not both").await?;
        let no_size = json!({"provider": {"postgres": {"storage": {"size": "plenty"}}}});
        refused(space, no_size, "must be a quantity above zero").await?;
        refused(space, json!({"database": ""}), "must have 1 to 56 characters").await?;
        refused(space, json!({"username": "x".repeat(64)}), "must have 1 to 63 characters").await?;
        refused(space, json!({"deletionPolicy": "Shred"}), "Unsupported value: \"Shred\"").await
    })
    .await;
}

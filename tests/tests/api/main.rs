//! The behaviour on a real API server with its controllers, but without nodes: pods never come, and everything else does.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod bad_secret;
mod bad_spec;
mod configuration;
mod crash;
mod drift;
mod example;
mod lease;
mod namespace;
mod paused;
mod requests;
mod retention;
mod schema;
mod step;
mod taken;
mod volume;

use anyhow::Result;
use e2e::{Controller, Space, prepare::api_server, with_namespace};
use temporal_stack_common::api::PostgresDatabase;

/// Runs a test with a controller of its own.
async fn with_controller(test: impl AsyncFnOnce(&Space, &Controller) -> Result<()>) {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let controller = Controller::start::<PostgresDatabase>(space).await?;
        test(space, &controller).await
    })
    .await;
}

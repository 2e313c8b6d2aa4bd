//! The behaviour on a real API server with its controllers, but without nodes: pods never come, and everything else does.

#![expect(clippy::expect_used, clippy::large_futures, reason = "a test fails by a panic, and is one long story")]

mod bad_secret;
mod bad_spec;
mod causes;
mod chart;
mod claims;
mod configuration;
mod crash;
mod database;
mod drift;
mod example;
mod held;
mod ipfs;
mod lease;
mod memory;
mod mesh;
mod namespace;
mod paused;
mod policies;
mod provider;
mod queue;
mod requests;
mod retention;
mod roles;
mod rook;
mod schema;
mod step;
mod storage;
mod stranger;
mod suspend;
mod taken;
mod temporal;
mod users;
mod volume;

use anyhow::Result;
use e2e::{Controller, One, Subject, prepare::api_server, with_namespace};

/// Runs a test with a controller of its own.
async fn with_controller<K: Subject>(test: impl AsyncFnOnce(&One<'_, K>, &Controller) -> Result<()>) {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let controller = Controller::start::<K>(space).await?;
        test(&space.one(), &controller).await
    })
    .await;
}

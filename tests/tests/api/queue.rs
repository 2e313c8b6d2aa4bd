//! What only the queue controller does.

mod additional;
mod cookie;
mod external;
mod scale;

use e2e::{Controller, One};
use temporal_stack_common::api::MessageQueue;

/// The queue that tests make.
type Queue<'a> = One<'a, MessageQueue>;

/// Runs a test with a controller of its own.
async fn with_controller(test: impl AsyncFnOnce(&Queue<'_>, &Controller) -> anyhow::Result<()>) {
    crate::with_controller(test).await;
}

//! What the driver promises, each promise by itself: a small component against an API server in memory, under paused time.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod causes;
mod claim;
mod data;
mod failures;
mod isolation;
mod labels;
#[allow(unreachable_pub)] // the derives of its kind write it so
mod lamp;
mod members;
mod reads;
mod restarts;
mod stage;
mod status;
mod volumes;
mod watches;
mod writes;

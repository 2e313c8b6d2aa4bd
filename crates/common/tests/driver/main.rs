//! Each guarantee of the driver by itself: a small component against an API server in memory, in paused time.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod causes;
mod claim;
mod claims;
mod data;
mod deferral;
mod failures;
mod farewell;
mod isolation;
mod labels;
#[allow(unreachable_pub)] // the derives of its kind write it so
mod lamp;
mod members;
mod metrics;
mod reads;
mod restarts;
mod serving;
mod stage;
mod status;
mod suspension;
mod verification;
mod volumes;
mod watches;
mod writes;

//! An API server on a bad day: whatever it refuses, forgets, repeats or answers late, an object ends as it would have without, and
//! then the controller is quiet.
//!
//! Each test prints its seed; `TEMPORAL_STACK_SEED` runs it with another one.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod application;
mod converges;
mod restored;
mod uninstalled;

use e2e::full;

/// The seeds of a test: few by default, more with `--full`, the one that is asked for alone.
fn seeds(default: &[u64]) -> Vec<u64> {
    let asked = std::env::var("TEMPORAL_STACK_SEED").ok().and_then(|seed| seed.parse().ok());
    match asked {
        Some(seed) => vec![seed],
        None if full() => (1..=8).collect(),
        None => default.to_vec(),
    }
}

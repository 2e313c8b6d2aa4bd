//! Two strangers with one controller: whatever one writes in the own namespace, the other's objects stay as they are.
//!
//! ```text
//!   controller ── serves ──▶ victim:  an object that is as it should be, and that nobody touches
//!                       └──▶ hostile: whatever a user with `edit` can write
//!
//!   strays    pods, volumes, Secrets and ConfigMaps with the stack's labels and names
//!   metadata  annotations and labels that no controller would write
//!   sources   more configuration than memory
//!   servers   Secrets that lead to servers that answer badly
//!   specs     random specs, made of the kinds' own schemas, there and back
//!   random    the same and more, on an API server in memory: no pass panics
//! ```
//!
//! Each test prints its seed; `TEMPORAL_STACK_SEED` runs it with another one.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

/// Makes a test of each function for each kind that has children of its own.
macro_rules! for_each_kind {
    ($($test:ident),+ $(,)?) => {
        mod databases {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::PostgresDatabase>().await;
            })+
        }
        mod queues {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::MessageQueue>().await;
            })+
        }
        mod ipfs_clusters {
            $(#[tokio::test]
            async fn $test() {
                super::$test::<temporal_stack_common::api::IpfsCluster>().await;
            })+
        }
    };
}

mod metadata;
mod random;
mod servers;
mod sources;
mod specs;
mod strays;
mod victim;

/// The seed of a test.
fn seed() -> u64 {
    let asked = std::env::var("TEMPORAL_STACK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or(1);
    println!("seed {seed}");
    seed
}

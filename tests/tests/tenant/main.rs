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
//!   specs     random specs, made of the kinds' own schemas, there and back; application: the same of Temporal
//! ```
//!
//! Each test prints its seed; `TEMPORAL_STACK_SEED` runs it with another one.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod application;
mod metadata;
mod servers;
mod sources;
mod specs;
mod strays;
mod victim;

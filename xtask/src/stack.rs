//! The whole stack: `cargo xtask up`, `down` and `status`.
//!
//! ```text
//! up      node ─▶ controllers ─▶ objects ─▶ ready, or the cause why not ─▶ demo ─▶ directions
//! status  snapshot of the cluster ─▶ tree, cause
//! ```

pub mod access;
pub mod cause;
pub mod component;
pub mod demo;
pub mod directions;
pub mod down;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod forward;
mod http;
pub mod ipfs;
pub mod objects;
pub mod ready;
pub mod rollout;
pub mod snapshot;
pub mod status;
pub mod temporal;
pub mod tree;
pub mod up;
#[cfg(test)]
mod words;

pub use down::{Down, down};
pub use status::{Status, status};
pub use up::{Up, up};

use crate::controllers;

/// What selects volumes, Secrets and ConfigMaps that outlive their custom resources.
const DATA: &str = "--selector=app.kubernetes.io/managed-by=temporal-stack,temporal-stack.dev/data=true";

/// The plural names of all kinds, with their group.
fn kinds() -> Vec<String> {
    controllers::ALL
        .iter()
        .map(|controller| {
            let crd = (controller.crd)();
            format!("{}.{}", crd.spec.names.plural, crd.spec.group)
        })
        .collect()
}

//! The whole stack: `cargo xtask up`, `down` and `status`.
//!
//! ```text
//! up      node ─▶ controllers ─▶ objects ─▶ ready, or the cause ─▶ demo ─▶ directions
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

/// The selector of volumes, Secrets and ConfigMaps that outlive their custom resources.
const DATA: &str = "--selector=app.kubernetes.io/managed-by=temporal-stack,temporal-stack.dev/data=true";

/// The kinds of data beside volume claims, as `kubectl get` takes them.
const KEPT_BESIDE_VOLUMES: &str = "secrets,configmaps";

/// All kinds of data.
const ALL_DATA: &str = "persistentvolumeclaims,secrets,configmaps";

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

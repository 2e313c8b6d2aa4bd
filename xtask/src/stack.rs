//! The whole stack: `cargo xtask up`, `down` and `status`.
//!
//! ```text
//! up      node ─▶ controllers ─▶ objects ─▶ ready, or the cause ─▶ demo ─▶ directions
//! status  snapshot of the cluster ─▶ tree, cause
//! ```

pub mod access;
pub mod cause;
pub mod cloud_native_pg;
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

use anyhow::Result;

use crate::controllers;
use crate::kubectl::Kubectl;
use crate::step::Step;

/// The selector of volumes, Secrets and ConfigMaps that outlive their custom resources.
const DATA: &str = "--selector=app.kubernetes.io/managed-by=temporal-stack,temporal-stack.dev/data=true";

/// The kinds of data beside volume claims, as `kubectl get` takes them.
const KEPT_BESIDE_VOLUMES: &str = "secrets,configmaps";

/// The kinds of data that every cluster has.
const ALL_DATA: &str = "persistentvolumeclaims,secrets,configmaps";

/// Kinds of others whose objects the stack keeps as data, where they are installed.
const DATA_OF_OTHERS: [&str; 2] = ["clusters.postgresql.cnpg.io", "objectbucketclaims.objectbucket.io"];

/// All kinds of data that the cluster has, as `kubectl get` takes them.
fn data_kinds(step: &Step, kubectl: &Kubectl) -> Result<String> {
    let list = ["api-resources", "--namespaced", "--verbs=list", "--output=name"];
    Ok(with_kinds_of_others(&kubectl.command(step).args(list).read()?))
}

/// The same, from the names of the kinds that are served.
fn with_kinds_of_others(served: &str) -> String {
    let is_served = |kind: &&str| served.lines().any(|line| line.trim() == *kind);
    let others = DATA_OF_OTHERS.into_iter().filter(is_served);
    [ALL_DATA].into_iter().chain(others).collect::<Vec<_>>().join(",")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_others_count_where_they_are_served() {
        assert_eq!(with_kinds_of_others("pods\nclusters.example.com\n"), ALL_DATA);
        let served = "configmaps\nclusters.postgresql.cnpg.io\nobjectbucketclaims.objectbucket.io\n";
        assert_eq!(with_kinds_of_others(served), format!("{ALL_DATA},{}", DATA_OF_OTHERS.join(",")));
    }
}

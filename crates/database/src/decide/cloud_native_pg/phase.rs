//! The phases of CloudNativePG, in the words of this component. Its own are constants in `api/v1/cluster_types.go`; those of version
//! 1.30.0 are known.

use temporal_stack_common::{condition::Reason, failure::printable};

use crate::{cloud_native_pg::ClusterStatus, reason};

/// The phase of a cluster that does nothing.
pub(crate) const HEALTHY: &str = "Cluster in healthy state";

/// A phase: the word of CloudNativePG, the reason, what it means, and what the user can do.
struct Phase(&'static str, Reason, &'static str, &'static str);

const PHASES: &[Phase] = &[
    Phase("Setting up primary", reason::CLUSTER_PENDING, "the first server is being set up", "wait for it"),
    Phase("Creating a new replica", reason::UNDER_REPLICATED, "a replica is being created", "wait for it"),
    Phase(
        "Waiting for the instances to become active",
        reason::UNDER_REPLICATED,
        "servers are not active",
        "check the pods of the cluster",
    ),
    Phase("Switchover in progress", reason::PRIMARY_CHANGING, "another server is becoming the primary", "wait for it"),
    Phase(
        "Failing over",
        reason::PRIMARY_CHANGING,
        "the primary failed, and another server takes its place",
        "wait for it",
    ),
    Phase("Promoting to primary cluster", reason::PRIMARY_CHANGING, "the cluster is being promoted", "wait for it"),
    Phase("Upgrading cluster", reason::ROLLING_OUT, "servers are being upgraded", "wait for them"),
    Phase(
        "Cluster upgrade delayed",
        reason::ROLLING_OUT,
        "the upgrade waits for those of other clusters",
        "wait for it, or lower CLUSTERS_ROLLOUT_DELAY of the operator",
    ),
    Phase(
        "Upgrading Postgres major version",
        reason::ROLLING_OUT,
        "the servers are stopped, and their major version is being upgraded",
        "wait for it; if its Job fails, set the image back",
    ),
    Phase(
        "Primary instance is being restarted in-place",
        reason::ROLLING_OUT,
        "the primary is restarting",
        "wait for it",
    ),
    Phase(
        "Primary instance is being restarted without a switchover",
        reason::ROLLING_OUT,
        "the primary is restarting",
        "wait for it",
    ),
    Phase(
        "Online upgrade in progress",
        reason::ROLLING_OUT,
        "the instance managers are being upgraded",
        "wait for them",
    ),
    Phase("Applying configuration", reason::ROLLING_OUT, "the configuration is being applied", "wait for it"),
    Phase(
        "Waiting for user action",
        reason::USER_ACTION_REQUIRED,
        "the primary must be restarted, and the cluster is supervised",
        "promote a replica, or set spec.primaryUpdateStrategy of the Cluster to unsupervised",
    ),
    Phase(
        "Invalid cluster definition",
        reason::CLUSTER_REFUSED,
        "the definition is invalid",
        "correct the field in spec.provider.cloudNativePg, or in the Cluster",
    ),
    Phase(
        "Cluster has incomplete or invalid image catalog",
        reason::CLUSTER_REFUSED,
        "the catalogue has no image for the version",
        "correct spec.provider.cloudNativePg.imageCatalogRef, or the catalogue",
    ),
    Phase(
        "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
        reason::CLUSTER_REFUSED,
        "a plugin is not installed",
        "install the plugin, or remove it from the Cluster",
    ),
    Phase(
        "Cluster cannot proceed to reconciliation due to an error while interacting with plugins",
        reason::CLUSTER_FAILED,
        "a plugin failed",
        "check the log of the plugin",
    ),
    Phase(
        "Unable to create required cluster objects",
        reason::CLUSTER_FAILED,
        "objects of the cluster cannot be created",
        "check the permissions of the operator, quotas and policies",
    ),
    Phase(
        "Cluster is unrecoverable and needs manual intervention",
        reason::CLUSTER_FAILED,
        "no server can become the primary",
        "recover a backup into a Cluster of your own, and name it by provider external",
    ),
    Phase(
        "Cluster cannot execute instance online upgrade due to missing architecture binary",
        reason::CLUSTER_FAILED,
        "the operator has no program for the architecture of a machine",
        "use an image of the operator for all architectures",
    ),
];

/// What a phase other than the healthy one means, with its remedy.
pub(super) fn trouble(name: &str, status: &ClusterStatus) -> Option<(Reason, String)> {
    if status.phase == HEALTHY {
        return None;
    }
    let why = printable(&status.phase_reason);
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    let known = PHASES.iter().find(|Phase(phase, ..)| *phase == status.phase);
    Some(if let Some(Phase(_, reason, meaning, remedy)) = known {
        (*reason, format!("Cluster/{name}: {meaning}{why}; {remedy}"))
    } else {
        let phase = printable(&status.phase);
        let message = format!("Cluster/{name}: CloudNativePG reports {phase:?}{why}; check the log of its operator");
        (reason::CLUSTER_PENDING, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(phase: &str, phase_reason: &str) -> Option<(Reason, String)> {
        let status = ClusterStatus {
            phase: phase.to_owned(),
            phase_reason: phase_reason.to_owned(),
            ..ClusterStatus::default()
        };
        trouble("c", &status)
    }

    #[test]
    fn healthy_phase_is_no_trouble() {
        assert_eq!(phase(HEALTHY, ""), None);
    }

    #[test]
    fn known_phase_has_a_reason_and_a_remedy() {
        let (reason, message) = phase("Failing over", "c-1 is down").unwrap();
        assert_eq!(reason, reason::PRIMARY_CHANGING);
        assert!(message.contains("(c-1 is down); wait"), "{message}");
        for Phase(word, ..) in PHASES {
            let (_, message) = phase(word, "").unwrap();
            assert!(message.starts_with("Cluster/c: ") && message.contains("; "), "{message}");
            assert!(!message.contains("CloudNativePG reports"), "found as unknown: {message}");
        }
    }

    #[test]
    fn unknown_phase_is_quoted() {
        let (reason, message) = phase("Painting it green", "").unwrap();
        assert_eq!(reason, reason::CLUSTER_PENDING);
        assert!(message.contains("Painting it green"), "{message}");
    }
}

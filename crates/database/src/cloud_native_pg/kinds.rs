//! CloudNativePG's `Cluster`: the fields that are written or read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    LocalObjectReference, NodeAffinity, PodAffinity, PodAntiAffinity, Toleration, TopologySpreadConstraint,
};
use kube::{CustomResource, ResourceExt};
use serde::{Deserialize, Serialize};
use temporal_stack_common::api::{DataDurability, ImageCatalogKind, Resources, SynchronousMethod};

use crate::names::{HIBERNATION, HIBERNATION_ON};

/// The group of CloudNativePG.
pub(crate) const GROUP: &str = "postgresql.cnpg.io";
/// The version that the controller speaks.
pub(crate) const VERSION: &str = "v1";

/// A cluster of servers.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Cluster",
    namespaced,
    status = "ClusterStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterSpec {
    /// The number of servers.
    pub(crate) instances: i32,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_name: Option<String>,
    /// The image by a catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_catalog_ref: Option<CatalogReference>,
    /// As whom the server runs.
    #[serde(rename = "postgresUID", skip_serializing_if = "Option::is_none")]
    pub(crate) postgres_uid: Option<i64>,
    /// See `postgres_uid`.
    #[serde(rename = "postgresGID", skip_serializing_if = "Option::is_none")]
    pub(crate) postgres_gid: Option<i64>,
    /// Whether the superuser has a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enable_superuser_access: Option<bool>,
    /// The Secret with the superuser's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) superuser_secret: Option<SecretReference>,
    /// How the first server gets its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bootstrap: Option<Bootstrap>,
    /// The `ServiceAccount` of the servers, which must exist; absent: one that CloudNativePG creates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_account_name: Option<String>,
    /// The volume of each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage: Option<ClusterStorage>,
    /// The volume of each server's write-ahead log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wal_storage: Option<ClusterStorage>,
    /// Compute resources of each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Resources>,
    /// Settings of PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postgresql: Option<Postgresql>,
    /// Where the pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) affinity: Option<Placement>,
    /// How the pods are spread.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The `PriorityClass` of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority_class_name: Option<String>,
    /// Secrets with logins for registries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) image_pull_secrets: Vec<LocalObjectReference>,
    /// Labels and annotations of all that the operator creates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inherited_metadata: Option<Inherited>,
}

/// A catalogue of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CatalogReference {
    pub(crate) api_group: String,
    pub(crate) kind: ImageCatalogKind,
    pub(crate) name: String,
    pub(crate) major: i32,
}

/// A Secret in the namespace of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretReference {
    pub(crate) name: String,
}

/// How the first server gets its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Bootstrap {
    /// By `initdb`; absent: from a backup, for instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) initdb: Option<InitDb>,
}

/// The database that the first server has from the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InitDb {
    pub(crate) database: String,
    pub(crate) owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locale_collate: Option<String>,
    #[serde(rename = "localeCType", skip_serializing_if = "Option::is_none")]
    pub(crate) locale_ctype: Option<String>,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterStorage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
}

/// Settings of PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Postgresql {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) synchronous: Option<SynchronousReplicas>,
}

/// Synchronous replication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SynchronousReplicas {
    pub(crate) method: SynchronousMethod,
    pub(crate) number: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_durability: Option<DataDurability>,
}

/// Where the pods run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Placement {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) node_selector: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tolerations: Vec<Toleration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_affinity: Option<NodeAffinity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) additional_pod_affinity: Option<PodAffinity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) additional_pod_anti_affinity: Option<PodAntiAffinity>,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Inherited {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What CloudNativePG reports about a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterStatus {
    /// What the operator is doing, in its words.
    pub(crate) phase: String,
    /// Why.
    pub(crate) phase_reason: String,
    /// The number of servers that exist.
    pub(crate) instances: i32,
    /// The number of those that are ready.
    pub(crate) ready_instances: i32,
    /// The pod of the primary.
    pub(crate) current_primary: String,
    /// The pod that should be the primary.
    pub(crate) target_primary: String,
    /// The image in use.
    pub(crate) image: String,
    /// The image of the data directory.
    #[serde(rename = "pgDataImageInfo")]
    pub(crate) data_image: DataImage,
    /// Claims that are being resized.
    #[serde(rename = "resizingPVC")]
    pub(crate) resizing: Vec<String>,
    /// Claims that no server can use.
    #[serde(rename = "unusablePVC")]
    pub(crate) unusable: Vec<String>,
    /// The certificates of the servers.
    pub(crate) certificates: Certificates,
    /// Where the servers are.
    pub(crate) topology: Topology,
    /// The program of the operator.
    #[serde(rename = "cloudNativePGOperatorHash")]
    pub(crate) operator: String,
    /// Its conditions.
    pub(crate) conditions: Vec<ClusterCondition>,
}

/// The image of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DataImage {
    pub(crate) major_version: i32,
}

/// Where the servers are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Topology {
    /// On how many machines.
    pub(crate) nodes_used: i32,
}

/// The certificates of the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Certificates {
    /// When each ends, by its Secret: `2026-12-24 18:00:00 +0000 UTC`.
    pub(crate) expirations: BTreeMap<String, String>,
}

/// A condition of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) message: String,
}

impl Cluster {
    /// Whether it is to run no server.
    pub(crate) fn is_hibernated(&self) -> bool {
        self.annotations().get(HIBERNATION).is_some_and(|value| value == HIBERNATION_ON)
    }
}

impl ClusterStatus {
    /// A condition of the cluster.
    pub(crate) fn condition(&self, kind: &str) -> Option<&ClusterCondition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the primary is the one that it should be.
    pub(crate) fn has_primary(&self) -> bool {
        !self.current_primary.is_empty() && self.current_primary == self.target_primary
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_of_a_healthy_cluster_is_read() {
        // As version 1.30.0 writes it, shortened.
        let cluster: Cluster = serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "c", "generation": 3},
            "spec": {"instances": 3, "storage": {"size": "10Gi", "resizeInUseVolumes": true}, "logLevel": "info"},
            "status": {
                "phase": "Cluster in healthy state", "instances": 3, "readyInstances": 3, "currentPrimary": "c-1",
                "targetPrimary": "c-1", "image": "localhost/postgres:17", "cloudNativePGOperatorHash": "abc",
                "pgDataImageInfo": {"image": "localhost/postgres:17", "majorVersion": 17}, "resizingPVC": ["c-2"],
                "certificates": {"clientCASecret": "c-ca", "expirations": {"c-ca": "2027-02-28 18:00:00 +0000 UTC"}},
                "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterIsReady", "message": "ready"}],
            },
        }))
        .unwrap();
        let status = cluster.status.unwrap();
        assert!(status.has_primary() && status.condition("Ready").unwrap().status == "True");
        assert_eq!((status.operator.as_str(), status.resizing.len(), status.data_image.major_version), ("abc", 1, 17));
        assert_eq!(status.certificates.expirations.len(), 1);
        assert_eq!(cluster.spec.storage.unwrap().size.as_deref(), Some("10Gi"));
    }

    #[test]
    fn only_fields_that_are_set_are_written() {
        let written = serde_json::to_value(ClusterSpec { instances: 1, ..ClusterSpec::default() }).unwrap();
        assert_eq!(written, json!({"instances": 1}));
    }
}

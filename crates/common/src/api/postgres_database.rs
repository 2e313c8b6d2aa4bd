use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Access, BindingReference, CloudNativePgProvider, ConfigSource, DeletionPolicy, ExternalSecret, PodSettings,
    Resources, Rollout, SecretKey, Storage,
};
use crate::impl_status;

/// A PostgreSQL database with a login for one application. It is Ready when the controller has run SQL as the application.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "temporal-stack.dev",
    version = "v1alpha1",
    kind = "PostgresDatabase",
    namespaced,
    status = "PostgresDatabaseStatus",
    category = "temporal-stack",
    shortname = "pgdb",
    derive = "PartialEq",
    doc = "A PostgreSQL database with a login for one application. It is Ready when the controller has run SQL as the application.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    validation = ("!has(self.spec.provider) || !has(self.spec.provider.cloudNativePg) || self.metadata.name.size() <= 33", "metadata.name: at most 33 characters with the provider cloudNativePg, because CloudNativePG allows a Cluster 50"),
    validation = ("!has(self.spec.suspend) || !self.spec.suspend || !has(self.spec.provider) || !has(self.spec.provider.external)", "spec.suspend has no effect with provider external: nothing runs here that could stop; remove it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Database", type_ = "string", json_path = ".status.database"),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.provider) || !has(self.provider.cloudNativePg) || !has(self.pods) || !has(self.pods.runtimeClassName)", "pods.runtimeClassName: CloudNativePG has no such setting; remove it, or use another provider"),
    validation = ("!has(self.provider) || !has(self.provider.cloudNativePg) || !has(self.pods) || !has(self.pods.serviceAccountName)", "pods.serviceAccountName: CloudNativePG creates an account with the permissions that its servers need; remove it, or use another provider")
)]
pub struct PostgresDatabaseSpec {
    /// Where the database runs: exactly one of the providers. Absent: `postgres`, a server that this controller runs. A change moves
    /// the data, except to `external`; the database takes no clients while they are copied.
    #[serde(default)]
    pub provider: PostgresDatabaseProvider,
    /// Name of the database. Absent: `POSTGRES_DB` of the ConfigMap, else the database in use, else the name of this object. A
    /// later change creates the new database and keeps the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 56", "must have 1 to 56 characters"))]
    pub database: Option<String>,
    /// Name of the application's login. Absent: `POSTGRES_USER` of the ConfigMap, else the named one in use, else two generated
    /// logins that alternate at each rotation. A named login is rotated in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 63", "must have 1 to 63 characters"))]
    pub username: Option<String>,
    /// The Secret with the password of a named login. Absent: `POSTGRES_PASSWORD` of the ConfigMap, else a generated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKey>,
    /// The user's configuration. Absent: the ConfigMap `postgres-config`, if it exists.
    #[serde(default)]
    pub config: ConfigSource,
    /// Who may connect to the pods: clients, operators and monitoring.
    #[serde(default)]
    pub access: Access,
    /// Settings of the pods: where they run, and as whom.
    #[serde(default)]
    pub pods: PodSettings,
    /// Whether the volume and its Secrets are kept when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When the server is restarted if only the controller is newer.
    #[serde(default)]
    pub rollout: Rollout,
    /// Stops all pods and keeps everything else: volumes, Secrets, Services and the binding. `false` starts them again. While it is
    /// `true`, the condition `Suspended` takes the place of `Ready`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Where the database runs: exactly one of these, or none for the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("[has(self.postgres), has(self.cloudNativePg), has(self.external)].filter(named, named).size() <= 1", "provider: name one of postgres, cloudNativePg and external, not several"))]
pub struct PostgresDatabaseProvider {
    /// A server with one primary that this controller runs: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresProvider>,
    /// A primary with replicas that CloudNativePG runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePgProvider>,
    /// A database that runs elsewhere. The Secret has the keys `host`, `port` (5432 if absent), `username`, `password` and
    /// `database`, or `uri` (`postgresql://user:password@host:5432/database`); other common spellings are accepted too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSecret>,
}

/// A PostgreSQL server that this controller runs: a `StatefulSet` with one primary and a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresProvider {
    /// The volume of the data directory.
    #[serde(default)]
    pub storage: Storage,
    /// The container image. Absent: the controller's default (`RELATED_IMAGE_POSTGRES` in its environment). A data directory
    /// belongs to one major version; an image of another one is refused before the server restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Compute resources of the server. Absent: requests of 100m CPU and 256Mi memory, a memory limit of 1Gi.
    #[serde(default)]
    pub resources: Resources,
    /// Settings of `postgresql.conf`, for instance `{max_connections: "200"}`. Settings that the controller manages (addresses,
    /// directories, authentication) are refused. A change restarts the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// The observed state of the database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresDatabaseStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them; `ConfigHonoured` reports which settings of the user were
    /// changed or refused; with CloudNativePG, `Delegated`, `FailoverReady` and others report the state of its cluster. Each message
    /// names the remedy.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// UIDs of the volume claims with which the object was Ready, by name. A claim of the same name with another UID is reported
    /// in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The Secret that an application needs to use the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// Name of the database that the binding leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The login that the binding holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Version of the server, for instance `17.11`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The value of the annotation `temporal-stack.dev/rotate` for which the binding's login was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// The `Cluster` of CloudNativePG that has the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterReference>,
}

/// A `Cluster` of CloudNativePG.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReference {
    /// Its name, in the same namespace.
    pub name: String,
    /// Its UID: another one means that it was deleted and recreated, without the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its newest generation that CloudNativePG was seen to have taken up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

impl_status!(PostgresDatabaseStatus);

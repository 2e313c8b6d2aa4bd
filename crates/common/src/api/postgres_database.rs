use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Access, BindingReference, ConfigSource, DeletionPolicy, ExternalSecret, Resources, Rollout, SecretKey, Status,
    Storage,
};

/// A PostgreSQL database with a login for one application. It is Ready when the controller has run SQL on it as the
/// application would.
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
    doc = "A PostgreSQL database with a login for one application. It is Ready when the controller has run SQL on it as the application would.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Database", type_ = "string", json_path = ".status.database"),
    printcolumn(name = "Binding", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PostgresDatabaseSpec {
    /// Where the database runs: exactly one of the providers. Absent: `postgres`, a server made by this controller.
    #[serde(default)]
    pub provider: PostgresDatabaseProvider,
    /// Name of the database. Absent: `POSTGRES_DB` of the ConfigMap, else the one in use, else the name of this object. A
    /// later change makes the new database and keeps the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 56", "must have 1 to 56 characters"))]
    pub database: Option<String>,
    /// Name of the application's login. Absent: `POSTGRES_USER` of the ConfigMap, else the named one in use, else two logins
    /// made by the controller that take turns at each rotation. A named login is rotated in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 63", "must have 1 to 63 characters"))]
    pub username: Option<String>,
    /// Where the password of a named login stands. Absent: `POSTGRES_PASSWORD` of the ConfigMap, else a generated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKey>,
    /// The user's configuration. Absent: the ConfigMap `postgres-config`, if there is one.
    #[serde(default)]
    pub config: ConfigSource,
    /// Who may connect to the pods, and who may collect metrics.
    #[serde(default)]
    pub access: Access,
    /// What becomes of the volume and its Secrets when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When the server is restarted for a newer controller's sake.
    #[serde(default)]
    pub rollout: Rollout,
}

/// Where the database runs: exactly one of these, or none for the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(has(self.postgres) && has(self.external))", "provider: name one of postgres and external, not both"))]
pub struct PostgresDatabaseProvider {
    /// A server of one primary that this controller makes and keeps: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresProvider>,
    /// A database that runs elsewhere. The Secret has the keys `host`, `port` (5432 if absent), `username`, `password` and
    /// `database`, or `uri` (`postgresql://user:password@host:5432/database`); other common spellings are read too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSecret>,
}

/// A PostgreSQL server made by this controller: a `StatefulSet` of one primary with a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresProvider {
    /// The volume of the data directory.
    #[serde(default)]
    pub storage: Storage,
    /// The container image. Absent: the controller's default (its environment's `RELATED_IMAGE_POSTGRES`). A data directory
    /// is of one major version: another one does not start on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Compute resources of the server. Absent: requests of 100m CPU and 256Mi memory, a memory limit of 1Gi.
    #[serde(default)]
    pub resources: Resources,
    /// Settings of `postgresql.conf`, for instance `{max_connections: "200"}`. Those that the controller decides
    /// (addresses, directories, authentication) are refused. A change restarts the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// What is known of the database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresDatabaseStatus {
    /// The generation of the spec that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus reads them; `ConfigHonoured` says what became of the user's
    /// configuration. Each message says what to do next.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The volume claims that the object has been Ready with, by name: their UIDs. A claim of the same name and another UID is
    /// reported in the condition `VolumesKept`.
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
    /// The value of the annotation `temporal-stack.dev/rotate` that the binding's login was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
}

impl Status for PostgresDatabaseStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>) {
        self.observed_generation = generation;
        self.conditions = conditions;
    }

    fn volumes(&self) -> BTreeMap<String, String> {
        self.volumes.clone()
    }

    fn record_volumes(&mut self, volumes: BTreeMap<String, String>) {
        self.volumes = volumes;
    }
}

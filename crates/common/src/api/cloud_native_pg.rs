use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Resources, Storage};

/// A cluster of servers that CloudNativePG runs: one primary, and replicas that take its place when it fails. The controller writes
/// CloudNativePG's `Cluster` `<name>-postgresdatabase` with these fields only; what others set beside them is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!(has(self.image) && has(self.imageCatalogRef))", "name one of image and imageCatalogRef, not both"),
    validation = ("!has(self.synchronous) || self.synchronous.number < self.instances", "synchronous.number: must be below instances, because the primary does not count"),
    validation = ("(has(self.runAsUser) ? self.runAsUser : 26) == (has(oldSelf.runAsUser) ? oldSelf.runAsUser : 26)", "runAsUser: cannot change, because the files on the volumes belong to it"),
    validation = ("has(self.walStorage) || !has(oldSelf.walStorage)", "walStorage: cannot be removed, because the write-ahead log is on that volume")
)]
pub struct CloudNativePgProvider {
    /// Number of servers, 1 to 9: the primary and its replicas. All but one may fail without loss of the database; with one, there
    /// is no replica to take its place.
    #[serde(default = "CloudNativePgProvider::default_instances")]
    #[x_kube(validation = ("self >= 1 && self <= 9", "must be 1 to 9"))]
    pub instances: i32,
    /// The container image, with a tag that starts with the version of PostgreSQL, such as `17.6`. Absent, without
    /// `imageCatalogRef`: the default of CloudNativePG's operator when the cluster is created, which then stays. CloudNativePG
    /// upgrades to a newer major version; no version can be lowered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The image by a catalogue of CloudNativePG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_catalog_ref: Option<ImageCatalogReference>,
    /// User and group as whom the server runs, which must exist in the image. Absent: 26, as in the images of CloudNativePG; other
    /// images have 999, for instance. It cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self >= 1", "must be above zero"))]
    pub run_as_user: Option<i64>,
    /// The volume of each server.
    #[serde(default)]
    pub storage: Storage,
    /// A volume of its own for the write-ahead log of each server. Absent: it is on the volume of the data. It cannot be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal_storage: Option<Storage>,
    /// Compute resources of each server. Absent: none are requested, and nothing is limited.
    #[serde(default)]
    pub resources: Resources,
    /// Settings of `postgresql.conf`, for instance `{max_connections: "200"}`. CloudNativePG refuses those that it manages, and
    /// restarts the servers one after the other where a change needs that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Replicas that must have a transaction before it is committed. Absent: none, so a failover may lose the newest transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<Synchronous>,
}

/// An image by a catalogue of CloudNativePG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageCatalogReference {
    /// The kind of the catalogue.
    #[serde(default)]
    pub kind: ImageCatalogKind,
    /// Its name.
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 253", "must name a catalogue"))]
    pub name: String,
    /// The major version of PostgreSQL.
    #[x_kube(validation = ("self >= 13 && self <= 99", "must be a major version that CloudNativePG supports, such as 17"))]
    pub major: i32,
}

/// The kind of a catalogue of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImageCatalogKind {
    /// In the namespace of the database.
    #[default]
    ImageCatalog,
    /// For the whole cluster.
    ClusterImageCatalog,
}

/// Synchronous replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Synchronous {
    /// Which replicas count.
    #[serde(default)]
    pub method: SynchronousMethod,
    /// How many replicas must have a transaction before it is committed.
    #[x_kube(validation = ("self >= 1 && self <= 8", "must be 1 to 8"))]
    pub number: i32,
    /// What happens when there are too few replicas.
    #[serde(default)]
    pub data_durability: DataDurability,
}

/// Which replicas count for a synchronous commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SynchronousMethod {
    /// Any of them: the fastest.
    #[default]
    Any,
    /// The first of a list by priority.
    First,
}

/// What happens to commits when there are too few replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataDurability {
    /// They wait: no committed transaction is lost.
    #[default]
    Required,
    /// They continue with the replicas that there are.
    Preferred,
}

impl CloudNativePgProvider {
    fn default_instances() -> i32 {
        3
    }
}

impl Default for CloudNativePgProvider {
    fn default() -> Self {
        Self {
            instances: Self::default_instances(),
            image: None,
            image_catalog_ref: None,
            run_as_user: None,
            storage: Storage::default(),
            wal_storage: None,
            resources: Resources::default(),
            parameters: BTreeMap::new(),
            synchronous: None,
        }
    }
}

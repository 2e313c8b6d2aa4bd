use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, BindingReference, DeletionPolicy, ExternalSecret, PodSettings, Resources, Rollout, Storage};
use crate::impl_status;

/// An object storage with buckets that speak S3, each with an access key of its own. It is Ready when the controller has written,
/// listed, read and deleted an object in every bucket with that key, and was refused with it elsewhere.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "temporal-stack.dev",
    version = "v1alpha1",
    kind = "ObjectStorage",
    plural = "objectstorages",
    namespaced,
    status = "ObjectStorageStatus",
    category = "temporal-stack",
    shortname = "objst",
    derive = "PartialEq",
    doc = "An object storage with buckets that speak S3, each with an access key of its own. It is Ready when the controller has written, listed, read and deleted an object in every bucket with that key, and was refused with it elsewhere.",
    validation = ("self.metadata.name.size() <= 35", "metadata.name: at most 35 characters, because the names of Services and pods are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "metadata.name: must be a DNS label that starts with a letter, because Services are named after it"),
    validation = ("!has(self.spec.suspend) || !self.spec.suspend || !has(self.spec.provider) || !has(self.spec.provider.rook)", "spec.suspend has no effect with provider rook: nothing runs here that could stop; remove it"),
    validation = ("!has(self.spec.suspend) || !self.spec.suspend || !has(self.spec.provider) || !has(self.spec.provider.external)", "spec.suspend has no effect with provider external: nothing runs here that could stop; remove it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".status.provider"),
    printcolumn(name = "Buckets", type_ = "string", json_path = ".status.conditions[?(@.type==\"BucketsReady\")].status"),
    printcolumn(name = "Drives", type_ = "string", json_path = ".status.conditions[?(@.type==\"DrivesHealthy\")].status"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.engineVersion", priority = 1),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStorageSpec {
    /// Where the objects are stored: exactly one of the providers. Absent: `minio`, servers that this controller runs. It cannot
    /// change while there are data: create another `ObjectStorage`, and copy the buckets with `storage-controller copy`.
    #[serde(default)]
    pub provider: ObjectStorageProvider,
    /// The buckets, at most 32. Each has a binding, the Secret `<name>-objectstorage-<bucket>-binding`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub buckets: Vec<Bucket>,
    /// Who may connect to the pods: clients, operators and monitoring. MinIO serves all three at one port. Absent clients are the
    /// pods of this namespace, because an engine may have flaws that a password does not prevent.
    #[serde(default)]
    pub access: Access,
    /// Settings of the pods: where they run, and as whom.
    #[serde(default)]
    pub pods: PodSettings,
    /// Whether the volumes and their Secrets are kept when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// When servers are restarted if only the controller is newer.
    #[serde(default)]
    pub rollout: Rollout,
    /// Stops all pods and keeps everything else: volumes, Secrets, Services and the binding. `false` starts them again. While it is
    /// `true`, the condition `Suspended` takes the place of `Ready`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Where the objects are stored: exactly one of these, or none for the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("[has(self.minio), has(self.versity), has(self.rook), has(self.external)].filter(named, named).size() <= 1", "provider: name one of minio, versity, rook and external, not several"),
    validation = ("(has(self.minio) ? self.minio.servers : 1) == (has(oldSelf.minio) ? oldSelf.minio.servers : 1) || has(oldSelf.versity) || has(oldSelf.rook) || has(oldSelf.external)", "provider.minio.servers: cannot change, because the number and order of drives is written on each of them; create another ObjectStorage and copy the buckets"),
    validation = ("(has(self.minio) ? self.minio.drivesPerServer : 1) == (has(oldSelf.minio) ? oldSelf.minio.drivesPerServer : 1) || has(oldSelf.versity) || has(oldSelf.rook) || has(oldSelf.external)", "provider.minio.drivesPerServer: cannot change, because the number and order of drives is written on each of them; create another ObjectStorage and copy the buckets")
)]
pub struct ObjectStorageProvider {
    /// Servers of the MinIO family that this controller runs: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minio: Option<MinioProvider>,
    /// A Versity S3 Gateway that this controller runs: one small server that keeps objects as plain files. It has no expiration
    /// and no quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versity: Option<VersityProvider>,
    /// Buckets of a Ceph cluster that Rook runs: one `ObjectBucketClaim` for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rook: Option<RookProvider>,
    /// Any S3 that runs elsewhere. The Secret has the keys `endpoint` (`https://host:port`), `access-key-id` and
    /// `secret-access-key`, and may have `region` (`us-east-1` if absent), `addressing-style` (`path` or `virtual-host`; `path` if
    /// absent), `ca.crt` and `account-id` (of AWS, which must own the buckets). All bindings have its key, which is not restricted to
    /// one bucket. A bucket that exists is used only if its tag `temporal-stack.dev/owner` or the annotation
    /// `temporal-stack.dev/adopt-bucket` shows that it belongs to this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSecret>,
}

/// Servers of the MinIO family that this controller runs: a `StatefulSet` with a volume for each drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.servers > 1 || self.drivesPerServer in [1, 4]", "drivesPerServer: a single server has 1 drive, or 4 with erasure coding; more drives need 4 servers or more"))]
pub struct MinioProvider {
    /// Number of servers: 1, or 4 to 16. With four or more, each object is spread over the drives of several servers, so that half
    /// of the drives can be lost without loss of data. It cannot change.
    #[serde(default = "MinioProvider::default_servers")]
    #[x_kube(validation = ("self == 1 || (self >= 4 && self <= 16)", "must be 1, or 4 to 16: two or three servers cannot form a majority that survives the loss of one and spread the objects"))]
    pub servers: i32,
    /// Number of drives of each server, 1 to 16; a single server has 1 or 4. It cannot change.
    #[serde(default = "MinioProvider::default_drives")]
    #[x_kube(validation = ("self >= 1 && self <= 16", "must be 1 to 16"))]
    pub drives_per_server: i32,
    /// The volume of each drive. If it grows, the volumes of all drives grow; the smallest one counts.
    #[serde(default)]
    pub storage: Storage,
    /// The container image: MinIO, or a compatible fork, which uses the same volumes. Absent: the controller's default
    /// (`RELATED_IMAGE_MINIO` in its environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Compute resources of each server. Absent: requests of 100m CPU and 256Mi memory, a memory limit of 512Mi. The server's heap
    /// is kept below 80 % of the limit.
    #[serde(default)]
    pub resources: Resources,
}

impl MinioProvider {
    fn default_servers() -> i32 {
        1
    }

    fn default_drives() -> i32 {
        1
    }
}

impl Default for MinioProvider {
    fn default() -> Self {
        Self {
            servers: Self::default_servers(),
            drives_per_server: Self::default_drives(),
            storage: Storage::default(),
            image: None,
            resources: Resources::default(),
        }
    }
}

/// A Versity S3 Gateway that this controller runs: a `StatefulSet` of one server with one volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersityProvider {
    /// The volume. Its file system must have extended attributes.
    #[serde(default)]
    pub storage: Storage,
    /// The container image. Absent: the controller's default (`RELATED_IMAGE_VERSITY` in its environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Compute resources of the server. Absent: requests of 50m CPU and 64Mi memory, a memory limit of 256Mi.
    #[serde(default)]
    pub resources: Resources,
}

/// Buckets of a Ceph cluster that Rook runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RookProvider {
    /// Name of the StorageClass for buckets, whose provisioner ends in `ceph.rook.io/bucket`.
    #[x_kube(validation = ("self.size() >= 1 && self.size() <= 253", "must name a StorageClass"))]
    pub storage_class_name: String,
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.objectLock) || self.versioning", "objectLock needs versioning: set it to true"),
    validation = ("has(self.objectLock) == has(oldSelf.objectLock) && (!has(self.objectLock) || (self.objectLock.mode == oldSelf.objectLock.mode && self.objectLock.days == oldSelf.objectLock.days))", "objectLock: cannot change, because no engine accepts it for a bucket that exists; create another bucket and copy the objects")
)]
pub struct Bucket {
    /// Name of the bucket, by the rules of S3: 3 to 63 lower-case letters, digits, hyphens and dots. The provider `rook` adds a
    /// part of its own.
    #[x_kube(
        validation = ("self.size() >= 3 && self.size() <= 63 && self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')", "must have 3 to 63 lower-case letters, digits, hyphens and dots, and begin and end with a letter or digit"),
        validation = ("!self.matches('^[0-9]+([.][0-9]+){3}$') && !self.matches('^(xn--|sthree-|amzn-s3-demo-)') && !self.matches('(-s3alias|--ol-s3|[.]mrap|--x-s3|--table-s3)$')", "must not be an IP address, nor have a prefix or suffix that S3 reserves")
    )]
    #[schemars(length(min = 3, max = 63))]
    pub name: String,
    /// Whether earlier versions of objects are kept. If it is turned off, existing versions stay.
    #[serde(default)]
    pub versioning: bool,
    /// How long objects cannot be deleted or overwritten. It cannot change, and needs `versioning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_lock: Option<ObjectLock>,
    /// Objects are deleted this many days after they were written. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self >= 1 && self <= 36500", "must be 1 to 36500 days"))]
    pub expiration_days: Option<u32>,
    /// The most bytes that the bucket may hold, for instance `5Gi`. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = ("self.matches('^[1-9][0-9]*(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$')", "must be a quantity of bytes above zero, such as 5Gi"))]
    pub quota: Option<String>,
    /// What happens to the bucket when it leaves this list. `Retain` keeps it with its objects. `Delete` deletes it when it is
    /// empty; with objects only if the annotation `temporal-stack.dev/delete-bucket` of this object confirms it, by the bucket's name and
    /// the object's generation; the condition `BucketsReady` has the command.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// How long objects cannot be deleted or overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectLock {
    /// Who may delete an object before its time.
    pub mode: LockMode,
    /// For how many days after it was written.
    #[x_kube(validation = ("self >= 1 && self <= 36500", "must be 1 to 36500 days"))]
    pub days: u32,
}

/// Who may delete a locked object before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LockMode {
    /// The administrator of the engine.
    Governance,
    /// No one.
    Compliance,
}

/// The observed state of the object storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStorageStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them; `BucketsReady` reports whether each bucket is as specified,
    /// `DrivesHealthy` whether all drives are in use, `StorageAvailable` whether they have free space, and `EngineMaintained` what
    /// is known of the engine's version. Each message names the remedy.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// UIDs of the volume claims with which the object was Ready, by name. A claim of the same name with another UID is reported
    /// in the condition `VolumesKept`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, String>,
    /// The provider that has the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Version of the engine, if it reports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// The buckets that exist, and those that are leaving.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub buckets: Vec<BucketStatus>,
    /// The value of the annotation `temporal-stack.dev/rotate` for which the keys of all bindings were created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
}

impl_status!(ObjectStorageStatus);

/// How a bucket of an object storage elsewhere came to belong to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BucketOrigin {
    /// It did not exist, and this object is about to create it.
    Creating,
    /// This object created it.
    Created,
    /// It existed, and the annotation `temporal-stack.dev/adopt-bucket` confirmed that this object takes it over.
    Adopted,
}

/// The observed state of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketStatus {
    /// Name in the spec.
    pub name: String,
    /// The Secret that an application needs to use the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingReference>,
    /// How a bucket of an object storage elsewhere came to belong to this object. Absent: nothing shows that it does, so it is
    /// never deleted; or the whole storage belongs to this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<BucketOrigin>,
    /// The policy that applies when the bucket leaves the spec.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// The value of the annotation `temporal-stack.dev/rotate` for which the binding's key was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
}

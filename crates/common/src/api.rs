//! The API of the stack: group, names, spec fragments that kinds share, and the kinds themselves, one per file.
//!
//! Nothing here has a client or decides anything, so programs that only *use* the stack (tests, dashboards, other
//! controllers) can depend on this module alone.

pub mod check;
// The derives of schemas repeat their structs in private modules.
#[allow(unreachable_pub)]
mod cloud_native_pg;
#[allow(unreachable_pub)]
mod fragment;
#[allow(unreachable_pub)]
mod ipfs_cluster;
#[allow(unreachable_pub)]
mod mesh;
#[allow(unreachable_pub)]
mod mesh_status;
#[allow(unreachable_pub)]
mod message_queue;
#[allow(unreachable_pub)]
mod object_storage;
#[allow(unreachable_pub)]
mod pods;
#[allow(unreachable_pub)]
mod postgres_database;
#[allow(unreachable_pub)]
mod temporal;

pub use cloud_native_pg::{
    CloudNativePgProvider, DataDurability, ImageCatalogKind, ImageCatalogReference, Synchronous, SynchronousMethod,
};
pub use fragment::{
    Access, BindingReference, ConfigSource, DeletionPolicy, ExternalSecret, Resources, Rollout, SecretKey, Storage,
};
pub use ipfs_cluster::{
    Exposure, IpfsCluster, IpfsClusterProvider, IpfsClusterSpec, IpfsClusterStatus, KuboProvider, Network, Peer, Pins,
    Replication, ServiceType,
};
pub use mesh::{
    Allowed, Clients, ComponentKind, ComponentReference, DefaultInboundPolicy, Mesh, MeshSpec, Policy,
    ServiceAccountReference, Switch,
};
pub use mesh_status::{Audit, Certificates, ComponentProxies, DeniedEdge, EdgeTraffic, MeshStatus, TrafficClass};
pub use message_queue::{MessageQueue, MessageQueueProvider, MessageQueueSpec, MessageQueueStatus, RabbitmqProvider};
pub use object_storage::{
    Bucket, BucketOrigin, BucketStatus, LockMode, MinioProvider, ObjectLock, ObjectStorage, ObjectStorageProvider,
    ObjectStorageSpec, ObjectStorageStatus, RookProvider, VersityProvider,
};
pub use pods::{PodSecurity, PodSettings};
pub use postgres_database::{
    ClusterReference, PostgresDatabase, PostgresDatabaseProvider, PostgresDatabaseSpec, PostgresDatabaseStatus,
    PostgresProvider,
};
pub use temporal::{
    Admin, Bridge, Krab, Reference, Temporal, TemporalApi, TemporalIngress, TemporalSpec, TemporalStatus, TemporalTls,
    Worker, Workers,
};

use std::collections::BTreeMap;

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Resource, core::object::HasStatus};
use serde::{Serialize, de::DeserializeOwned};

/// The API group of every kind of the stack.
pub const GROUP: &str = "temporal-stack.dev";
/// The API version of every kind of the stack.
pub const VERSION: &str = "v1alpha1";
/// The category that every kind belongs to: `kubectl get temporal-stack` lists the whole.
pub const CATEGORY: &str = "temporal-stack";

/// Labels that the controllers write and read.
pub mod label {
    /// The manager of the object; [`STACK`] on everything that a controller of the stack creates.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`].
    pub const STACK: &str = "temporal-stack";
    /// The component that created the object: `database`, `queue`, …
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// The name of the custom resource that the object belongs to.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// The product that a pod runs: `postgresql`, `rabbitmq`, …
    pub const NAME: &str = "app.kubernetes.io/name";
    /// `true` on data: volumes, and Secrets without which a volume cannot be opened. They outlive their custom resource.
    pub const DATA: &str = "temporal-stack.dev/data";
    /// Set to `true` by users on their own ConfigMaps and Secrets, so that edits are applied immediately.
    pub const CONFIG: &str = "temporal-stack.dev/config";
    /// `true` on bindings, so that components that refer to them notice changes immediately.
    pub const BINDING: &str = "temporal-stack.dev/binding";
}

/// Annotations that the controllers write and read.
pub mod annotation {
    /// Hash of the intent that was last applied to the object.
    pub const INTENT: &str = "temporal-stack.dev/intent";
    /// Hash of the parts of the object that the API server refuses to change.
    pub const MADE: &str = "temporal-stack.dev/made";
    /// UID of the custom resource that data belongs to; data have no owner reference while the policy is `Retain`.
    pub const OWNER: &str = "temporal-stack.dev/owner";
    /// On a workload that was stopped because its object is suspended: the replicas that it had.
    pub const SUSPENDED_REPLICAS: &str = "temporal-stack.dev/suspended-replicas";
    /// On a workload: the pod template that was applied last, as JSON.
    pub const APPLIED: &str = "temporal-stack.dev/applied-template";
    /// On a pod template: hash of what the user asked for. A pod that has another one is restarted.
    pub const ROLL: &str = "temporal-stack.dev/roll";
    /// On a pod template: prefix of further annotations that restart pods like [`ROLL`], one for each additional setting. An
    /// annotation that an earlier version did not write counts as unchanged, so adding one restarts no pod.
    pub const ROLL_PART: &str = "roll.temporal-stack.dev/";
    /// On a pod template: hash of the configuration that a pod reads when it starts.
    pub const CONFIG: &str = "temporal-stack.dev/config-hash";
    /// Set by users on a custom resource: while it is `true`, nothing is applied, and nothing is written to the product.
    pub const PAUSED: &str = "temporal-stack.dev/paused";
    /// Set by users on a custom resource: each new value requests one rotation of its credentials.
    pub const ROTATE: &str = "temporal-stack.dev/rotate";
    /// Set by users on a custom resource: each new value permits one full stop and start, which the exchange of a secret that all
    /// pods share requires.
    pub const FULL_RESTART: &str = "temporal-stack.dev/full-restart";
    /// On data that are deleted with their object: their own UID. Objects restored from a copy have another UID, and are not
    /// deleted.
    pub const RECORDED: &str = "temporal-stack.dev/recorded";
    /// Set by users on a custom resource: the UIDs of recreated volume claims, separated by commas. It confirms that the data of
    /// the previous volumes are lost.
    pub const ACCEPT_VOLUMES: &str = "temporal-stack.dev/accept-volumes";
    /// Set by users on an `ObjectStorage`: `BUCKET@GENERATION`, a bucket that has left the spec, and the generation of the object since
    /// then. It confirms that the bucket is deleted with all of its objects, until the next edit of the spec.
    pub const DELETE_BUCKET: &str = "temporal-stack.dev/delete-bucket";
    /// Set by users on an `ObjectStorage`: `BUCKET@GENERATION`, or several with commas. It confirms, until the next edit of the spec,
    /// that a bucket of an object storage elsewhere belongs to this object from now on.
    pub const ADOPT_BUCKET: &str = "temporal-stack.dev/adopt-bucket";
    /// Set by users on a custom resource: each new value requests one restart of its pods.
    pub const RESTART: &str = "temporal-stack.dev/restart";
}

/// The parts of a kind's status that the driver reads and writes.
pub trait Status: Default + Serialize + PartialEq + Clone + Send + Sync {
    /// The conditions of the status.
    fn conditions(&self) -> &[Condition];
    /// Replaces the conditions, and sets the generation that they describe.
    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>);
    /// The UIDs of the volume claims with which the object was Ready, by name.
    fn volumes(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    /// Replaces them; a kind without volumes records none.
    fn record_volumes(&mut self, _volumes: BTreeMap<String, String>) {}
}

/// A custom resource that a component can own.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Status>
    + Serialize
    + DeserializeOwned
    + Clone
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Status>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static
{
}

/// Implements [`Status`] for a type with the fields `observed_generation`, `conditions` and `volumes`.
#[macro_export]
macro_rules! impl_status {
    ($status:ty) => {
        impl $crate::api::Status for $status {
            fn conditions(&self) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
                &self.conditions
            }

            fn report(
                &mut self,
                generation: Option<i64>,
                conditions: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
            ) {
                self.observed_generation = generation;
                self.conditions = conditions;
            }

            fn volumes(&self) -> std::collections::BTreeMap<String, String> {
                self.volumes.clone()
            }

            fn record_volumes(&mut self, volumes: std::collections::BTreeMap<String, String>) {
                self.volumes = volumes;
            }
        }
    };
}

//! The API of the stack: group, names, spec fragments that kinds share, and the kinds themselves, one a file.
//!
//! Nothing here has a client or decides anything, so programs that only *use* the stack (tests, dashboards, other
//! controllers) can depend on this module alone.

pub mod check;
// The derives of schemas repeat their structs where nobody can reach them.
#[allow(unreachable_pub)]
mod fragment;
#[allow(unreachable_pub)]
mod ipfs_cluster;
#[allow(unreachable_pub)]
mod message_queue;
#[allow(unreachable_pub)]
mod postgres_database;
#[allow(unreachable_pub)]
mod temporal;

pub use fragment::{
    Access, BindingReference, ConfigSource, DeletionPolicy, ExternalSecret, Resources, Rollout, SecretKey, Storage,
};
pub use ipfs_cluster::{
    Exposure, IpfsCluster, IpfsClusterProvider, IpfsClusterSpec, IpfsClusterStatus, KuboProvider, Network, Peer, Pins,
    Replication, ServiceType,
};
pub use message_queue::{MessageQueue, MessageQueueProvider, MessageQueueSpec, MessageQueueStatus, RabbitmqProvider};
pub use postgres_database::{
    PostgresDatabase, PostgresDatabaseProvider, PostgresDatabaseSpec, PostgresDatabaseStatus, PostgresProvider,
};
pub use temporal::{
    Admin, Bridge, Krab, Reference, Temporal, TemporalApi, TemporalIngress, TemporalSpec, TemporalStatus, TemporalTls,
    Worker, Workers,
};

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The API group of every kind of the stack.
pub const GROUP: &str = "temporal-stack.dev";
/// The version that every kind of the stack is served in.
pub const VERSION: &str = "v1alpha1";
/// The category that every kind belongs to: `kubectl get temporal-stack` lists the whole.
pub const CATEGORY: &str = "temporal-stack";

/// Labels that the controllers write and read.
pub mod label {
    /// Who manages the object; [`STACK`] on everything that a controller of the stack makes.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`].
    pub const STACK: &str = "temporal-stack";
    /// Which component made the object: `database`, `queue`, …
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// The name of the custom resource that the object belongs to.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// The product that a pod runs: `postgresql`, `rabbitmq`, …
    pub const NAME: &str = "app.kubernetes.io/name";
    /// `true` on data: volumes, and Secrets without which a volume cannot be opened. They outlive their custom resource.
    pub const DATA: &str = "temporal-stack.dev/data";
    /// Set to `true` by users on their own ConfigMaps and Secrets, so that an edit is acted on at once.
    pub const CONFIG: &str = "temporal-stack.dev/config";
    /// `true` on bindings, so that those who refer to a component hear of a change at once.
    pub const BINDING: &str = "temporal-stack.dev/binding";
}

/// Annotations that the controllers write and read.
pub mod annotation {
    /// Hash of the intent that was last applied to the object.
    pub const INTENT: &str = "temporal-stack.dev/intent";
    /// Hash of the parts of the object that the API server refuses to change.
    pub const MADE: &str = "temporal-stack.dev/made";
    /// UID of the custom resource that data belongs to; data have no owner reference while they are to be retained.
    pub const OWNER: &str = "temporal-stack.dev/owner";
    /// On a pod template: hash of what the user asked for. A pod that has another one is restarted.
    pub const ROLL: &str = "temporal-stack.dev/roll";
    /// On a pod template: beginning of the annotations with one more wish of the user's each, which restarts pods like [`ROLL`].
    /// A wish that an earlier version did not write down is no change, so adding one restarts nobody.
    pub const ROLL_PART: &str = "roll.temporal-stack.dev/";
    /// On a pod template: hash of the configuration that a pod reads at its start.
    pub const CONFIG: &str = "temporal-stack.dev/config-hash";
    /// Set by users on a custom resource: while it is `true`, nothing is applied and nothing is told to the product.
    pub const PAUSED: &str = "temporal-stack.dev/paused";
    /// Set by users on a custom resource: each new value asks for one rotation of its credentials.
    pub const ROTATE: &str = "temporal-stack.dev/rotate";
    /// Set by users on a custom resource: each new value permits one full stop and start, which a secret that all pods share
    /// needs to be exchanged.
    pub const FULL_RESTART: &str = "temporal-stack.dev/full-restart";
    /// On data that go with their object: their own UID. What was restored from a copy has another, and is not deleted.
    pub const RECORDED: &str = "temporal-stack.dev/recorded";
    /// Set by users on a custom resource: the UIDs of volume claims that were deleted and made again, separated by commas. The user
    /// knows that what was on the volumes before is not on these.
    pub const ACCEPT_VOLUMES: &str = "temporal-stack.dev/accept-volumes";
    /// Set by users on a custom resource: each new value asks for one restart of its pods.
    pub const RESTART: &str = "temporal-stack.dev/restart";
}

/// What the driver needs to know of the status of a kind.
pub trait Status: Default {
    /// The conditions of the status.
    fn conditions(&self) -> &[Condition];
    /// Replaces the conditions, and says which generation they are about.
    fn report(&mut self, generation: Option<i64>, conditions: Vec<Condition>);
    /// The volume claims that the object has been Ready with, by name: their UIDs.
    fn volumes(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    /// Replaces them; a kind without volumes records none.
    fn record_volumes(&mut self, _volumes: BTreeMap<String, String>) {}
}

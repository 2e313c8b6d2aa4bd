//! The roles of Temporal: one program, started with different commands.

use temporal_stack_common::{
    api::{Resources, TemporalSpec, Worker},
    workload::DefaultResources,
};

/// A role of Temporal without a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The HTTP API.
    Api,
    /// Pins uploaded files.
    Cluster,
    /// Pins in private networks.
    Pin,
    /// Creates IPFS keys in the key server.
    KeyCreation,
    /// Publishes IPNS records.
    IpnsEntry,
    /// Sends e-mail.
    EmailSend,
}

/// The default resources of all but the API.
pub(crate) const DEFAULT_RESOURCES: DefaultResources =
    DefaultResources { cpu: "5m", memory: "32Mi", memory_limit: "256Mi" };

/// The queue workers.
pub(crate) const WORKERS: [Role; 5] = [Role::Cluster, Role::Pin, Role::KeyCreation, Role::IpnsEntry, Role::EmailSend];

/// All roles, in the order in which they start.
pub(crate) const ROLES: [Role; 6] =
    [Role::Cluster, Role::Pin, Role::KeyCreation, Role::IpnsEntry, Role::EmailSend, Role::Api];

impl Role {
    /// The last part of its Deployment's name, the name of its container, and the value of the label [`ROLE`](crate::names::ROLE).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cluster => "cluster",
            Self::Pin => "pin",
            Self::KeyCreation => "key-creation",
            Self::IpnsEntry => "ipns-entry",
            Self::EmailSend => "email-send",
        }
    }

    /// The subcommand after the program's flags.
    pub(crate) fn command(self) -> &'static [&'static str] {
        match self {
            Self::Api => &["api"],
            Self::Cluster => &["queue", "ipfs", "cluster"],
            Self::Pin => &["queue", "ipfs", "pin"],
            Self::KeyCreation => &["queue", "ipfs", "key-creation"],
            Self::IpnsEntry => &["queue", "ipfs", "ipns-entry"],
            Self::EmailSend => &["queue", "email-send"],
        }
    }

    /// The queue that it consumes.
    pub(crate) fn queue(self) -> Option<&'static str> {
        match self {
            Self::Api => None,
            Self::Cluster => Some("ipfs-cluster-add-queue"),
            Self::Pin => Some("ipfs-pin-queue"),
            Self::KeyCreation => Some("ipfs-key-creation-queue"),
            Self::IpnsEntry => Some("ipns-entry-queue"),
            Self::EmailSend => Some("email-send-queue"),
        }
    }

    /// The field of the spec with the number of its pods.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Api => "spec.api.replicas",
            Self::Cluster => "spec.workers.cluster.replicas",
            Self::Pin => "spec.workers.pin.replicas",
            Self::KeyCreation => "spec.workers.keyCreation.replicas",
            Self::IpnsEntry => "spec.workers.ipnsEntry.replicas",
            Self::EmailSend => "spec.workers.emailSend.replicas",
        }
    }

    /// Whether it uses Kubo or IPFS Cluster.
    pub(crate) fn uses_ipfs(self) -> bool {
        matches!(self, Self::Api | Self::Cluster | Self::Pin)
    }

    /// Whether it uses the key server.
    pub(crate) fn uses_krab(self) -> bool {
        matches!(self, Self::Api | Self::KeyCreation | Self::IpnsEntry)
    }

    /// The number of pods in the spec.
    pub(crate) fn replicas(self, spec: &TemporalSpec) -> i32 {
        self.worker(spec).map_or(spec.api.replicas, |worker| worker.replicas)
    }

    /// The resources in the spec.
    pub(crate) fn resources(self, spec: &TemporalSpec) -> &Resources {
        self.worker(spec).map_or(&spec.api.resources, |worker| &worker.resources)
    }

    fn worker(self, spec: &TemporalSpec) -> Option<&Worker> {
        let workers = &spec.workers;
        match self {
            Self::Api => None,
            Self::Cluster => Some(&workers.cluster),
            Self::Pin => Some(&workers.pin),
            Self::KeyCreation => Some(&workers.key_creation),
            Self::IpnsEntry => Some(&workers.ipns_entry),
            Self::EmailSend => Some(&workers.email_send),
        }
    }

    /// The default resources.
    pub(crate) fn default_resources(self) -> DefaultResources {
        match self {
            Self::Api => DefaultResources { cpu: "20m", memory: "64Mi", memory_limit: "2Gi" },
            _ => DEFAULT_RESOURCES,
        }
    }
}

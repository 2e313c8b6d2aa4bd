//! The parts of Temporal: one program, started with different words.

use temporal_stack_common::{
    api::{Resources, Temporal},
    readiness::Program,
    workload::Usual,
};

/// A part of Temporal that has no volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The HTTP API.
    Api,
    /// Pins what was uploaded.
    Cluster,
    /// Pins in private networks.
    Pin,
    /// Makes IPFS keys in the key server.
    KeyCreation,
    /// Publishes IPNS records.
    IpnsEntry,
    /// Sends e-mail.
    EmailSend,
}

/// The queue workers.
pub(crate) const WORKERS: [Role; 5] = [Role::Cluster, Role::Pin, Role::KeyCreation, Role::IpnsEntry, Role::EmailSend];

/// The containers whose resources the user sets.
pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("api", "spec.api.resources", "16Mi"),
    Program::new("migrate", "spec.api.resources", "16Mi"),
    Program::new("account", "spec.api.resources", "16Mi"),
    Program::new("cluster", "spec.workers.cluster.resources", "16Mi"),
    Program::new("pin", "spec.workers.pin.resources", "16Mi"),
    Program::new("key-creation", "spec.workers.keyCreation.resources", "16Mi"),
    Program::new("ipns-entry", "spec.workers.ipnsEntry.resources", "16Mi"),
    Program::new("email-send", "spec.workers.emailSend.resources", "16Mi"),
    Program::new("krab", "spec.krab.resources", "16Mi"),
];

impl Role {
    /// The last part of its Deployment's name, and the value of the label [`ROLE`](crate::desire::ROLE).
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

    /// The words after the program's flags.
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

    /// The field of the spec that says how many there are.
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

    /// Whether it speaks with Kubo or IPFS Cluster.
    pub(crate) fn uses_ipfs(self) -> bool {
        matches!(self, Self::Api | Self::Cluster | Self::Pin)
    }

    /// Whether it speaks with the key server.
    pub(crate) fn uses_krab(self) -> bool {
        matches!(self, Self::Api | Self::KeyCreation | Self::IpnsEntry)
    }

    /// How many pods the user wants.
    pub(crate) fn replicas(self, object: &Temporal) -> i32 {
        let workers = &object.spec.workers;
        match self {
            Self::Api => object.spec.api.replicas,
            Self::Cluster => workers.cluster.replicas,
            Self::Pin => workers.pin.replicas,
            Self::KeyCreation => workers.key_creation.replicas,
            Self::IpnsEntry => workers.ipns_entry.replicas,
            Self::EmailSend => workers.email_send.replicas,
        }
    }

    /// The resources that the user wants.
    pub(crate) fn resources(self, object: &Temporal) -> &Resources {
        let workers = &object.spec.workers;
        match self {
            Self::Api => &object.spec.api.resources,
            Self::Cluster => &workers.cluster.resources,
            Self::Pin => &workers.pin.resources,
            Self::KeyCreation => &workers.key_creation.resources,
            Self::IpnsEntry => &workers.ipns_entry.resources,
            Self::EmailSend => &workers.email_send.resources,
        }
    }

    /// The resources where the user says nothing.
    pub(crate) fn usual(self) -> Usual {
        match self {
            Self::Api => Usual { cpu: "20m", memory: "64Mi", memory_limit: "2Gi" },
            _ => Usual { cpu: "5m", memory: "32Mi", memory_limit: "256Mi" },
        }
    }
}

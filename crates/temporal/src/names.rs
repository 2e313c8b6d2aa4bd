//! What things are called: in the cluster after the object, within Temporal as its source has it.

use kube::ResourceExt;
use temporal_stack_common::{api::Temporal, volume::claim_name};

/// The longest name of an object: Services and pods are named after it.
pub(crate) const MOST_NAME: usize = 35;
/// The port of the API: the program's default.
pub(crate) const API: u16 = 6767;
/// The port of the key server.
pub(crate) const KRAB: u16 = 10000;
/// The port of Kubo's RPC, on which the bridge listens, too.
pub(crate) const RPC: u16 = 5001;
/// The port of IPFS Cluster's REST API, on which the bridge listens, too.
pub(crate) const REST: u16 = 9094;
/// The port of the bridge's own health and metrics.
pub(crate) const BRIDGE_ADMIN: u16 = 9080;
/// The database that the program has built in.
pub(crate) const DATABASE: &str = "temporal";
/// Where the key server has its keys.
pub(crate) const KEYSTORE: &str = "/var/lib/temporal/krab";
/// Where the worker of IPNS keeps what it publishes.
pub(crate) const RTNS: &str = "/var/lib/temporal/rtns";

/// The queues that the program publishes to, or consumes from.
pub(crate) const QUEUES: [&str; 9] = [
    "ipfs-cluster-add-queue",
    "ipfs-pin-queue",
    "ipfs-key-creation-queue",
    "ipns-entry-queue",
    "email-send-queue",
    "dash-payment-confirmation-queue",
    "eth-payment-confirmation-queue",
    "bitcoin-cash-payment-confirmation-queue",
    "ens-request-queue",
];

/// The tables that a migration makes: those of the program's ten models.
pub(crate) const TABLES: [&str; 10] = [
    "uploads",
    "encrypted_uploads",
    "users",
    "payments",
    "ip_ns",
    "hosted_networks",
    "zones",
    "records",
    "usages",
    "organizations",
];

/// What all names begin with.
pub(crate) fn base(object: &Temporal) -> String {
    format!("{}-temporal", object.name_any())
}

/// A child, by the last part of its name.
pub(crate) fn child(object: &Temporal, part: &str) -> String {
    format!("{}-{part}", base(object))
}

/// The key server: `StatefulSet`, Service and `NetworkPolicy`.
pub(crate) fn krab(object: &Temporal) -> String {
    child(object, "krab")
}

/// The Service of the API, and its Deployment.
pub(crate) fn api(object: &Temporal) -> String {
    child(object, "api")
}

/// A Service as clients within the cluster call it.
pub(crate) fn host(object: &Temporal, service: &str) -> String {
    format!("{service}.{}.svc", object.namespace().unwrap_or_default())
}

/// The volume claim of the key server.
pub(crate) fn volume(object: &Temporal) -> String {
    claim_name(&format!("{}-0", krab(object)))
}

/// The Secret with the keys that are drawn once: data.
pub(crate) fn keys(object: &Temporal) -> String {
    child(object, "keys")
}

/// The Secret with the keys of the certificates that the controller makes: data.
pub(crate) fn certificate_keys(object: &Temporal) -> String {
    child(object, "certificate-keys")
}

/// The Secret with the certificate that the controller makes.
pub(crate) fn certificate(object: &Temporal) -> String {
    child(object, "certificate")
}

/// The Secret with the environment of the API and the workers.
pub(crate) fn environment(object: &Temporal) -> String {
    child(object, "environment")
}

/// The Secret with the environment of the key server.
pub(crate) fn krab_environment(object: &Temporal) -> String {
    child(object, "krab-environment")
}

/// The Secret that clients read.
pub(crate) fn binding(object: &Temporal) -> String {
    child(object, "binding")
}

//! What things are called: in the cluster after the object, on the broker after pods.

use kube::ResourceExt;
use temporal_stack_common::{api::MessageQueue, volume::claim_name};

/// The field of the spec with the resources of the containers.
pub(crate) const RESOURCES: &str = "spec.provider.rabbitmq.resources";
/// The controller's own administrator on the brokers that it makes.
pub(crate) const ADMINISTRATOR: &str = "temporal-stack-administrator";
/// The port for applications.
pub(crate) const AMQP: u16 = 5672;
/// The port of the management API.
pub(crate) const MANAGEMENT: u16 = 15672;
/// The port for Prometheus.
pub(crate) const METRICS: u16 = 15692;
/// Where nodes ask each other for the port of the next.
pub(crate) const EPMD: u16 = 4369;
/// The port on which nodes speak with each other.
pub(crate) const CLUSTERING: u16 = 25672;

/// The most nodes that a cluster may have. Lists that depend on their number are written for it, so scaling restarts nobody.
pub(crate) const MOST_NODES: i32 = 5;

/// The `StatefulSet` and the Service for clients.
pub(crate) fn set(object: &MessageQueue) -> String {
    format!("{}-messagequeue", object.name_any())
}

/// The headless Service that gives pods their names.
pub(crate) fn pods(object: &MessageQueue) -> String {
    format!("{}-pods", set(object))
}

/// The pod with this ordinal.
pub(crate) fn pod(object: &MessageQueue, ordinal: i32) -> String {
    format!("{}-{ordinal}", set(object))
}

/// What node names end with. Without the cluster's domain, which the resolver's search path adds, so that any will do.
pub(crate) fn suffix(object: &MessageQueue) -> String {
    format!("{}.{}.svc", pods(object), object.namespace().unwrap_or_default())
}

/// The host name of the pod with this ordinal.
pub(crate) fn host(object: &MessageQueue, ordinal: i32) -> String {
    format!("{}.{}", pod(object, ordinal), suffix(object))
}

/// The Erlang node in the pod with this ordinal.
pub(crate) fn node(object: &MessageQueue, ordinal: i32) -> String {
    format!("rabbit@{}", host(object, ordinal))
}

/// The volume claim of the pod with this ordinal.
pub(crate) fn volume(object: &MessageQueue, ordinal: i32) -> String {
    claim_name(&pod(object, ordinal))
}

/// The Secret of the n-th cookie.
pub(crate) fn cookie(object: &MessageQueue, number: u32) -> String {
    format!("{}-cookie-{number}", set(object))
}

/// The Secret of the administrator.
pub(crate) fn administrator(object: &MessageQueue) -> String {
    format!("{}-administrator", set(object))
}

/// The ConfigMap with the broker's configuration.
pub(crate) fn config(object: &MessageQueue) -> String {
    format!("{}-config", set(object))
}

/// The ConfigMap that tells a node with an empty volume whom to join.
pub(crate) fn members(object: &MessageQueue) -> String {
    format!("{}-members", set(object))
}

/// The Secret that applications read.
pub(crate) fn binding(object: &MessageQueue) -> String {
    format!("{}-binding", set(object))
}

//! All names: in the cluster after the object, on the broker after pods.

use std::collections::BTreeMap;

pub(crate) use temporal_stack_common::names::Names;
use temporal_stack_common::{login::Form, port, readiness::Program, workload};

/// The component's name: label value, field manager, event reporter and Lease.
pub(crate) const COMPONENT: &str = "queue";
/// The Secret that is read for the Erlang cookie.
pub(crate) const CONFIG: &str = "rabbitmq-config";
/// The field of the spec with the resources of the containers.
const RESOURCES: &str = "spec.provider.rabbitmq.resources";
/// The field of the spec with the volume of each node.
pub(crate) const STORAGE: &str = "spec.provider.rabbitmq.storage";
/// The init container that waits for the other nodes before the first start.
pub(crate) const PREPARE: &str = "prepare";
/// The containers, with the field that sets their resources.
pub(crate) const PROGRAMS: &[Program] =
    &[Program::new(PREPARE, RESOURCES, "128Mi"), Program::new("rabbitmq", RESOURCES, "128Mi")];
/// The controller's own administrator on the brokers that it creates.
pub(crate) const ADMINISTRATOR: &str = "temporal-stack-administrator";
/// The key of the virtual host, in the user's Secret and in bindings.
pub(crate) const VIRTUAL_HOST: &str = "virtual-host";
/// The form of bindings.
pub(crate) const BINDING: Form = Form { type_: "rabbitmq", scheme: "amqp", scope: VIRTUAL_HOST };
/// The port for applications.
pub(crate) const AMQP: u16 = port::AMQP.number;
/// The port of the management API.
pub(crate) const MANAGEMENT: u16 = port::MANAGEMENT.number;
/// The port for Prometheus.
pub(crate) const METRICS: u16 = port::RABBITMQ_METRICS.number;
/// The port of the Erlang port mapper.
pub(crate) const EPMD: u16 = port::EPMD.number;
/// The port for traffic between nodes.
pub(crate) const CLUSTERING: u16 = port::CLUSTERING.number;
/// The key of the ConfigMap that lists the members of the cluster.
pub(crate) const MEMBERS: &str = "members";
/// The maximum number of nodes. Lists that depend on it are written for the maximum, so scaling restarts no pod.
pub(crate) const MOST_NODES: i32 = 5;
/// How many names a message lists.
pub(crate) const LISTED: usize = 5;

/// The ConfigMap with the broker's configuration.
pub(crate) fn config(names: &Names) -> String {
    names.child("config")
}

/// The ConfigMap with the members that a node with an empty volume must join.
pub(crate) fn members(names: &Names) -> String {
    names.child("members")
}

/// The Secret of the administrator.
pub(crate) fn administrator(names: &Names) -> String {
    names.child("administrator")
}

/// The Secret of the n-th cookie.
pub(crate) fn cookie(names: &Names, number: u32) -> String {
    names.child(format_args!("cookie-{number}"))
}

/// The Erlang node in the pod with this ordinal.
pub(crate) fn node(names: &Names, ordinal: i32) -> String {
    format!("rabbit@{}", names.pod_host(ordinal))
}

/// The ordinal of the pod that a node is in.
pub(crate) fn ordinal(names: &Names, node: &str) -> Option<i32> {
    (0..MOST_NODES).find(|ordinal| self::node(names, *ordinal) == node)
}

/// The nodes that a cluster of `replicas` does not need, in the order of leaving: the last one first.
pub(crate) fn leavers<'a>(names: &Names, nodes: impl IntoIterator<Item = &'a str>, replicas: i32) -> Vec<String> {
    let members = nodes.into_iter().filter_map(|node| Some((ordinal(names, node)?, node)));
    let mut leavers: Vec<_> = members.filter(|(ordinal, _)| *ordinal >= replicas).collect();
    leavers.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
    leavers.into_iter().map(|(_, node)| node.to_owned()).collect()
}

/// The number of nodes in a spec, within bounds even if the spec bypassed the schema.
pub(crate) fn node_count(replicas: i32) -> usize {
    usize::try_from(replicas.clamp(1, MOST_NODES)).unwrap_or(1)
}

/// The labels by which pods are found.
pub(crate) fn selector(names: &Names) -> BTreeMap<String, String> {
    workload::selector("rabbitmq", COMPONENT, &names.object)
}

/// The ports of a node.
pub(crate) const PORTS: [port::Port; 5] =
    [port::EPMD, port::AMQP, port::MANAGEMENT, port::RABBITMQ_METRICS, port::CLUSTERING];

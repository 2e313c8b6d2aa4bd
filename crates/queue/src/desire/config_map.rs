//! ConfigMaps: the broker's configuration, and the members of the cluster.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use temporal_stack_common::{api::MessageQueue, manifest::bytes};

use super::stateful_set::memory_limit;
use crate::{
    additional,
    names::{self, AMQP, MANAGEMENT, METRICS},
    observe::Embedded,
};

/// The key of the broker's configuration.
const CONFIG: &str = "rabbitmq.conf";
/// The key of the members.
const MEMBERS: &str = "members";

/// What all nodes read when they start.
pub(super) fn config(object: &MessageQueue, embedded: &Embedded) -> ConfigMap {
    let plugins = "[rabbitmq_management,rabbitmq_prometheus].\n";
    config_map(
        names::config(object),
        [(CONFIG, rabbitmq_conf(object, embedded)), ("enabled_plugins", plugins.to_owned())],
    )
}

/// Whom a node with an empty volume has to join: one whose volume was lost must not found a cluster of its own beside them.
pub(super) fn members(object: &MessageQueue, members: &[String]) -> ConfigMap {
    config_map(names::members(object), [(MEMBERS, members.join("\n") + "\n")])
}

/// The members that a ConfigMap names.
pub(crate) fn members_of(config_map: &ConfigMap) -> Vec<String> {
    let text = config_map.data.as_ref().and_then(|data| data.get(MEMBERS));
    text.map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
}

fn config_map<const N: usize>(name: String, keys: [(&str, String); N]) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        data: Some(keys.into_iter().map(|(key, text)| (key.to_owned(), text)).collect::<BTreeMap<_, _>>()),
        ..ConfigMap::default()
    }
}

/// The broker's configuration: what the controller decides, what follows from the pod's limits and its volume unless the user
/// says otherwise, and the user's own lines.
pub(super) fn rabbitmq_conf(object: &MessageQueue, embedded: &Embedded) -> String {
    let mut conf = String::new();
    let mut set = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(conf, "{key} = {value}");
    };
    for (key, value) in decided(object) {
        set(key, &value);
    }
    let mine = &embedded.provider.additional_config;
    let limits = limits(embedded);
    // A node would count the machine's memory otherwise.
    if let Some(memory) = memory_limit(&embedded.provider.resources).and_then(|limit| bytes(&limit.0)) {
        set("total_memory_available_override_value", &memory.to_string());
    }
    let watermark =
        limits.map(|limits| limits.watermark).filter(|_| !additional::sets(mine, "vm_memory_high_watermark."));
    let usual =
        [("vm_memory_high_watermark.absolute", watermark), ("disk_free_limit.absolute", disk_free_limit(embedded))];
    for (key, value) in usual {
        if let Some(value) = value {
            set(key, &value.to_string());
        }
    }
    if !mine.trim().is_empty() {
        let _ = writeln!(conf, "\n# spec.provider.rabbitmq.additionalConfig\n{}", mine.trim_end());
    }
    conf
}

/// How much must be free on the volume, in bytes, unless the user says it.
pub(super) fn disk_free_limit(embedded: &Embedded) -> Option<u64> {
    let is_users = additional::sets(&embedded.provider.additional_config, "disk_free_limit.");
    limits(embedded).map(|limits| limits.disk_free).filter(|_| !is_users)
}

/// What the controller decides in every cluster.
pub(crate) fn decided(object: &MessageQueue) -> Vec<(&'static str, String)> {
    vec![
        ("cluster_name", object.name_any()),
        ("listeners.tcp.default", AMQP.to_string()),
        ("management.tcp.port", MANAGEMENT.to_string()),
        ("prometheus.tcp.port", METRICS.to_string()),
        ("log.console", "true".to_owned()),
        ("log.console.level", "info".to_owned()),
        ("log.file", "false".to_owned()),
        // Whom to join is found out before the start, by prepare.sh: RabbitMQ's own discovery waits minutes for each node of a list
        // that is not there, and lets the first one that answers found a cluster.
        ("cluster_formation.peer_discovery_backend", "classic_config".to_owned()),
        ("cluster_partition_handling", "pause_minority".to_owned()),
    ]
}

#[derive(Clone, Copy)]
struct Limits {
    watermark: u64,
    disk_free: u64,
}

/// Publishers are blocked above 60 % of the memory limit, as RabbitMQ recommends, and when a fifth of the volume is left or
/// as much as the memory that may have to be written out, whichever is less. In bytes.
fn limits(embedded: &Embedded) -> Option<Limits> {
    let memory = memory_limit(&embedded.provider.resources)?;
    let watermark = bytes(&memory.0)? / 10 * 6;
    let volume = bytes(&embedded.provider.storage.size.0)?;
    Some(Limits { watermark, disk_free: watermark.min(volume / 5) })
}

//! ConfigMaps: the broker's configuration, and the members of the cluster.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use temporal_stack_common::{api::RabbitmqProvider, manifest::bytes};

use super::resources;
use crate::{
    names::{self, MEMBERS, Names},
    settings::additional,
};

/// The configuration that all nodes read when they start.
pub(super) fn config(names: &Names, provider: &RabbitmqProvider) -> ConfigMap {
    let plugins = "[rabbitmq_management,rabbitmq_prometheus].\n";
    let keys = [("rabbitmq.conf", rabbitmq_conf(names, provider)), ("enabled_plugins", plugins.to_owned())];
    config_map(names::config(names), keys)
}

/// The members that a node with an empty volume must join: a node that lost its volume must not found a second cluster.
pub(super) fn members(names: &Names, members: &[String]) -> ConfigMap {
    config_map(names::members(names), [(MEMBERS, members.join("\n") + "\n")])
}

fn config_map<const N: usize>(name: String, keys: [(&str, String); N]) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        data: Some(keys.into_iter().map(|(key, text)| (key.to_owned(), text)).collect::<BTreeMap<_, _>>()),
        ..ConfigMap::default()
    }
}

/// The broker's configuration: managed settings, defaults derived from the pod's limits and its volume, and the user's lines.
pub(super) fn rabbitmq_conf(names: &Names, provider: &RabbitmqProvider) -> String {
    let mut conf = String::new();
    let mut set = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(conf, "{key} = {value}");
    };
    for (key, value) in additional::managed(names) {
        set(key, &value);
    }
    let lines = &provider.additional_config;
    // Otherwise a node would use the memory of the machine.
    if let Some(memory) = memory_limit(provider) {
        set("total_memory_available_override_value", &memory.to_string());
    }
    let watermark = limits(provider).map(|(watermark, _)| watermark);
    let watermark = watermark.filter(|_| !additional::has_setting(lines, "vm_memory_high_watermark."));
    let defaults =
        [("vm_memory_high_watermark.absolute", watermark), ("disk_free_limit.absolute", disk_free_limit(provider))];
    for (key, value) in defaults {
        if let Some(value) = value {
            set(key, &value.to_string());
        }
    }
    if !lines.trim().is_empty() {
        let _ = writeln!(conf, "\n# spec.provider.rabbitmq.additionalConfig\n{}", lines.trim_end());
    }
    conf
}

/// How much must be free on the volume, in bytes, unless the user sets it.
pub(super) fn disk_free_limit(provider: &RabbitmqProvider) -> Option<u64> {
    let is_users = additional::has_setting(&provider.additional_config, "disk_free_limit.");
    limits(provider).map(|(_, disk_free)| disk_free).filter(|_| !is_users)
}

/// The memory above which publishers are blocked, 60 % of the limit as RabbitMQ recommends; and the free space below which they are,
/// a fifth of the volume or as much as the memory that may have to be written out, whichever is less. In bytes.
fn limits(provider: &RabbitmqProvider) -> Option<(u64, u64)> {
    let watermark = memory_limit(provider)? / 10 * 6;
    let volume = bytes(&provider.storage.size.0)?;
    Some((watermark, watermark.min(volume / 5)))
}

/// The memory that a node may use, in bytes.
fn memory_limit(provider: &RabbitmqProvider) -> Option<u64> {
    bytes(&resources(&provider.resources).limits?.remove("memory")?.0)
}

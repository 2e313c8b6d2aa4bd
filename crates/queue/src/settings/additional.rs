//! The user's lines for `rabbitmq.conf`, and what they may set.

use temporal_stack_common::message::capped;

use super::values;
use crate::names::{AMQP, MANAGEMENT, METRICS, Names};

/// Settings that the controller manages: these keys; those that end with a dot are prefixes.
const OWN: [&str; 32] = [
    "auth_backends.",
    "auth_mechanisms.",
    "cluster_formation.",
    "cluster_keepalive_interval",
    "cluster_name",
    "cluster_partition_handling",
    "cluster_partition_handling.",
    "default_pass",
    "default_password",
    "default_permissions.",
    "default_user",
    "default_user_tags.",
    "default_users.",
    "default_vhost",
    "definitions.",
    "distribution.",
    "erlang.",
    "listeners.",
    "load_definitions",
    "log.",
    "loopback_users",
    "loopback_users.",
    "management.",
    "management_agent.",
    "mnesia.",
    "prometheus.",
    "proxy_protocol",
    "queue_leader_locator",
    "queue_master_locator",
    "quorum_queue.continuous_membership_reconciliation.",
    "raft.",
    "total_memory_available_override_value",
];

/// Plugins that the controller does not enable, by the prefix of their settings. The broker accepts these settings without effect.
const PLUGINS: [(&str, &str); 16] = [
    ("auth_cache.", "rabbitmq_auth_backend_cache"),
    ("auth_http.", "rabbitmq_auth_backend_http"),
    ("auth_ldap.", "rabbitmq_auth_backend_ldap"),
    ("auth_oauth2.", "rabbitmq_auth_backend_oauth2"),
    ("aws.", "rabbitmq_aws"),
    ("event_exchange.", "rabbitmq_event_exchange"),
    ("exchange_federation.", "rabbitmq_exchange_federation"),
    ("mqtt.", "rabbitmq_mqtt"),
    ("queue_federation.", "rabbitmq_queue_federation"),
    ("shovel.", "rabbitmq_shovel"),
    ("stomp.", "rabbitmq_stomp"),
    ("stream.", "rabbitmq_stream"),
    ("tracing.", "rabbitmq_tracing"),
    ("trust_store.", "rabbitmq_trust_store"),
    ("web_mqtt.", "rabbitmq_web_mqtt"),
    ("web_stomp.", "rabbitmq_web_stomp"),
];
/// Settings of the broker itself that share the prefix of a plugin.
const OF_BROKER: &str = "stream.replication.";

/// How many lines a message lists.
const LISTED: usize = 20;

/// A setting of the user; its line is counted from 1.
struct Setting<'a> {
    line: usize,
    key: &'a str,
    value: &'a str,
}

/// The settings among the lines, and the errors in other lines; comments and empty lines are skipped.
fn parse(lines: &str) -> (Vec<Setting<'_>>, Vec<(usize, String)>) {
    let (mut settings, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in lines.lines().enumerate() {
        let (number, line) = (number + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            wrong.push((number, "has no =: write `key = value`, or begin a comment with #".to_owned()));
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        let is_name = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
        if !key.split('.').all(is_name) {
            wrong.push((number, format!("{key:?} is not a setting: write words with dots between them")));
        } else if value.is_empty() {
            wrong.push((number, format!("{key} has no value; write `{key} = …`, or remove the line")));
        } else {
            settings.push(Setting { line: number, key, value });
        }
    }
    (settings, wrong)
}

/// The settings that the controller writes in every cluster.
pub(crate) fn managed(names: &Names) -> Vec<(&'static str, String)> {
    vec![
        ("cluster_name", names.object.clone()),
        ("listeners.tcp.default", AMQP.to_string()),
        ("management.tcp.port", MANAGEMENT.to_string()),
        ("prometheus.tcp.port", METRICS.to_string()),
        ("log.console", "true".to_owned()),
        ("log.console.level", "info".to_owned()),
        ("log.file", "false".to_owned()),
        // prepare.sh finds out which cluster to join: RabbitMQ's own discovery waits minutes for each absent node of a list, and
        // lets the first one that answers found a cluster.
        ("cluster_formation.peer_discovery_backend", "classic_config".to_owned()),
        ("cluster_partition_handling", "pause_minority".to_owned()),
    ]
}

/// All errors in the user's lines, if any. A line that repeats a setting of the controller may stay.
pub(crate) fn wrong(lines: &str, names: &Names) -> Option<String> {
    let managed = managed(names);
    let (settings, mut wrong) = parse(lines);
    for Setting { line, key, value } in settings {
        let is_same = managed.iter().any(|(own, own_value)| *own == key && own_value == value);
        if is_own(key) {
            if !is_same {
                wrong.push((line, format!("{key} is managed by the controller{}; remove the line", instead(key))));
            }
        } else if let Some(plugin) = plugin(key) {
            wrong.push((line, format!("{key} belongs to the plugin {plugin}, which is not enabled; remove the line")));
        } else if let Some(remedy) = values::wrong(key, value) {
            wrong.push((line, format!("{key} {remedy}")));
        }
    }
    wrong.sort();
    let wrong: Vec<String> = wrong.into_iter().map(|(line, what)| format!("line {line}: {what}")).collect();
    (!wrong.is_empty()).then(|| capped(wrong, LISTED).join("; "))
}

/// Whether the user has a setting of that name, or of one that begins with it.
pub(crate) fn has_setting(lines: &str, key: &str) -> bool {
    parse(lines).0.iter().any(|setting| setting.key.starts_with(key))
}

fn is_own(key: &str) -> bool {
    OWN.iter().any(|own| key == *own || (own.ends_with('.') && key.starts_with(own)))
}

/// The alternative to a setting that the controller manages.
fn instead(key: &str) -> &'static str {
    match key {
        "default_user" | "default_pass" | "default_password" => " (the login is in the binding Secret)",
        "default_vhost" => " (set spec.virtualHost)",
        "queue_leader_locator" | "queue_master_locator" => " (queue leaders are balanced)",
        "total_memory_available_override_value" => " (set spec.provider.rabbitmq.resources.limits.memory)",
        _ if key.starts_with("loopback_users") => " (the user guest does not exist)",
        _ if key.ends_with("load_definitions") || key.starts_with("definitions.") => {
            " (import definitions through the management API)"
        }
        _ if key.starts_with("log.") => " (logs go to the console)",
        _ => "",
    }
}

/// The plugin of a setting, if it is one that is not enabled.
fn plugin(key: &str) -> Option<&'static str> {
    let plugin = PLUGINS.iter().find(|(prefix, _)| key.starts_with(prefix) && !key.starts_with(OF_BROKER));
    plugin.map(|(_, plugin)| *plugin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(lines: &str) -> Option<String> {
        super::wrong(lines, &Names::new(&crate::fixture::sized(1)))
    }

    #[test]
    fn settings_and_comments_are_accepted() {
        assert_eq!(wrong("# mine\n\nchannel_max = 100\nvm_memory_high_watermark.relative = 0.4\n"), None);
        assert!(has_setting("channel_max = 100", "channel_max"));
        assert!(!has_setting("# channel_max = 100", "channel_max"));
    }

    #[test]
    fn all_wrong_lines_are_named_at_once() {
        let lines = "cluster_partition_handling = autoheal
            vm_memory_high_watermark_paging_ratio = 0.99
            disk_free_limit.relative = 1.0
            collect_statistics_interval = 10000
            default_user = admin
            default_pass = s3cr3t
            queue_master_locator = min-masters
            loopback_users.guest = false
            management.load_definitions = /etc/rabbitmq/definitions.json
            listeners.tcp.default = 5672
            channel_max = 1050
            log.console.level = info
            channel max";
        let message = wrong(lines).unwrap();
        for (line, key) in [
            (1, "cluster_partition_handling"),
            (5, "default_user"),
            (6, "default_pass"),
            (7, "queue_master_locator"),
            (8, "loopback_users.guest"),
            (9, "management.load_definitions"),
        ] {
            assert!(message.contains(&format!("line {line}: {key} is managed")), "{key}: {message}");
        }
        assert!(message.ends_with("line 13: has no =: write `key = value`, or begin a comment with #"), "{message}");
        assert!(!message.contains("s3cr3t"));
    }

    #[test]
    fn setting_that_breaks_the_cluster_is_refused_by_name() {
        for key in
            ["listeners.tcp.default", "cluster_formation.node_type", "default_user", "log.console", "prometheus.x"]
        {
            let wrong = wrong(&format!("channel_max = 1\n{key} = x")).unwrap();
            assert!(wrong.contains("line 2") && wrong.contains(key), "{wrong}");
        }
    }

    #[test]
    fn line_that_repeats_the_controllers_value_is_accepted() {
        assert_eq!(wrong("listeners.tcp.default = 5672\nlog.console.level=info"), None);
        assert!(wrong("listeners.tcp.default = 5673").is_some());
    }

    #[test]
    fn setting_of_a_disabled_plugin_is_refused() {
        for key in
            ["mqtt.listeners.tcp.default", "stomp.listeners.tcp.1", "stream.listeners.tcp.1", "web_mqtt.tcp.port"]
        {
            let wrong = wrong(&format!("{key} = 1883")).unwrap();
            assert!(wrong.contains("which is not enabled") && wrong.contains(key), "{wrong}");
        }
        assert_eq!(wrong("stream.replication.port_range.min = 1000"), None);
    }

    #[test]
    fn long_list_is_cut() {
        let lines = "default_user = x\n".repeat(500);
        let message = wrong(&lines).unwrap();
        assert!(message.ends_with("and 480 more") && message.len() < 4096);
    }

    #[test]
    fn line_that_is_no_setting_is_refused_by_its_number() {
        assert!(wrong("channel_max 1").unwrap().contains("line 1: has no ="));
        assert!(wrong("a = 1\nchannel max = 1").unwrap().contains("line 2"));
        assert!(wrong("channel_max =").unwrap().contains("no value"));
    }
}

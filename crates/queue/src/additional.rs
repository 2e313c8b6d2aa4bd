//! The user's own lines for `rabbitmq.conf`: what may stand in them.

/// What the controller decides: these keys, and all that begin with those that end with a dot.
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

/// A setting of the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<'a> {
    /// Its place, counted from 1.
    pub(crate) line: usize,
    /// Its name.
    pub(crate) key: &'a str,
}

/// The settings among the lines; comments and empty lines are left out. `Err` is what is wrong with one of them.
pub(crate) fn settings(lines: &str) -> Result<Vec<Setting<'_>>, String> {
    let mut settings = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let (number, line) = (number + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {number} has no =: write `key = value`, or begin a comment with #"));
        };
        let (key, value) = (key.trim(), value.trim());
        let is_name = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
        if !key.split('.').all(is_name) {
            return Err(format!("line {number}: {key:?} is no name of a setting; it is words with dots between them"));
        }
        if value.is_empty() {
            return Err(format!("line {number}: {key} has no value; write `{key} = …`, or take the line out"));
        }
        settings.push(Setting { line: number, key });
    }
    Ok(settings)
}

/// What is wrong with the user's lines, if anything.
pub(crate) fn wrong(lines: &str) -> Option<String> {
    let settings = match settings(lines) {
        Ok(settings) => settings,
        Err(wrong) => return Some(wrong),
    };
    settings.iter().find(|setting| is_own(setting.key)).map(|setting| {
        format!("line {}: {} is decided by the controller; take the line out", setting.line, setting.key)
    })
}

/// Whether the user has a setting of that name, or of one that begins with it.
pub(crate) fn sets(lines: &str, key: &str) -> bool {
    settings(lines).is_ok_and(|settings| settings.iter().any(|setting| setting.key.starts_with(key)))
}

fn is_own(key: &str) -> bool {
    OWN.iter().any(|own| key == *own || (own.ends_with('.') && key.starts_with(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_comments_may_stand_there() {
        assert_eq!(wrong("# mine\n\nchannel_max = 100\nvm_memory_high_watermark.relative = 0.4\n"), None);
        assert!(sets("channel_max = 100", "channel_max"));
        assert!(!sets("# channel_max = 100", "channel_max"));
    }

    #[test]
    fn what_breaks_the_cluster_is_refused_by_name() {
        for key in ["listeners.tcp.default", "cluster_formation.node_type", "default_user", "log.console"] {
            let wrong = wrong(&format!("channel_max = 1\n{key} = x")).unwrap();
            assert!(wrong.contains("line 2") && wrong.contains(key), "{wrong}");
        }
    }

    #[test]
    fn a_line_that_is_no_setting_is_refused_by_its_number() {
        assert!(wrong("channel_max 1").unwrap().contains("line 1 has no ="));
        assert!(wrong("a = 1\nchannel max = 1").unwrap().contains("line 2"));
        assert!(wrong("channel_max =").unwrap().contains("no value"));
    }
}

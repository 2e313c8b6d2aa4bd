//! Checks of the user's configuration: everything that would keep Kubo from starting, found before it is started.

use serde_json::{Map, Value};

use super::fields::{CHOICES, FIELDS, Form, IGNORED, REMOVED};
use crate::settings::seconds;

/// The first version with these settings: earlier ones have `Reprovider` instead of `Provide`.
const SINCE: (u32, u32) = (0, 38);
/// How long the DHT keeps provider records, in seconds: content that is provided less often is not found.
const PROVIDED_FOR: f64 = 48.0 * 3600.0;

/// The errors in a configuration, a sentence each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Kubo would not start.
    pub(crate) fatal: Vec<String>,
    /// Kubo would ignore it.
    pub(crate) ignored: Vec<String>,
}

/// Checks the fields of the user, for the image in the spec. Settings for an image of an older version are not checked.
pub(crate) fn check(given: &Map<String, Value>, image: Option<&str>) -> Checked {
    let mut checked = Checked::default();
    if image.and_then(version).is_some_and(|version| version < SINCE) {
        return checked;
    }
    for (key, value) in given {
        checked.check(key, value);
    }
    let enabled = find(given, "Provide.Enabled").is_some_and(|value| !value.is_null());
    let interval = find(given, "Provide.DHT.Interval").and_then(Value::as_str).and_then(seconds);
    if interval == Some(0.0) && !enabled {
        checked.fatal.push("Provide.DHT.Interval is 0: set Provide.Enabled too".to_owned());
    }
    if interval.is_some_and(|interval| interval > PROVIDED_FOR) {
        checked.fatal.push("Provide.DHT.Interval is above 48h; lower it".to_owned());
    }
    checked
}

impl Checked {
    fn check(&mut self, path: &str, value: &Value) {
        if value.is_null() {
            return;
        }
        if let Some((_, instead)) = named(REMOVED, path) {
            // Empty or off they mean nothing, except that of the DHT's client, which has moved whatever its value.
            let is_nothing = matches!(value, Value::Object(fields) if fields.is_empty())
                || value.as_str() == Some("")
                || (value == &Value::Bool(false) && !path.eq_ignore_ascii_case("Experimental.AcceleratedDHTClient"));
            if !is_nothing {
                self.fatal.push(format!("{path} was removed: {instead}"));
            }
            return;
        }
        if let Some((_, instead)) = named(IGNORED, path) {
            self.ignored.push(format!("{path} has no effect: {instead}"));
            return;
        }
        if let Some((_, form)) = named(FIELDS, path) {
            if let Some(wanted) = wrong_form(*form, value) {
                self.fatal.push(format!("{path} must be {wanted}"));
            } else if let Some(wanted) = wrong_word(path, value) {
                self.fatal.push(format!("{path} must be {wanted}"));
            }
            return;
        }
        let known = FIELDS.iter().map(|(name, _)| *name).chain(REMOVED.iter().map(|(name, _)| *name));
        let is_section = known.into_iter().any(|name| is_within(name, path));
        match value {
            Value::Object(fields) if is_section => {
                for (key, value) in fields {
                    self.check(&format!("{path}.{key}"), value);
                }
            }
            _ if is_section => self.fatal.push(format!("{path} must be an object")),
            _ => self.ignored.push(format!("{path} has no effect: it is not a setting of Kubo")),
        }
    }
}

/// The row of a table for a path. Kubo reads its keys in any case.
fn named<'a, T>(table: &'a [(&'static str, T)], path: &str) -> Option<&'a (&'static str, T)> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(path))
}

fn is_within(name: &str, path: &str) -> bool {
    name.len() > path.len()
        && name.as_bytes()[path.len()] == b'.'
        && name.get(..path.len()).is_some_and(|start| start.eq_ignore_ascii_case(path))
}

fn find<'a>(given: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (_, value) = given.iter().find(|(key, _)| key.eq_ignore_ascii_case(first))?;
    match rest {
        Some(rest) => find(value.as_object()?, rest),
        None => Some(value),
    }
}

/// The required form of a value, if it has another.
fn wrong_form(form: Form, value: &Value) -> Option<&'static str> {
    let is_text = value.is_string();
    let are_texts = value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let text = value.as_str().unwrap_or_default();
    let (is_right, wanted) = match form {
        Form::Switch => (value.is_boolean(), "true or false"),
        Form::Number => (value.is_i64(), "a whole number"),
        Form::Priority => {
            (value == &Value::Bool(false) || value.as_i64().is_some_and(|n| n > 0), "a whole number above 0, or false")
        }
        Form::Text => (is_text, "a string"),
        Form::Texts => (are_texts, "a list of strings"),
        Form::TextOrTexts => (is_text || are_texts, "a string or a list of strings"),
        Form::Duration => {
            let is_default = ["", "default", "null"].contains(&text);
            (is_text && (is_default || seconds(text).is_some()), "a duration such as \"12h\"")
        }
        Form::Bytes => (value.is_number() || (is_text && is_size(text)), "a size such as \"1GiB\""),
        Form::Any => (value.is_object() || value.is_array(), "an object or a list"),
    };
    (!is_right).then_some(wanted)
}

fn wrong_word(path: &str, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    if path.eq_ignore_ascii_case("Provide.Strategy") {
        let words = ["", "all", "pinned", "roots", "mfs", "unique", "entities"];
        let is_known = text.split('+').all(|word| words.contains(&word));
        return (!is_known).then(|| "all, pinned, roots, mfs or pinned+mfs".to_owned());
    }
    let (_, words) = named(CHOICES, path)?;
    let shown: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    (!words.contains(&text)).then(|| format!("one of {}", shown.join(", ")))
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    digits.replace(',', "").parse::<f64>().is_ok()
}

/// The version in the tag of an image.
fn version(image: &str) -> Option<(u32, u32)> {
    let image = image.split('@').next()?;
    let (_, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let mut parts = tag.trim_start_matches('v').split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_config(config: &Value) -> Checked {
        check(config.as_object().unwrap(), None)
    }

    #[test]
    fn settings_of_an_older_kubo_are_named_with_replacements() {
        let checked = check_config(&json!({
            "Reprovider": {"Interval": "12h", "Strategy": "all"},
            "provider": {"workercount": 3},
            "Experimental": {"ShardingEnabled": true, "StrategicProviding": false, "AcceleratedDHTClient": false},
            "Swarm": {"EnableRelayHop": false, "ResourceMgr": {"Limits": {"System": {"Conns": 1}}}},
        }));
        let fatal = checked.fatal.join("; ");
        for about in [
            "Reprovider.Interval was removed: use Provide.DHT.Interval",
            "Reprovider.Strategy was removed: use Provide.Strategy",
            "provider.workercount was removed: use Provide.DHT.MaxWorkers",
            "Experimental.ShardingEnabled was removed",
            "Experimental.AcceleratedDHTClient was removed: use Routing.AcceleratedDHTClient",
            "Swarm.ResourceMgr.Limits was removed",
        ] {
            assert!(fatal.contains(about), "{about}: {fatal}");
        }
        assert_eq!(checked.fatal.len(), 6);
        assert_eq!(checked.ignored, ["Swarm.EnableRelayHop has no effect: use Swarm.RelayService.Enabled"]);
    }

    #[test]
    fn value_of_another_form_is_refused() {
        for (config, path) in [
            (json!({"Swarm": {"ConnMgr": {"LowWater": "600"}}}), "Swarm.ConnMgr.LowWater"),
            (json!({"Swarm": {"ConnMgr": {"GracePeriod": 20}}}), "Swarm.ConnMgr.GracePeriod"),
            (json!({"Swarm": {"ConnMgr": {"GracePeriod": "20"}}}), "Swarm.ConnMgr.GracePeriod"),
            (json!({"Swarm": {"ConnMgr": {"Type": "advanced"}}}), "Swarm.ConnMgr.Type"),
            (json!({"Swarm": [1]}), "Swarm"),
            (json!({"Gateway": {"NoFetch": "true"}}), "Gateway.NoFetch"),
            (json!({"Addresses": {"Announce": "/ip4/1.2.3.4"}}), "Addresses.Announce"),
            (json!({"Swarm": {"Transports": {"Security": {"TLS": true}}}}), "Swarm.Transports.Security.TLS"),
            (json!({"Provide": {"Strategy": "flat"}}), "Provide.Strategy"),
            (json!({"Provide": {"DHT": {"Interval": "72h"}}}), "Provide.DHT.Interval"),
            (json!({"Provide": {"DHT": {"Interval": "0"}}}), "Provide.DHT.Interval"),
            (json!({"Import": {"CidVersion": 1.5}}), "Import.CidVersion"),
            (json!({"Gateway": {"MaxRangeRequestFileSize": "many"}}), "Gateway.MaxRangeRequestFileSize"),
        ] {
            let checked = check_config(&config);
            assert!(checked.fatal.len() == 1 && checked.fatal[0].starts_with(path), "{config}: {checked:?}");
        }
    }

    #[test]
    fn configuration_of_today_passes() {
        let config = json!({
            "Addresses": {"Announce": ["/ip4/1.2.3.4/tcp/4001"], "Gateway": "/ip4/0.0.0.0/tcp/8080"},
            "Datastore": {"StorageMax": "50GB", "GCPeriod": "1h30m"},
            "Gateway": {"NoFetch": true, "PublicGateways": {"x": {"Paths": ["/ipfs"]}}, "MaxRangeRequestFileSize": "5GiB"},
            "Provide": {"Enabled": true, "Strategy": "pinned+mfs", "DHT": {"Interval": "0"}},
            "Routing": {"Type": "autoclient"},
            "Swarm": {
                "ConnMgr": {"Type": "basic", "LowWater": 600, "GracePeriod": "20s", "SilencePeriod": "default"},
                "ResourceMgr": {"Limits": {}, "MaxMemory": 1_000_000},
                "Transports": {"Security": {"TLS": false, "Noise": 100}},
            },
            "Bootstrap": null,
        });
        assert_eq!(check_config(&config), Checked::default());
    }

    #[test]
    fn unknown_setting_is_passed_on_and_named() {
        let checked = check_config(&json!({"Gatewy": {"NoFetch": true}}));
        assert_eq!(checked.ignored, ["Gatewy has no effect: it is not a setting of Kubo"]);
        assert!(checked.fatal.is_empty());
    }

    #[test]
    fn older_image_may_have_older_settings() {
        let given = json!({"Reprovider": {"Interval": "12h"}});
        let given = given.as_object().unwrap();
        for (image, is_checked) in [
            ("ipfs/kubo:v0.29.0", false),
            ("registry:5000/kubo:v0.37.1@sha256:00", false),
            ("ipfs/kubo:v0.42.0", true),
            ("ipfs/kubo:latest", true),
            ("registry:5000/kubo", true),
        ] {
            assert_eq!(!check(given, Some(image)).fatal.is_empty(), is_checked, "{image}");
        }
    }
}

//! The configuration: from the environment, or from a file, and never from both.

mod fields;
mod names;

use std::collections::BTreeMap;
use std::{env, fs};

use serde_json::Value;

use fields::{FIELDS, Type};

/// What the configuration says, by the path of the field in the original's Go source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, String>,
}

impl Config {
    /// Reads the file at a path, or the environment when the path is empty.
    pub(crate) fn load(path: &str) -> Result<Self, String> {
        if path.is_empty()
            && let Some(config) = Self::from_variables(|name| env::var(name).ok())?
        {
            return Ok(config);
        }
        let text = fs::read_to_string(path).map_err(|error| format!("open {path}: {error}"))?;
        Self::from_json(&text)
    }

    /// The value of a field; empty where nothing is said.
    pub(crate) fn get(&self, path: &str) -> &str {
        debug_assert!(FIELDS.iter().any(|field| field.path == path), "there is no field {path}");
        self.values.get(path).map(String::as_str).unwrap_or_default()
    }

    /// Reads the environment. `None`: it says nothing. Unlike a file, it has no defaults.
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let mut config = Self::default();
        for field in FIELDS {
            let value = field.names().iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
            let Some(value) = value else { continue };
            if field.kind == Type::Integer {
                let number: i64 = value.parse().map_err(|error| {
                    format!(
                        "envconfig: unable to parse value {value:?} for possible keys {:?}. err={error}",
                        field.names()
                    )
                })?;
                // The zero value is as good as none.
                if number == 0 {
                    continue;
                }
            }
            config.values.insert(field.path, value);
        }
        Ok(Some(config).filter(|config| !config.values.is_empty()))
    }

    fn from_json(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut config = Self::default();
        for field in FIELDS {
            let Some(value) = field.json().iter().try_fold(&json, |object, key| member(object, key)) else { continue };
            let text = match (field.kind, value) {
                (Type::Text, Value::String(text)) => text.clone(),
                (Type::Integer, Value::Number(number)) => number.to_string(),
                (Type::List, Value::Array(items)) => {
                    let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                    items.ok_or_else(|| format!("json: {} is no list of strings", field.path))?.join(",")
                }
                (_, Value::Null) => continue,
                _ => return Err(format!("json: cannot unmarshal {value} into {}", field.path)),
            };
            config.values.insert(field.path, text);
        }
        config.set_default("LogDir", "/var/log/temporal/");
        config.set_default("API.Connection.CORS.AllowedOrigins", "temporal.cloud,backup.temporal.cloud");
        Ok(config)
    }

    fn set_default(&mut self, path: &'static str, value: &str) {
        if self.get(path).is_empty() {
            self.values.insert(path, value.to_owned());
        }
    }
}

/// Go ignores the case of a key.
fn member<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

#[cfg(test)]
impl Config {
    /// A configuration of these fields.
    pub(crate) fn of(values: &[(&'static str, &str)]) -> Self {
        Self { values: values.iter().map(|(path, value)| (*path, (*value).to_owned())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Option<Config>, String> {
        Config::from_variables(|wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    fn value(variables: &[(&str, &str)], path: &str) -> String {
        load(variables).unwrap().unwrap_or_default().get(path).to_owned()
    }

    #[test]
    fn both_spellings_in_capitals_or_small_letters_are_read() {
        for name in [
            "IPFS_APICONNECTION_HOST",
            "IPFS_API_CONNECTION_HOST",
            "ipfs_apiconnection_host",
            "ipfs_api_connection_host",
        ] {
            assert_eq!(value(&[(name, "kubo")], "IPFS.APIConnection.Host"), "kubo", "{name}");
        }
    }

    #[test]
    fn mixed_spellings_are_ignored() {
        for name in ["RABBITMQ_TLS_CONFIG_CA_CERT_FILE", "Ipfs_Api_Connection_Host", "KRAB_URL", "API_ADMIN_USER"] {
            assert_eq!(load(&[(name, "x")]), Ok(None), "{name}");
        }
    }

    #[test]
    fn empty_variable_counts_as_absent() {
        let both = [("RABBITMQ_URL", ""), ("RABBIT_MQ_URL", "amqp://b")];
        assert_eq!(value(&both, "RabbitMQ.URL"), "amqp://b");
        assert_eq!(load(&[("RABBITMQ_URL", "")]), Ok(None));
    }

    #[test]
    fn first_in_order_wins() {
        let all = [("rabbitmq_url", "c"), ("RABBIT_MQ_URL", "b"), ("RABBITMQ_URL", "a")];
        assert_eq!(value(&all, "RabbitMQ.URL"), "a");
        assert_eq!(value(&all[..2], "RabbitMQ.URL"), "b");
    }

    #[test]
    fn invalid_number_stops_the_program() {
        assert!(load(&[("V3_API_JWT_TIMEOUT", "soon"), ("LOGDIR", "/l/")]).is_err());
        assert_eq!(load(&[("V3_API_JWT_TIMEOUT", "0")]), Ok(None));
    }

    #[test]
    fn environment_has_no_defaults_and_a_file_has() {
        assert_eq!(value(&[("API_JWT_KEY", "k")], "LogDir"), "");
        let file = Config::from_json(r#"{"api": {"jwt": {"key": "k"}}}"#).unwrap();
        assert_eq!((file.get("API.JWT.Key"), file.get("LogDir")), ("k", "/var/log/temporal/"));
    }

    #[test]
    fn file_uses_its_own_names() {
        let file = Config::from_json(
            r#"{"rabbitmq": {"url": "amqp://r"}, "ipfs_cluster": {"api_connection": {"host": "c"}},
                "services": {"krab": {"TLS": {"cert_path": "/t"}, "keystore_password": "p"}, "rtns": {"pk_name": "n", "key_name": "x"}},
                "pay": {"tls": {"cert": "/p"}}}"#,
        )
        .unwrap();
        let found =
            ["RabbitMQ.URL", "IPFSCluster.APIConnection.Host", "Services.Krab.TLS.CertPath", "Services.RTNS.KeyName"];
        assert_eq!(found.map(|path| file.get(path)), ["amqp://r", "c", "/t", "n"]);
        assert_eq!(file.get("Pay.TLS.CertPath"), "/p");
    }
}

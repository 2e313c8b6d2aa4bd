//! Where Temporal's dependencies are, and as whom they are used: from a binding, or from the user's variables.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use lapin::uri::AMQPUri;
use temporal_stack_common::{
    address::host,
    binding::{authority, ipv6_host, text},
    component::Progress,
    condition::{Reason, reason},
};

use crate::{
    names::{DATABASE, REST, RPC},
    settings::{Settings, key},
};

/// The user's variables do not say where something is, or say something that cannot be.
pub(crate) const CONFIGURATION_INCOMPLETE: Reason = Reason::new("ConfigurationIncomplete");
/// A credential or a name cannot be used with Temporal.
pub(crate) const UNUSABLE_BINDING: Reason = Reason::new("UnusableBinding");

/// The database. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Host name or address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// The login.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: String,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.username, authority(&self.host, self.port))
    }
}

/// The broker. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    /// All of it as one URI.
    pub(crate) uri: String,
}

impl Broker {
    /// The URI in its parts, with a host that can be connected to.
    pub(crate) fn parsed(&self) -> Option<AMQPUri> {
        let mut uri: AMQPUri = self.uri.parse().ok()?;
        if let Some(host) = ipv6_host(&self.uri) {
            host.clone_into(&mut uri.authority.host);
        }
        Some(uri)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a broker")
    }
}

/// A host and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Host name or address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

/// Kubo and IPFS Cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ipfs {
    /// Kubo's RPC.
    pub(crate) kubo: Address,
    /// IPFS Cluster's REST API.
    pub(crate) cluster: Address,
}

/// What the binding of a `PostgresDatabase` says. What Temporal cannot use is for the user to change.
pub(crate) fn database(referred: &str, binding: &Secret) -> Result<Option<Database>, Progress> {
    let part = |key| text(binding, key).map(str::to_owned);
    let (Some(host), Some(username), Some(password)) = (part("host"), part("username"), part("password")) else {
        return Ok(None);
    };
    let unusable =
        |what: String| Progress::Stalled { reason: UNUSABLE_BINDING, message: format!("{referred}: {what}") };
    if let Some(name) = part("database").filter(|name| name != DATABASE) {
        return Err(unusable(format!(
            "its database is {name}, and Temporal has the name {DATABASE} built in; set spec.database of it, or POSTGRES_DB, to {DATABASE}"
        )));
    }
    for (what, value) in [("login", &username), ("password", &password)] {
        if let Some(wrong) = unquotable(value) {
            return Err(unusable(format!("its {what} {wrong}")));
        }
    }
    Ok(Some(Database { host, port: port(binding, "port", 5432), username, password }))
}

/// Temporal writes values into its connection string as they are. Says what is wrong with one, and what to do.
fn unquotable(value: &str) -> Option<String> {
    let wrong = match value.chars().find(|c| c.is_whitespace() || ['\'', '"', '\\'].contains(c))? {
        '\'' | '"' => "a quote",
        '\\' => "a backslash",
        _ => "a space",
    };
    Some(format!("has {wrong}, with which Temporal's connection string breaks; use letters and digits"))
}

/// What the binding of a `MessageQueue` says.
pub(crate) fn broker(binding: &Secret) -> Option<Broker> {
    Some(Broker { uri: text(binding, "uri")?.to_owned() })
}

/// What the binding of an `IpfsCluster` says.
pub(crate) fn ipfs(binding: &Secret) -> Option<Ipfs> {
    let address =
        |host, key, usual| Some(Address { host: text(binding, host)?.to_owned(), port: port(binding, key, usual) });
    Some(Ipfs { kubo: address("host", "port", RPC)?, cluster: address("cluster-host", "cluster-port", REST)? })
}

fn port(binding: &Secret, key: &str, usual: u16) -> u16 {
    text(binding, key).and_then(|port| port.parse().ok()).unwrap_or(usual)
}

/// What the user's variables say of the database.
pub(crate) fn users_database(settings: &Settings) -> Result<Database, Progress> {
    let by = "spec.database";
    let host = required(settings, key::DATABASE_URL, by)?;
    if !is_host(&host) {
        return Err(wrong(settings, key::DATABASE_URL, "is no name or address of a host", by));
    }
    if is_loopback(&host) {
        return Err(wrong(settings, key::DATABASE_URL, "names the pod itself, where no database is", by));
    }
    let username = settings.get(key::DATABASE_USERNAME).unwrap_or("postgres").to_owned();
    let password = required(settings, key::DATABASE_PASSWORD, by)?;
    for (key, value) in [(key::DATABASE_USERNAME, &username), (key::DATABASE_PASSWORD, &password)] {
        if let Some(wrong) = unquotable(value) {
            let message = format!("{} {wrong}", settings.written(key));
            return Err(Progress::Stalled { reason: UNUSABLE_BINDING, message });
        }
    }
    Ok(Database { host, port: number(settings, key::DATABASE_PORT, 5432, by)?, username, password })
}

/// What the user's variables say of the broker.
pub(crate) fn users_broker(settings: &Settings) -> Result<Broker, Progress> {
    let by = "spec.queue";
    let uri = required(settings, key::RABBITMQ_URL, by)?;
    let Some(parsed) = Broker { uri: uri.clone() }.parsed() else {
        return Err(wrong(settings, key::RABBITMQ_URL, "is no AMQP URI", by));
    };
    if parsed.scheme == lapin::uri::AMQPScheme::AMQPS {
        let what = "asks for TLS, which the controller does not speak with a broker";
        return Err(wrong(settings, key::RABBITMQ_URL, what, by));
    }
    if is_loopback(&parsed.authority.host) {
        return Err(wrong(settings, key::RABBITMQ_URL, "names the pod itself, where no broker is", by));
    }
    if parsed.authority.userinfo.username == "guest" {
        let what = "has no login, or guest, whom RabbitMQ lets in from its own host only";
        return Err(wrong(settings, key::RABBITMQ_URL, what, by));
    }
    Ok(Broker { uri })
}

/// What the user's variables say of Kubo and IPFS Cluster.
pub(crate) fn users_ipfs(settings: &Settings) -> Result<Ipfs, Progress> {
    let by = "spec.ipfs";
    let address = |host_key, port_key, usual| {
        let host = required(settings, host_key, by)?;
        if !is_host(&host) || is_loopback(&host) {
            return Err(wrong(settings, host_key, "names no host that others can reach", by));
        }
        Ok(Address { host, port: number(settings, port_key, usual, by)? })
    };
    Ok(Ipfs {
        kubo: address(key::IPFS_HOST, key::IPFS_PORT, RPC)?,
        cluster: address(key::CLUSTER_HOST, key::CLUSTER_PORT, REST)?,
    })
}

/// Whether a host is the one that asks: a pod, where nothing of this is.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase();
    let is_address = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}

/// Whether it is a name or an address that others can have; what looks like an address must be one.
pub(crate) fn is_host(text: &str) -> bool {
    host(text).is_ok()
}

fn required(settings: &Settings, key: &'static str, by: &str) -> Result<String, Progress> {
    settings.get(key).map(str::to_owned).ok_or_else(|| wrong(settings, key, "is absent", by))
}

fn number(settings: &Settings, key: &'static str, usual: u16, by: &str) -> Result<u16, Progress> {
    let Some(text) = settings.get(key) else { return Ok(usual) };
    text.parse().map_err(|_| wrong(settings, key, "is no port number", by))
}

fn wrong(settings: &Settings, key: &'static str, what: &str, by: &str) -> Progress {
    Progress::Stalled {
        reason: if settings.get(key).is_some() { reason::INVALID_SPEC } else { CONFIGURATION_INCOMPLETE },
        message: format!("{} {what}; set it, or name an object of the stack in {by}", settings.written(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address_must_be_one() {
        for host in ["10.0.0.1", "db", "db.default.svc", "fd00::1", "db-1.example.com."] {
            assert!(is_host(host), "{host}");
        }
        for host in ["0.0.0.0.0", "0.0.0.0", "1.2.3", "a b", "", "-a"] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn a_broker_at_an_address_of_ipv6_can_be_connected_to() {
        let broker = Broker { uri: "amqp://u:p@[fd00::1]:5672/v".to_owned() };
        assert_eq!(broker.parsed().unwrap().authority.host, "fd00::1");
    }

    #[test]
    fn a_host_that_is_the_pod_itself_is_found() {
        for host in
            ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LOCALHOST.", "a.localhost"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "db", "localhost.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_breaks_the_connection_string_is_named() {
        for (value, wrong) in [("a'b", "a quote"), ("a\\b", "a backslash"), ("a b", "a space")] {
            assert!(unquotable(value).is_some_and(|told| told.contains(wrong)), "{value}");
        }
        assert_eq!(unquotable("a/b@c"), None);
    }
}

//! Where Temporal's dependencies are, and with which credentials they are used: from a binding, or from the user's variables.

mod dependency;

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use lapin::uri::{AMQPScheme, AMQPUri};
use temporal_stack_common::{
    address::{Endpoint, host},
    amqp,
    binding::text,
    component::Stalled,
    given,
};

pub(crate) use dependency::{Dependencies, Lack};

use crate::{
    names::{DATABASE, REST, RPC},
    reason,
    settings::{Settings, key},
};

/// A field of the spec that refers to an object, and the kind of the object.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    kind: &'static str,
}

const DATABASE_FIELD: Field = Field { name: "spec.database", kind: "PostgresDatabase" };
const QUEUE_FIELD: Field = Field { name: "spec.queue", kind: "MessageQueue" };
const IPFS_FIELD: Field = Field { name: "spec.ipfs", kind: "IpfsCluster" };

/// The database. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// Its address.
    pub(crate) endpoint: Endpoint,
    /// The login.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: String,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.username, self.endpoint)
    }
}

/// The broker. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// The URI.
    pub(crate) uri: String,
}

impl Broker {
    /// The parsed URI, if its host is allowed.
    pub(crate) fn parse(&self) -> Option<AMQPUri> {
        amqp::parse(&self.uri)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker")
    }
}

/// Kubo and IPFS Cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ipfs {
    /// Kubo's RPC.
    pub(crate) kubo: Endpoint,
    /// IPFS Cluster's REST API.
    pub(crate) cluster: Endpoint,
}

/// The database of a `PostgresDatabase`'s binding; `None` where the binding is incomplete.
fn bound_database(referred: &str, binding: &Secret) -> Result<Option<Database>, Stalled> {
    let part = |key| text(binding, key).map(str::to_owned);
    let (Some(host), Some(username), Some(password)) = (part("host"), part("username"), part("password")) else {
        return Ok(None);
    };
    let unusable = |what: String| Stalled::new(reason::UNUSABLE_BINDING, format!("{referred}: {what}"));
    if let Some(name) = part("database").filter(|name| name != DATABASE) {
        return Err(unusable(format!(
            "its database is {name}, but the name {DATABASE} is built into Temporal; set its spec.database, or POSTGRES_DB, to {DATABASE}"
        )));
    }
    for (what, value) in [("login", &username), ("password", &password)] {
        if let Some(wrong) = find_unquotable(value) {
            return Err(unusable(format!("its {what} {wrong}")));
        }
    }
    let endpoint = Endpoint { host, port: read_port(binding, "port", 5432) };
    Ok(Some(Database { endpoint, username, password }))
}

/// Temporal does not quote values in its connection string. Returns the error in a value, with the remedy.
fn find_unquotable(value: &str) -> Option<String> {
    let wrong = match value.chars().find(|c| c.is_whitespace() || ['\'', '"', '\\'].contains(c))? {
        '\'' | '"' => "a quote",
        '\\' => "a backslash",
        _ => "a space",
    };
    Some(format!("contains {wrong}, which breaks Temporal's connection string; use letters and digits"))
}

/// The broker of a `MessageQueue`'s binding.
fn bound_broker(binding: &Secret) -> Option<Broker> {
    Some(Broker { uri: text(binding, "uri")?.to_owned() })
}

/// The servers of an `IpfsCluster`'s binding.
fn bound_ipfs(binding: &Secret) -> Option<Ipfs> {
    let address = |host, key, default| {
        Some(Endpoint { host: text(binding, host)?.to_owned(), port: read_port(binding, key, default) })
    };
    Some(Ipfs { kubo: address("host", "port", RPC)?, cluster: address("cluster-host", "cluster-port", REST)? })
}

fn read_port(binding: &Secret, key: &str, default: u16) -> u16 {
    text(binding, key).and_then(|port| port.parse().ok()).unwrap_or(default)
}

/// The database that the user's variables name.
fn users_database(settings: &Settings) -> Result<Database, Stalled> {
    let instead = DATABASE_FIELD.name;
    let host = require(settings, key::DATABASE_URL, instead)?;
    if !is_host(&host) {
        return Err(refuse(settings, key::DATABASE_URL, "is not a host name or address", instead));
    }
    if is_loopback(&host) {
        return Err(refuse(settings, key::DATABASE_URL, "names the pod itself, where no database runs", instead));
    }
    let username = settings.get(key::DATABASE_USERNAME).unwrap_or("postgres").to_owned();
    let password = require(settings, key::DATABASE_PASSWORD, instead)?;
    for (key, value) in [(key::DATABASE_USERNAME, &username), (key::DATABASE_PASSWORD, &password)] {
        if let Some(wrong) = find_unquotable(value) {
            return Err(Stalled::new(reason::UNUSABLE_BINDING, format!("{} {wrong}", settings.place(key))));
        }
    }
    let endpoint = Endpoint { host, port: parse_port(settings, key::DATABASE_PORT, 5432, instead)? };
    Ok(Database { endpoint, username, password })
}

/// The broker that the user's variables name.
fn users_broker(settings: &Settings) -> Result<Broker, Stalled> {
    let instead = QUEUE_FIELD.name;
    let broker = Broker { uri: require(settings, key::RABBITMQ_URL, instead)? };
    let refused = |what| Err(refuse(settings, key::RABBITMQ_URL, what, instead));
    let Some(parsed) = broker.parse() else { return refused("is not an AMQP URI") };
    if parsed.scheme == AMQPScheme::AMQPS {
        return refused("asks for TLS, which the controller does not support for a broker");
    }
    if is_loopback(&parsed.authority.host) {
        return refused("names the pod itself, where no broker runs");
    }
    if parsed.authority.userinfo.username == "guest" {
        return refused("has no login, or the login guest, which RabbitMQ accepts only from its own host");
    }
    Ok(broker)
}

/// The Kubo and the IPFS Cluster that the user's variables name.
fn users_ipfs(settings: &Settings) -> Result<Ipfs, Stalled> {
    let instead = IPFS_FIELD.name;
    let address = |host_key, port_key, default| {
        let host = require(settings, host_key, instead)?;
        if !is_host(&host) || is_loopback(&host) {
            return Err(refuse(settings, host_key, "is not a host that other pods can reach", instead));
        }
        Ok(Endpoint { host, port: parse_port(settings, port_key, default, instead)? })
    };
    Ok(Ipfs {
        kubo: address(key::IPFS_HOST, key::IPFS_PORT, RPC)?,
        cluster: address(key::CLUSTER_HOST, key::CLUSTER_PORT, REST)?,
    })
}

/// The name of the account that a Secret of `spec.admins` describes; the Job that creates the account reads the rest.
pub(crate) fn read_admin(name: &str, secret: Option<&Secret>) -> Result<String, Stalled> {
    let keys = "the keys username, password and email";
    let described = given::read("spec.admins", name, secret, keys, |given| {
        let (password, email) = (given.verbatim("password"), given.verbatim("email"));
        given.verbatim("username").filter(|_| password.is_some() && email.is_some())
    });
    described.read
}

/// Whether a host is the pod itself, where no such server runs.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase();
    let is_address = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}

/// Whether it is a name or an address of another host; anything like an address must be one.
pub(crate) fn is_host(text: &str) -> bool {
    host(text).is_ok()
}

fn require(settings: &Settings, key: &'static str, instead: &str) -> Result<String, Stalled> {
    settings.get(key).map(str::to_owned).ok_or_else(|| refuse(settings, key, "is absent", instead))
}

fn parse_port(settings: &Settings, key: &'static str, default: u16, instead: &str) -> Result<u16, Stalled> {
    let Some(text) = settings.get(key) else { return Ok(default) };
    text.parse().map_err(|_| refuse(settings, key, "is not a port number", instead))
}

fn refuse(settings: &Settings, key: &'static str, what: &str, instead: &str) -> Stalled {
    let (reason, remedy) = match settings.get(key) {
        Some(_) => (reason::INVALID_SPEC, "correct it"),
        None => (reason::CONFIGURATION_INCOMPLETE, "set it"),
    };
    Stalled::new(reason, format!("{} {what}; {remedy}, or set {instead} instead", settings.place(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_that_is_malformed_is_refused() {
        for host in ["10.0.0.1", "db", "db.default.svc", "fd00::1", "db-1.example.com."] {
            assert!(is_host(host), "{host}");
        }
        for host in ["0.0.0.0.0", "0.0.0.0", "1.2.3", "a b", "", "-a"] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn ipv6_address_in_a_uri_is_kept() {
        let broker = Broker { uri: "amqp://u:p@[fd00::1]:5672/v".to_owned() };
        assert_eq!(broker.parse().unwrap().authority.host, "fd00::1");
    }

    #[test]
    fn host_that_is_the_pod_itself_is_detected() {
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
    fn character_that_cannot_be_quoted_is_named() {
        for (value, wrong) in [("a'b", "a quote"), ("a\\b", "a backslash"), ("a b", "a space")] {
            assert!(find_unquotable(value).is_some_and(|found| found.contains(wrong)), "{value}");
        }
        assert_eq!(find_unquotable("a/b@c"), None);
    }
}

//! Policies as they are in the cluster, read without trust: whoever may write them writes anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use temporal_stack_common::api::DefaultInboundPolicy;

use crate::stack::{Account, Network};

/// What is done with connections that no policy admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Deny,
    Audit,
    AllUnauthenticated,
    AllAuthenticated,
    ClusterUnauthenticated,
    ClusterAuthenticated,
}

impl Access {
    /// An unknown one is refused by Linkerd's webhook, and would deny.
    fn read(text: &str) -> Self {
        match text {
            "audit" => Self::Audit,
            "all-unauthenticated" => Self::AllUnauthenticated,
            "all-authenticated" => Self::AllAuthenticated,
            "cluster-unauthenticated" => Self::ClusterUnauthenticated,
            "cluster-authenticated" => Self::ClusterAuthenticated,
            _ => Self::Deny,
        }
    }
}

impl From<DefaultInboundPolicy> for Access {
    fn from(policy: DefaultInboundPolicy) -> Self {
        Self::read(policy.as_str())
    }
}

/// A `Server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// When it was created, as the API server writes it; `None`: it does not exist yet.
    pub(crate) created: Option<String>,
    pub(crate) selector: Selector,
    pub(crate) port: Port,
    pub(crate) access: Access,
}

/// The port of a `Server`. Text is a name whatever it looks like, and no container's port is called `5432`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Number(u64),
    Name(String),
}

/// A selector of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: BTreeMap<String, String>,
    expressions: Vec<(String, Operator)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    Unknown,
}

impl Selector {
    /// Whether a pod with these labels is selected.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        self.labels.iter().all(has)
            && self.expressions.iter().all(|(key, operator)| match (operator, labels.get(key)) {
                (Operator::In(values), value) => value.is_some_and(|value| values.contains(value)),
                (Operator::NotIn(values), value) => value.is_none_or(|value| !values.contains(value)),
                (Operator::Exists, value) => value.is_some(),
                (Operator::DoesNotExist, value) => value.is_none(),
                (Operator::Unknown, _) => false,
            })
    }

    fn read(selector: &Value) -> Self {
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let labels = labels.map(|(key, value)| (key.clone(), text(value))).collect();
        let expression = |expression: &Value| {
            let values = || list(&expression["values"]).map(text).collect();
            let operator = match expression["operator"].as_str() {
                Some("In") => Operator::In(values()),
                Some("NotIn") => Operator::NotIn(values()),
                Some("Exists") => Operator::Exists,
                Some("DoesNotExist") => Operator::DoesNotExist,
                _ => Operator::Unknown,
            };
            (text(&expression["key"]), operator)
        };
        Self { labels, expressions: list(&selector["matchExpressions"]).map(expression).collect() }
    }
}

/// An `AuthorizationPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The `Server`; `None`: all of its namespace.
    server: Option<String>,
    pub(super) required: Vec<Authentication>,
}

/// What a policy requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    Mesh {
        namespace: String,
        name: String,
    },
    Network {
        namespace: String,
        name: String,
    },
    /// A ServiceAccount, without an authentication of its own.
    Identity(Identities),
    Unknown(String),
}

impl Authentication {
    pub(super) fn is_network(&self) -> bool {
        matches!(self, Self::Network { .. })
    }
}

/// Identities of meshed clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identities {
    Any,
    Exactly(String),
    /// All that end like this.
    Below(String),
    Account(Account),
    Namespace(String),
}

/// A range of addresses, without some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    network: Network,
    except: Vec<Network>,
}

impl Range {
    pub(super) fn contains(&self, address: std::net::IpAddr) -> bool {
        self.network.contains(address) && !self.except.iter().any(|except| except.contains(address))
    }
}

type Key = (String, String);

/// All policies of some namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policies {
    pub(crate) servers: Vec<Server>,
    authorizations: Vec<Authorization>,
    meshes: BTreeMap<Key, Vec<Identities>>,
    networks: BTreeMap<Key, Vec<Range>>,
    routed: BTreeSet<Key>,
}

impl Policies {
    /// Adds an object of this kind. One without a namespace, such as a manifest, is in `namespace`.
    pub(crate) fn add(&mut self, kind: &str, object: &Value, namespace: &str) {
        let meta = &object["metadata"];
        let namespace = meta["namespace"].as_str().unwrap_or(namespace).to_owned();
        let name = text(&meta["name"]);
        let spec = &object["spec"];
        match kind {
            "Server" => self.servers.push(Server {
                namespace,
                name,
                created: meta["creationTimestamp"].as_str().map(str::to_owned),
                selector: Selector::read(&spec["podSelector"]),
                port: match &spec["port"] {
                    Value::Number(number) => Port::Number(number.as_u64().unwrap_or_default()),
                    other => Port::Name(text(other)),
                },
                access: Access::read(spec["accessPolicy"].as_str().unwrap_or("deny")),
            }),
            "AuthorizationPolicy" => self.authorizations.extend(authorization(namespace, name, spec)),
            "MeshTLSAuthentication" => {
                let identities = identities(&namespace, spec);
                self.meshes.insert((namespace, name), identities);
            }
            "NetworkAuthentication" => {
                let ranges = list(&spec["networks"]).filter_map(range).collect();
                self.networks.insert((namespace, name), ranges);
            }
            "HTTPRoute" | "GRPCRoute" => {
                let parents = list(&spec["parentRefs"]).filter(|parent| parent["kind"] == "Server");
                self.routed.extend(parents.map(|parent| (namespace.clone(), text(&parent["name"]))));
            }
            _ => {}
        }
    }

    /// The policies for a `Server`.
    pub(super) fn for_server<'a>(&'a self, server: &'a Server) -> impl Iterator<Item = &'a Authorization> {
        self.authorizations.iter().filter(|policy| {
            policy.namespace == server.namespace && policy.server.as_ref().is_none_or(|name| *name == server.name)
        })
    }

    pub(super) fn identities_of(&self, namespace: &str, name: &str) -> Option<&Vec<Identities>> {
        self.meshes.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn ranges_of(&self, namespace: &str, name: &str) -> Option<&Vec<Range>> {
        self.networks.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Whether a policy of this name admits clients by their address.
    pub(super) fn admits_by_address(&self, namespace: &str, name: &str) -> bool {
        let mut named =
            self.authorizations.iter().filter(|policy| policy.namespace == namespace && policy.name == name);
        named.any(|policy| policy.required.iter().any(Authentication::is_network))
    }

    pub(super) fn has_routes(&self, namespace: &str, server: &str) -> bool {
        self.routed.contains(&(namespace.to_owned(), server.to_owned()))
    }
}

/// A policy for a `Server` or a namespace; one for a route admits nobody to the rest of a port.
fn authorization(namespace: String, name: String, spec: &Value) -> Option<Authorization> {
    let target = &spec["targetRef"];
    let server = match target["kind"].as_str()? {
        "Server" => Some(text(&target["name"])),
        "Namespace" if text(&target["name"]) == namespace => None,
        _ => return None,
    };
    let required = list(&spec["requiredAuthenticationRefs"]).map(|reference| {
        let name = text(&reference["name"]);
        let namespace = reference["namespace"].as_str().unwrap_or(&namespace).to_owned();
        match reference["kind"].as_str().unwrap_or_default() {
            "MeshTLSAuthentication" => Authentication::Mesh { namespace, name },
            "NetworkAuthentication" => Authentication::Network { namespace, name },
            "ServiceAccount" => Authentication::Identity(Identities::Account(Account { namespace, name })),
            other => Authentication::Unknown(other.to_owned()),
        }
    });
    let required = required.collect();
    Some(Authorization { namespace, name, server, required })
}

fn identities(namespace: &str, spec: &Value) -> Vec<Identities> {
    let written = list(&spec["identities"]).map(|identity| match text(identity).as_str() {
        "*" => Identities::Any,
        text => match text.strip_prefix('*').filter(|suffix| suffix.starts_with('.')) {
            Some(suffix) => Identities::Below(suffix.to_owned()),
            None => Identities::Exactly(text.to_owned()),
        },
    });
    let referred = list(&spec["identityRefs"]).filter_map(|reference| {
        let name = text(&reference["name"]);
        match reference["kind"].as_str()? {
            "ServiceAccount" => {
                let namespace = reference["namespace"].as_str().unwrap_or(namespace).to_owned();
                Some(Identities::Account(Account { namespace, name }))
            }
            "Namespace" => Some(Identities::Namespace(name)),
            _ => None,
        }
    });
    written.chain(referred).collect()
}

fn range(network: &Value) -> Option<Range> {
    let except = list(&network["except"]).filter_map(|except| except.as_str()?.parse().ok());
    Some(Range { network: network["cidr"].as_str()?.parse().ok()?, except: except.collect() })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Text, or a number as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

//! Who may connect to pods: one `NetworkPolicy` from a list of ports with the audience of each.
//!
//! | audience | may connect | for |
//! |---|---|---|
//! | [`Audience::Members`] | the component's own pods | traffic between nodes, which trust every peer |
//! | [`Audience::Internal`] | its own pods and its controller | management |
//! | [`Audience::Clients`] | the peers in `spec.access.clients`, its own pods, and the controllers that use it | applications |
//! | [`Audience::Operators`] | the peers in `spec.access.operators` | administration with the product's own tools; it opens no other port |
//! | [`Audience::Metrics`] | the peers in `spec.access.metrics` | monitoring; it opens no other port |
//! | [`Audience::Everybody`] | everyone | ports that the user has published |
//!
//! A port that is not listed is closed. Outgoing connections are not restricted, and the kubelet's probes always pass.
//!
//! # In a mesh
//!
//! Linkerd directs every connection between meshed pods to the proxy's port 4143, whatever the original port. So it is open to
//! those who may connect to some port: members, controllers, listed clients and operators. It is open always: without a proxy nothing
//! listens there, and a policy that followed the proxies would be late whenever a pod starts with its first one.
//!
//! As it leads to all ports, it is open to everyone only if no port is restricted. If some are, everyone with a login is limited
//! to the pods of the namespace, whose authors could read the component's Secrets anyway; clients in other namespaces must be
//! listed. Monitoring is left out, because it would reach more than metrics: it must collect them from outside of the mesh. It
//! may also collect those of the proxy, on port 4191, and so may the controller of the mesh. In a mesh, its own policies decide who
//! may use which port.

mod peers;

use std::collections::BTreeMap;

use clap::builder::NonEmptyStringValueParser;
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

pub use peers::{wrong_with_access, wrong_with_peers};

use crate::{
    api::{Access, label},
    port,
};

/// The port on which mesh proxies accept connections from each other.
const MESH: Port = tcp(port::MESH.number, Audience::Clients);
/// The port on which mesh proxies have their metrics.
const MESH_METRICS: Port = tcp(port::MESH_METRICS.number, Audience::Metrics);

/// The component whose controller reads what proxies report.
const MESH_CONTROLLER: &str = "mesh";

/// The namespace of the controllers; flattened into the defaults of each controller.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Home {
    /// The namespace of the controllers, from which `NetworkPolicies` let them connect to pods.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "temporal-stack-system",
        value_parser = NonEmptyStringValueParser::new()
    )]
    controller_namespace: String,
}

impl Default for Home {
    fn default() -> Self {
        Self { controller_namespace: "temporal-stack-system".to_owned() }
    }
}

impl Home {
    /// Its name.
    pub fn namespace(&self) -> &str {
        &self.controller_namespace
    }

    /// The pods of the controller of this component.
    pub fn controller(&self, component: &str) -> NetworkPolicyPeer {
        NetworkPolicyPeer {
            namespace_selector: Some(labelled("kubernetes.io/metadata.name", &self.controller_namespace)),
            pod_selector: Some(labelled(label::NAME, &format!("{component}-controller"))),
            ..NetworkPolicyPeer::default()
        }
    }
}

/// Who may connect to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The component's own pods.
    Members,
    /// Its own pods, and its controller.
    Internal,
    /// Its own pods, the controllers that use it, and its clients.
    Clients,
    /// People who administer the product with its own tools.
    Operators,
    /// Monitoring.
    Metrics,
    /// Everyone.
    Everybody,
}

/// A port and its audience.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    number: u16,
    protocol: &'static str,
    audience: Audience,
}

/// A port of TCP.
pub const fn tcp(number: u16, audience: Audience) -> Port {
    Port { number, protocol: "TCP", audience }
}

/// A port of UDP.
pub const fn udp(number: u16, audience: Audience) -> Port {
    Port { number, protocol: "UDP", audience }
}

/// The clients of a component.
#[derive(Clone, Copy, Debug)]
pub enum Clients<'a> {
    /// Everyone who can log in.
    Everybody,
    /// Only these; if empty, no one.
    Only(&'a [NetworkPolicyPeer]),
}

/// The inputs of a policy, besides the ports.
#[derive(Debug)]
pub struct Policy<'a> {
    /// Its name.
    pub name: String,
    /// The pods that it protects.
    pub pods: BTreeMap<String, String>,
    /// The component's own pods: often the same.
    pub members: BTreeMap<String, String>,
    /// The controllers that connect to the pods, by component: its own first, then those of components that refer to it.
    pub controllers: &'a [&'a str],
    /// The namespace of the controllers.
    pub home: &'a Home,
    /// Who may connect as a client.
    pub clients: Clients<'a>,
    /// Who may administer the product.
    pub operators: &'a [NetworkPolicyPeer],
    /// Who may collect metrics.
    pub metrics: &'a [NetworkPolicyPeer],
}

impl<'a> Policy<'a> {
    /// A policy of all pods of a component that asks for a password: `access` says who may connect as a client, which is everybody
    /// unless the user has listed them.
    pub fn new(
        name: &str,
        pods: BTreeMap<String, String>,
        controllers: &'a [&'a str],
        home: &'a Home,
        access: &'a Access,
    ) -> Self {
        Self {
            name: name.to_owned(),
            members: pods.clone(),
            pods,
            controllers,
            home,
            clients: access.clients.as_ref().map_or(Clients::Everybody, |listed| Clients::Only(listed)),
            operators: &access.operators,
            metrics: &access.metrics,
        }
    }

    /// The policy that opens these ports, each to its audience, and closes all others.
    pub fn opening(self, ports: &[Port]) -> NetworkPolicy {
        let mut audiences: Vec<Audience> = Vec::new();
        for port in ports {
            if !audiences.contains(&port.audience) {
                audiences.push(port.audience);
            }
        }
        let of = |audience| ports.iter().filter(move |port| port.audience == audience);
        let rule = |audience: &Audience| Some(rule(of(*audience), self.sources(*audience)?));
        let mut rules: Vec<_> = audiences.iter().filter_map(rule).collect();
        rules.extend(self.mesh(ports).map(|sources| self::rule([&MESH], sources)));
        // The controller of the mesh asks each proxy, whether or not there is one.
        let watching = std::iter::once(self.home.controller(MESH_CONTROLLER)).chain(self.metrics.iter().cloned());
        rules.push(self::rule([&MESH_METRICS], Sources::Only(watching.collect())));
        NetworkPolicy {
            metadata: ObjectMeta { name: Some(self.name), ..ObjectMeta::default() },
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(LabelSelector { match_labels: Some(self.pods), ..LabelSelector::default() }),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(rules),
                ..NetworkPolicySpec::default()
            }),
        }
    }

    /// The peers of an audience; `None` for no one.
    fn sources(&self, audience: Audience) -> Option<Sources> {
        let members = || NetworkPolicyPeer {
            pod_selector: Some(LabelSelector { match_labels: Some(self.members.clone()), ..LabelSelector::default() }),
            ..NetworkPolicyPeer::default()
        };
        let controllers = || self.controllers.iter().map(|component| self.home.controller(component));
        let only: Vec<NetworkPolicyPeer> = match (audience, self.clients) {
            (Audience::Everybody, _) | (Audience::Clients, Clients::Everybody) => return Some(Sources::Everybody),
            (Audience::Members, _) => vec![members()],
            (Audience::Internal, _) => std::iter::once(members()).chain(controllers().take(1)).collect(),
            (Audience::Clients, Clients::Only(clients)) => {
                std::iter::once(members()).chain(controllers()).chain(clients.iter().cloned()).collect()
            }
            (Audience::Operators, _) => self.operators.to_vec(),
            (Audience::Metrics, _) => self.metrics.to_vec(),
        };
        // A rule with an empty list would admit everyone.
        (!only.is_empty()).then_some(Sources::Only(only))
    }

    /// The peers that may use the port of the mesh, by which all ports can be reached.
    fn mesh(&self, ports: &[Port]) -> Option<Sources> {
        let mut peers: Vec<NetworkPolicyPeer> = Vec::new();
        let mut is_open = None;
        for port in ports.iter().filter(|port| port.audience != Audience::Metrics) {
            match self.sources(port.audience) {
                Some(Sources::Everybody) => {
                    is_open = is_open.or(Some(true));
                    if port.audience == Audience::Clients {
                        peers.extend(self.controllers.iter().map(|component| self.home.controller(component)));
                        peers.push(whole_namespace());
                    }
                }
                Some(Sources::Only(only)) => {
                    if !self.is_public(port, ports) {
                        is_open = Some(false);
                    }
                    peers.extend(only);
                }
                None => {}
            }
        }
        if is_open? {
            return Some(Sources::Everybody);
        }
        let mut different: Vec<NetworkPolicyPeer> = Vec::new();
        for peer in peers {
            if !different.contains(&peer) {
                different.push(peer);
            }
        }
        Some(Sources::Only(different))
    }

    /// Whether everyone may connect to the port, as another audience of it.
    fn is_public(&self, port: &Port, ports: &[Port]) -> bool {
        let is_same = |other: &&Port| (other.number, other.protocol) == (port.number, port.protocol);
        ports.iter().filter(is_same).any(|other| matches!(self.sources(other.audience), Some(Sources::Everybody)))
    }
}

enum Sources {
    Everybody,
    /// Never empty.
    Only(Vec<NetworkPolicyPeer>),
}

fn rule<'a>(ports: impl IntoIterator<Item = &'a Port>, sources: Sources) -> NetworkPolicyIngressRule {
    let ports = ports.into_iter().map(|port| NetworkPolicyPort {
        protocol: Some(port.protocol.to_owned()),
        port: Some(IntOrString::Int(i32::from(port.number))),
        ..NetworkPolicyPort::default()
    });
    let from = match sources {
        Sources::Everybody => None,
        Sources::Only(peers) => Some(peers),
    };
    NetworkPolicyIngressRule { ports: Some(ports.collect()), from }
}

/// All pods of the policy's namespace.
fn whole_namespace() -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() }
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    }
}

#[cfg(test)]
mod tests;

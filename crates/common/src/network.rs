//! Who may connect to pods: one `NetworkPolicy` from a list of ports with the audience of each.
//!
//! | audience | may connect | for |
//! |---|---|---|
//! | [`Audience::Members`] | the component's own pods | what nodes say to each other, and whoever is let in is obeyed |
//! | [`Audience::Internal`] | its own pods and its controller | management |
//! | [`Audience::Clients`] | what `spec.access.clients` says, its own pods, and the controllers that use it | applications |
//! | [`Audience::Metrics`] | what `spec.access.metrics` says | monitoring, and nothing else is opened by it |
//! | [`Audience::Everybody`] | everybody | what the user has published |
//!
//! A port that is not listed is closed. What pods connect to is not restricted, and a kubelet's probes always pass.
//!
//! # In a mesh
//!
//! Linkerd brings every connection between meshed pods to the proxy's port 4143, whatever port was called. It is open to members,
//! controllers and listed clients, and to everybody only where no port is for some alone. Nothing listens there without a mesh.
//! Within one, its own policies say who may use which port.

use std::{collections::BTreeMap, net::IpAddr};

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

use crate::api::{Access, label};

/// Where the proxies of a mesh take connections from each other.
const MESH: Port = tcp(4143, Audience::Clients);

/// Where the controllers run; flattened into the defaults of each controller.
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
    pub controller_namespace: String,
}

impl Default for Home {
    fn default() -> Self {
        Self { controller_namespace: "temporal-stack-system".to_owned() }
    }
}

impl Home {
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
    /// Those who collect metrics.
    Metrics,
    /// Everybody.
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
    /// Everybody who can log in.
    Everybody,
    /// These; none where there are none.
    Only(&'a [NetworkPolicyPeer]),
}

impl<'a> Clients<'a> {
    /// Those of a component that asks for a password: everybody, unless the user has listed them.
    pub fn listed_or_everybody(listed: Option<&'a Vec<NetworkPolicyPeer>>) -> Self {
        listed.map_or(Self::Everybody, |listed| Self::Only(listed))
    }
}

/// What a policy is made from, beside the ports.
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
    /// Where they run.
    pub home: &'a Home,
    /// Who may connect as a client.
    pub clients: Clients<'a>,
    /// Who may collect metrics.
    pub metrics: &'a [NetworkPolicyPeer],
}

impl Policy<'_> {
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
        rules.extend(self.mesh(&audiences).map(|sources| self::rule([&MESH], sources)));
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

    /// Those of an audience; `None` for nobody.
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
            (Audience::Metrics, _) => self.metrics.to_vec(),
        };
        // A rule with an empty list would let everybody in.
        (!only.is_empty()).then_some(Sources::Only(only))
    }

    /// Those who may use the port that all others can be reached by. Those for whom one port is open among several that are not are
    /// none of them: they would reach the rest.
    fn mesh(&self, audiences: &[Audience]) -> Option<Sources> {
        let mut peers: Vec<NetworkPolicyPeer> = Vec::new();
        let mut is_open = None;
        for audience in audiences.iter().filter(|audience| **audience != Audience::Metrics) {
            match self.sources(*audience) {
                Some(Sources::Everybody) => {
                    is_open = is_open.or(Some(true));
                    if *audience == Audience::Clients {
                        peers.extend(self.controllers.iter().map(|component| self.home.controller(component)));
                    }
                }
                Some(Sources::Only(only)) => {
                    is_open = Some(false);
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

fn labelled(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    }
}

/// What is wrong with `spec.access`, if anything.
pub fn wrong_with_access(access: &Access) -> Option<String> {
    let clients = ("spec.access.clients", access.clients.as_deref().unwrap_or_default());
    wrong_with_peers([clients, ("spec.access.metrics", &access.metrics)])
}

/// What is wrong with the peers that a user has listed, if anything: the API server would refuse the policy at each pass.
pub fn wrong_with_peers<'a>(lists: impl IntoIterator<Item = (&'a str, &'a [NetworkPolicyPeer])>) -> Option<String> {
    lists.into_iter().find_map(|(field, peers)| {
        let (index, wrong) =
            peers.iter().enumerate().find_map(|(index, peer)| Some((index, wrong_with_peer(peer)?)))?;
        Some(format!("{field}[{index}] {wrong}"))
    })
}

fn wrong_with_peer(peer: &NetworkPolicyPeer) -> Option<String> {
    let selectors = [&peer.namespace_selector, &peer.pod_selector];
    let has_selector = selectors.iter().any(|selector| selector.is_some());
    match &peer.ip_block {
        None if !has_selector => {
            Some("is empty: it selects nothing; set podSelector, namespaceSelector or ipBlock".to_owned())
        }
        None => selectors.into_iter().flatten().find_map(wrong_with_selector),
        Some(_) if has_selector => {
            Some("has ipBlock beside a selector: a peer has one of them; write two peers".to_owned())
        }
        Some(block) => {
            std::iter::once(&block.cidr).chain(block.except.iter().flatten()).find(|cidr| !is_cidr(cidr)).map(|cidr| {
                format!("has the ipBlock {cidr:?}, which is no range of addresses; write it as 10.0.0.0/8 or fd00::/8")
            })
        }
    }
}

fn wrong_with_selector(selector: &LabelSelector) -> Option<String> {
    selector.match_expressions.iter().flatten().find_map(|expression| {
        let has_values = expression.values.as_ref().is_some_and(|values| !values.is_empty());
        match (expression.operator.as_str(), has_values) {
            ("In" | "NotIn", true) | ("Exists" | "DoesNotExist", false) => None,
            ("In" | "NotIn", false) => {
                Some(format!("has the operator {} without values; add them", expression.operator))
            }
            ("Exists" | "DoesNotExist", true) => {
                Some(format!("has the operator {} with values; remove them", expression.operator))
            }
            (other, _) => Some(format!("has the unknown operator {other:?}; use In, NotIn, Exists or DoesNotExist")),
        }
    })
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

#[cfg(test)]
mod tests;

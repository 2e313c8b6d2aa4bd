//! What enforced policies would deny: calculated from the connections that proxies have counted.
//!
//! Linkerd's own audit cannot say it. A proxy takes the first authorisation that fits, and the catch-all of an audit may come before
//! the policy that admits the client. So each counted connection is evaluated against the policies as they would be enforced.
//!
//! Proxies count a client without a proxy without its address. Where one is admitted by address (a controller, a node), it is not known
//! whether the counted one is that one, unless a policy is counted with it: such a connection is unclear.
//!
//! # Cut edges
//!
//! A connection that the stack needs may be denied, too: by the `Server` of somebody else, because a client has no proxy, or because
//! something that policies rest on is missing. Then policies must not be enforced, whatever was observed.

use std::collections::BTreeSet;

use temporal_stack_common::api::ComponentReference;

use super::{Client, Connection, Installation, Policies, Target, evaluate, servers};
use crate::stack::{
    Account, Component, Listener, Network, Pod, Stack, Who,
    edges::{Edge, Edges, is_allowed, part_name},
    reference,
};

/// A counted client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// A meshed one.
    Identity(String),
    /// One without a proxy, at an unknown address.
    Unmeshed,
}

/// Connections that proxies have counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The component that they lead to.
    pub(crate) component: ComponentReference,
    /// Its port.
    pub(crate) port: u16,
    pub(crate) client: Peer,
    /// The `AuthorizationPolicy` that is counted with them, if it is one.
    pub(crate) policy: Option<String>,
}

/// Connections that would be denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) client: Peer,
    pub(crate) component: ComponentReference,
    /// The name of the port, or its number.
    pub(crate) port: String,
}

/// A needed connection that would be denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    /// The client: its pod, its ServiceAccount, or its network.
    pub(crate) client: String,
    pub(crate) component: ComponentReference,
    /// The name of the port.
    pub(crate) port: &'static str,
    pub(crate) why: String,
}

/// A `Server` of somebody else for one of our ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Foreign {
    /// Its name.
    pub(crate) server: String,
    pub(crate) component: ComponentReference,
    /// The name of the port.
    pub(crate) port: &'static str,
    /// Whether it counts instead of ours, because it is older.
    pub(crate) wins: bool,
}

/// What enforced policies would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Counted connections that would be denied.
    pub(crate) denied: Vec<Denial>,
    /// Counted connections of clients without a proxy that may be needed ones.
    pub(crate) unclear: Vec<Denial>,
    /// Needed connections that would be denied.
    pub(crate) cut: BTreeSet<Cut>,
    /// Servers of others.
    pub(crate) foreign: BTreeSet<Foreign>,
    /// Our Servers that are the parent of somebody's route. Its rules replace those that Linkerd has by itself: probes and calls that
    /// none of them matches get 404, whether policies deny or not.
    pub(crate) routed: BTreeSet<String>,
}

impl Audit {
    /// Why policies must not be enforced, if something that the stack needs would be denied.
    pub(crate) fn refusal(&self) -> Option<String> {
        let first = self.cut.first()?;
        let (component, more) = (reference(&first.component), self.cut.len() - 1);
        let others = if more > 0 { format!(" ({more} more)") } else { String::new() };
        let remedy = match self.foreign.iter().find(|foreign| foreign.wins && foreign.component == first.component) {
            Some(foreign) => format!("delete Server/{}, which is older than ours and counts instead", foreign.server),
            None => "restart the client so that it gets a proxy, or list it in spec.allow".to_owned(),
        };
        let (client, port, why) = (&first.client, first.port, &first.why);
        Some(format!("{client} needs port {port} of {component}{others}, and would be denied: {why}; {remedy}"))
    }
}

/// Calculates what these policies, ours as they would be enforced and those of others, would deny. `ours` are the names of our
/// `Servers`.
pub(crate) fn audit(
    stack: &Stack,
    edges: &Edges,
    (policies, ours): (&Policies, &BTreeSet<String>),
    installation: &Installation,
    seen: &[Seen],
) -> Audit {
    let calculation = Calculation { stack, edges, policies, installation };
    let routed = ours.iter().filter(|server| policies.has_routes(&stack.namespace, server)).cloned().collect();
    let mut audit = Audit { routed, ..Audit::default() };
    for edge in &edges.wanted {
        audit.cut.extend(calculation.cuts(edge));
    }
    for component in &stack.components {
        for listener in &component.listeners {
            audit.foreign.extend(calculation.foreign(component, listener, ours));
        }
    }
    for seen in seen {
        match calculation.outcome(seen) {
            Outcome::Allowed => {}
            Outcome::Denied(denial) => audit.denied.push(denial),
            Outcome::Unclear(denial) => audit.unclear.push(denial),
        }
    }
    audit
}

enum Outcome {
    Allowed,
    Denied(Denial),
    Unclear(Denial),
}

struct Calculation<'a> {
    stack: &'a Stack,
    edges: &'a Edges,
    policies: &'a Policies,
    installation: &'a Installation,
}

impl<'a> Calculation<'a> {
    fn target(&self, component: &'a Component, pod: &'a Pod) -> Target<'a> {
        let listeners = component.listeners.iter().filter(|listener| listener.has(pod));
        let ports = listeners.map(|listener| (listener.port.name, listener.port.number)).collect();
        Target { namespace: &self.stack.namespace, pod, ports, probes: Vec::new() }
    }

    /// Why the connection would be denied at one of the component's pods.
    fn denied(&self, component: &'a Component, port: u16, client: &Client) -> Option<String> {
        let listening = |pod: &&Pod| {
            let mut listeners = component.listeners.iter().filter(|listener| listener.port.number == port).peekable();
            listeners.peek().is_none() || listeners.any(|listener| listener.has(pod))
        };
        let pods = self.stack.pods_of(&component.id).filter(listening);
        pods.map(|pod| self.target(component, pod)).find_map(|target| {
            let connection = Connection { client, target: &target, port, path: None };
            evaluate(self.policies, self.installation, &connection).err().map(|why| why.to_string())
        })
    }

    /// The clients of a needed connection that would be denied.
    fn cuts(&self, edge: &Edge) -> Vec<Cut> {
        let component = self.stack.component(&edge.component);
        let Some((component, listener)) = component.and_then(|found| Some((found, found.listener(edge.port)?))) else {
            return Vec::new();
        };
        let clients = self.edges.clients.get(&edge.client).map(|who| self.clients(&edge.client, who));
        let cut = |(name, client): (String, Client)| {
            let why = self.denied(component, listener.port.number, &client)?;
            Some(Cut { client: name, component: component.id.clone(), port: edge.port, why })
        };
        clients.into_iter().flatten().filter_map(cut).collect()
    }

    /// Each of the clients that are meant, as a proxy sees it, with its name for people. A pod without a proxy has no identity.
    fn clients(&self, name: &str, who: &Who) -> Vec<(String, Client)> {
        let account = |account: &Account| {
            (format!("{account}"), Client { identity: Some(self.installation.identity(account)), address: None })
        };
        let network =
            |network: &Network| (network.to_string(), Client { identity: None, address: Some(network.first()) });
        let running = self.stack.components.iter().flat_map(|component| {
            let parts = component.parts.iter().filter(move |part| part_name(component, part) == name);
            parts.flat_map(move |part| self.stack.pods_of(&component.id).filter(move |pod| part.has(pod)))
        });
        let unproxied = running.filter(|pod| !pod.is_proxied).map(|pod| {
            let address = pod.addresses.first().copied();
            (format!("Pod/{}, which has no proxy,", pod.name), Client { identity: None, address })
        });
        let accounts = who.accounts.iter().map(account);
        accounts.chain(who.networks.iter().map(network)).chain(unproxied).collect()
    }

    fn foreign(&self, component: &'a Component, listener: &Listener, ours: &BTreeSet<String>) -> BTreeSet<Foreign> {
        let pods = self.stack.pods_of(&component.id).filter(|pod| listener.has(pod));
        let of_pod = |pod| {
            let all = servers(self.policies, &self.target(component, pod), listener.port.number);
            let foreign = all.into_iter().enumerate().filter(|(_, server)| !ours.contains(&server.name));
            let foreign = foreign.map(|(index, server)| Foreign {
                server: server.name.clone(),
                component: component.id.clone(),
                port: listener.port.name,
                wins: index == 0,
            });
            foreign.collect::<Vec<_>>()
        };
        pods.flat_map(of_pod).collect()
    }

    fn outcome(&self, seen: &Seen) -> Outcome {
        let Some(component) = self.stack.component(&seen.component) else { return Outcome::Allowed };
        let listener = component.listeners.iter().find(|listener| listener.port.number == seen.port);
        let port = listener.map(|listener| listener.port.name);
        let client = match &seen.client {
            Peer::Identity(identity) => Client { identity: Some(identity.clone()), address: None },
            Peer::Unmeshed => Client::default(),
        };
        if self.denied(component, seen.port, &client).is_none() {
            return Outcome::Allowed;
        }
        let may_be_of_cluster = seen.client == Peer::Unmeshed && self.admits_pods(component, seen.port);
        let denial = Denial {
            client: seen.client.clone(),
            component: seen.component.clone(),
            port: port.map_or_else(|| seen.port.to_string(), str::to_owned),
        };
        match &seen.policy {
            // It has compared the address, which is not counted.
            Some(policy) if self.policies.admits_by_address(&self.stack.namespace, policy) => Outcome::Allowed,
            _ if may_be_of_cluster => Outcome::Unclear(denial),
            None if self.may_be_admitted(seen, port) => Outcome::Unclear(denial),
            _ => Outcome::Denied(denial),
        }
    }

    /// Whether the port is open to all addresses of the cluster, as it is by the default of many installations.
    fn admits_pods(&self, component: &'a Component, port: u16) -> bool {
        let anywhere = |network: &Network| Client { identity: None, address: Some(network.first()) };
        let mut clients = self.installation.networks.iter().map(anywhere);
        clients.any(|client| self.denied(component, port, &client).is_none())
    }

    /// Whether a client of unknown address may be one that is admitted by its address. Meshed ones are only by `spec.allow`.
    fn may_be_admitted(&self, seen: &Seen, port: Option<&str>) -> bool {
        let is_meshed = matches!(seen.client, Peer::Identity(_));
        let at_port = |edge: &&Edge| edge.component == seen.component && Some(edge.port) == port;
        self.edges.wanted.iter().filter(at_port).any(|edge| {
            let by_address = self.edges.clients.get(&edge.client).is_some_and(|who| !who.networks.is_empty());
            by_address && (!is_meshed || is_allowed(&edge.client))
        })
    }
}

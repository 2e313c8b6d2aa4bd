//! The stack of a namespace as it was observed, and which connections it needs: plain data.
//!
//! ```text
//!   custom resources ──▶ Component: parts (clients, by ServiceAccount), listeners (ports, by labels), references
//!   pods             ──▶ Pod: the identities that run now, next to those that the specs want
//!   controllers, nodes, spec.allow ──▶ Who: identities and networks
//!                              └──▶ edges::wanted: client ──▶ listener
//! ```

pub(crate) mod addresses;
pub(crate) mod component;
pub(crate) mod edges;
#[cfg(test)]
pub(crate) mod example;
mod network;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use k8s_openapi::jiff::Timestamp;
pub(crate) use network::Network;
use temporal_stack_common::{
    api::{ComponentKind, ComponentReference, DefaultInboundPolicy},
    part::ROLE,
    port::{Port, Protocol},
};

/// `Kind/name` of a component, for messages.
pub(crate) fn reference(id: &ComponentReference) -> String {
    format!("{}/{}", id.kind.as_str(), id.name)
}

/// The prefix of the names of a component's children.
pub(crate) fn base(id: &ComponentReference) -> String {
    format!("{}-{}", id.name, id.kind.as_str().to_lowercase())
}

/// A ServiceAccount, from which a mesh derives the identity of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount {}/{}", self.namespace, self.name)
    }
}

/// Those who may connect: each of them, by what it is known for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    /// Meshed pods, by their ServiceAccount.
    pub(crate) accounts: BTreeSet<Account>,
    /// All meshed pods of these namespaces.
    pub(crate) namespaces: BTreeSet<String>,
    /// Anybody with such an address, meshed or not.
    pub(crate) networks: BTreeSet<Network>,
}

impl Who {
    /// Whether nobody is meant.
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.namespaces.is_empty() && self.networks.is_empty()
    }
}

/// Clients that the user permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The component to which they connect.
    pub(crate) component: ComponentReference,
    /// The name of the port.
    pub(crate) port: String,
    /// The clients.
    pub(crate) from: Who,
}

/// A controller of the stack, whose pods usually are in no mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controller {
    /// Its component.
    pub(crate) kind: ComponentKind,
    /// The addresses of its pods without a proxy, from the moment that a pod has one.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// The addresses of such pods that have gone, and until when they are admitted.
    pub(crate) leaving: BTreeMap<IpAddr, Timestamp>,
    /// The `ServiceAccounts` of its pods with a proxy.
    pub(crate) accounts: BTreeSet<Account>,
}

impl Controller {
    /// The addresses that are admitted.
    pub(crate) fn networks(&self) -> BTreeSet<Network> {
        self.addresses.iter().chain(self.leaving.keys()).copied().map(Network::host).collect()
    }
}

/// A pod whose owners lead to a component. Terminating pods are among them, because they connect until they end; pods that have
/// ended are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) component: ComponentReference,
    pub(crate) labels: BTreeMap<String, String>,
    /// The name of its ServiceAccount.
    pub(crate) account: String,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Whether it has a proxy.
    pub(crate) is_proxied: bool,
    /// The ports on which its proxy is left out.
    pub(crate) unproxied: BTreeSet<u16>,
    /// What its proxy does with connections to ports without a policy, if it is not the default of the installation.
    pub(crate) default: Option<DefaultInboundPolicy>,
}

/// Pods of a component with the same peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name; empty if the component has only one.
    pub(crate) name: &'static str,
    /// The values of the label [`ROLE`] on its pods; empty: all pods of the component.
    pub(crate) roles: &'static [&'static str],
    /// The ServiceAccount that its pods have, or will have.
    pub(crate) account: String,
}

impl Part {
    /// Whether a pod of its component belongs to it.
    pub(crate) fn has(&self, pod: &Pod) -> bool {
        let role = pod.labels.get(ROLE).map(String::as_str).unwrap_or_default();
        self.roles.is_empty() || self.roles.contains(&role)
    }
}

/// A port on which pods of a component listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) port: Port,
    /// Its protocol, if the custom resource decides it.
    pub(crate) protocol: Option<Protocol>,
    /// The labels of the pods.
    pub(crate) selector: BTreeMap<String, String>,
    /// Whether the pods of the component connect to each other there.
    pub(crate) is_between: bool,
    /// Whether a Service leads clients from outside of the cluster there.
    pub(crate) is_exposed: bool,
}

impl Listener {
    /// Whether a pod of its component listens there.
    pub(crate) fn has(&self, pod: &Pod) -> bool {
        self.selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
    }
}

/// A component whose pods run in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) id: ComponentReference,
    pub(crate) parts: Vec<Part>,
    pub(crate) listeners: Vec<Listener>,
    /// The components that it uses.
    pub(crate) refers_to: Vec<ComponentReference>,
    /// The components whose controllers use it, besides its own.
    pub(crate) used_by: Vec<ComponentKind>,
}

impl Component {
    /// Its listener on the port of this name.
    pub(crate) fn listener(&self, port: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.port.name == port)
    }
}

/// The stack of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    pub(crate) namespace: String,
    pub(crate) components: Vec<Component>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) controllers: Vec<Controller>,
    /// The addresses from which kubelets and clients of node ports arrive: each node's own, and the first of its pod networks.
    pub(crate) nodes: BTreeSet<IpAddr>,
    /// Whom the user permits.
    pub(crate) allowed: Vec<Allowed>,
    /// Whether proxies refuse clients without one on ports that have no policy: now, or when they start the next time.
    pub(crate) is_closed: bool,
}

impl Stack {
    /// A component.
    pub(crate) fn component(&self, id: &ComponentReference) -> Option<&Component> {
        self.components.iter().find(|component| component.id == *id)
    }

    /// The pods of a component.
    pub(crate) fn pods_of<'a>(&'a self, id: &'a ComponentReference) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.component == *id)
    }

    /// The identities of a part: that of its spec, and those with which its pods still run.
    pub(crate) fn accounts(&self, component: &Component, part: &Part) -> BTreeSet<Account> {
        let running = self.pods_of(&component.id).filter(|pod| part.has(pod)).map(|pod| pod.account.clone());
        let account = |name| Account { namespace: self.namespace.clone(), name };
        std::iter::once(part.account.clone()).chain(running).map(account).collect()
    }

    /// The ports with a policy whose connections do not lead to the proxy, so that the policy has no effect.
    pub(crate) fn unguarded(&self) -> BTreeSet<(&ComponentReference, &'static str)> {
        let mut unguarded = BTreeSet::new();
        for component in &self.components {
            for listener in &component.listeners {
                let mut pods = self.pods_of(&component.id).filter(|pod| pod.is_proxied && listener.has(pod));
                if pods.any(|pod| pod.unproxied.contains(&listener.port.number)) {
                    unguarded.insert((&component.id, listener.port.name));
                }
            }
        }
        unguarded
    }

    /// Whether pods of a component differ in how they connect to each other: only some have a proxy, the identity of the spec, or the
    /// same ports without it. Those that are alike would then refuse the others, and a rollout that waits for their connections
    /// would never end.
    pub(crate) fn is_rolling(&self, component: &Component) -> bool {
        let pods: Vec<&Pod> = self.pods_of(&component.id).collect();
        let Some(first) = pods.first().filter(|_| pods.len() > 1) else { return false };
        let is_outdated = |pod: &Pod| component.parts.iter().any(|part| part.has(pod) && part.account != pod.account);
        pods.iter().any(|pod| !pod.is_proxied || is_outdated(pod) || pod.unproxied != first.unproxied)
    }
}

//! The policies of Linkerd that follow from the connections that a stack needs: pure.
//!
//! | object | for each |
//! |---|---|
//! | `MeshTLSAuthentication` | client with identities: a part of a component, a meshed controller, an entry of `spec.allow` |
//! | `NetworkAuthentication` | client with addresses: an unmeshed controller, the nodes, an entry of `spec.allow` |
//! | `AuthorizationPolicy` | connection that is needed, once by identity and once by address |
//! | `Server` | port of a component, whether anybody may use it or not; where ports without one are closed, also the metrics of its proxies |
//!
//! # Order
//!
//! Linkerd ignores a policy with an authentication that does not exist, and then denies its clients. So authentications come first, then
//! policies, then `Servers`; and they go in the opposite order, by [`retire`].
//!
//! # Rollouts
//!
//! A client has the identity of its spec and those of its running pods, so that old and new ones are admitted until the last old pod
//! has ended. The ports on which pods of a component find each other are not enforced while these differ: see
//! [`Stack::is_rolling`].
//!
//! # Versions
//!
//! `Server` v1beta3 (Linkerd 2.16) can admit and count what no policy admits. Earlier ones always deny, so none of them is written.
//!
//! # Caveats
//!
//! * A controller that has no pod with an address is admitted nowhere until it has one.
//! * An Ingress or a load balancer that keeps the addresses of its clients is not the address of a node: list it in `spec.allow`.
//! * Kubelets need no policy: the probes of the stack are `httpGet`, which Linkerd admits by itself, or `exec`.

pub(crate) mod kinds;
pub(crate) mod name;
pub(crate) mod routes;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use temporal_stack_common::{
    manifest::Manifest,
    port::{MESH_METRICS, Protocol},
};

use self::kinds::{
    AuthorizationPolicy, AuthorizationPolicySpec, Cidr, GROUP, HTTPRoute, IdentityReference, MeshTLSAuthentication,
    MeshTLSAuthenticationSpec, NetworkAuthentication, NetworkAuthenticationSpec, Reference, Server, ServerSpec,
    labelled,
};
use crate::{
    names::ADDRESSES,
    stack::{
        Component, Controller, Listener, Network, Stack, Who, addresses,
        edges::{Edge, Edges, controller_name},
    },
};

/// Whether policies deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They admit and count everything.
    Audit,
    /// They deny what nothing admits.
    Enforce,
}

/// The policies, in the order in which they are applied.
pub(crate) fn derive(stack: &Stack, edges: &Edges, mode: Mode) -> Vec<Manifest> {
    let mut policies = Policies::default();
    for (client, who) in &edges.clients {
        let controller = stack.controllers.iter().find(|controller| controller_name(controller.kind) == *client);
        policies.authenticate(&stack.namespace, (client, who), controller);
    }
    for edge in &edges.wanted {
        if let Some(who) = edges.clients.get(&edge.client) {
            policies.admit(edge, who);
        }
    }
    for component in &stack.components {
        let is_rolling = stack.is_rolling(component);
        for listener in &component.listeners {
            let mode = if listener.is_between && is_rolling { Mode::Audit } else { mode };
            policies.serve(component, listener, mode);
        }
        if stack.is_closed {
            policies.measure(component);
        }
    }
    policies.authentications.into_iter().chain(policies.authorizations).chain(policies.servers).collect()
}

/// The objects that exist and are no longer wanted, by kind and name, in the order in which they must go: nothing is denied on the way
/// that was admitted before.
pub(crate) fn retire<'a>(existing: impl IntoIterator<Item = (&'a str, &'a str)>, wanted: &[Manifest]) -> Vec<Manifest> {
    let is_wanted = |kind: &str, name: &str| {
        wanted.iter().any(|manifest| manifest.resource.kind == kind && manifest.name() == name)
    };
    let absent = |(kind, name): (&str, &str)| {
        let (rank, manifest) = match kind {
            "HTTPRoute" => (0_u8, Manifest::absent::<HTTPRoute>(name)),
            "Server" => (1, Manifest::absent::<Server>(name)),
            "AuthorizationPolicy" => (2, Manifest::absent::<AuthorizationPolicy>(name)),
            "MeshTLSAuthentication" => (3, Manifest::absent::<MeshTLSAuthentication>(name)),
            "NetworkAuthentication" => (3, Manifest::absent::<NetworkAuthentication>(name)),
            _ => return None,
        };
        (!is_wanted(kind, name)).then_some((rank, manifest))
    };
    let mut leaving: Vec<(u8, Manifest)> = existing.into_iter().filter_map(absent).collect();
    leaving.sort_by_key(|(rank, manifest)| (*rank, manifest.reference()));
    leaving.into_iter().map(|(_, manifest)| manifest).collect()
}

#[derive(Default)]
struct Policies {
    authentications: Vec<Manifest>,
    authorizations: Vec<Manifest>,
    servers: Vec<Manifest>,
}

impl Policies {
    fn authenticate(&mut self, namespace: &str, (client, who): (&str, &Who), controller: Option<&Controller>) {
        let meta = || metadata(name::authentication(client));
        let accounts = who.accounts.iter().map(|account| IdentityReference {
            kind: "ServiceAccount".to_owned(),
            name: account.name.clone(),
            namespace: (account.namespace != namespace).then(|| account.namespace.clone()),
        });
        let namespaces = who.namespaces.iter().map(|name| IdentityReference {
            kind: "Namespace".to_owned(),
            name: name.clone(),
            namespace: None,
        });
        let identity_refs: Vec<_> = accounts.chain(namespaces).collect();
        if !identity_refs.is_empty() {
            let spec = MeshTLSAuthenticationSpec { identity_refs };
            self.authentications.push(Manifest::new(&MeshTLSAuthentication { metadata: meta(), spec }));
        }
        if !who.networks.is_empty() {
            let recorded = controller.map(|controller| (ADDRESSES.to_owned(), addresses::recorded(controller)));
            let annotations = recorded.map(|recorded| BTreeMap::from([recorded]));
            self.authentications.push(network(ObjectMeta { annotations, ..meta() }, &who.networks));
        }
    }

    fn admit(&mut self, edge: &Edge, who: &Who) {
        let server = name::server(&edge.component, edge.port);
        let authentication = name::authentication(&edge.client);
        if !who.accounts.is_empty() || !who.namespaces.is_empty() {
            let named = name::policy(&server, &edge.client);
            self.authorizations.push(policy(named, &server, "MeshTLSAuthentication", &authentication));
        }
        if !who.networks.is_empty() {
            let named = name::policy(&server, &format!("{}-network", edge.client));
            self.authorizations.push(policy(named, &server, "NetworkAuthentication", &authentication));
        }
    }

    fn serve(&mut self, component: &Component, listener: &Listener, mode: Mode) {
        let name = name::server(&component.id, listener.port.name);
        let access = match mode {
            Mode::Audit => "audit",
            Mode::Enforce => "deny",
        };
        let spec = ServerSpec {
            pod_selector: labelled(&listener.selector),
            port: listener.port.name.to_owned(),
            proxy_protocol: proxy_protocol(listener.protocol).to_owned(),
            access_policy: access.to_owned(),
        };
        self.servers.push(Manifest::new(&Server { metadata: metadata(name), spec }));
    }

    /// The port of proxies themselves is one of those that a default closes, but for their probes. It stays as it is without such a
    /// default: `NetworkPolicies` restrict it.
    fn measure(&mut self, component: &Component) {
        let spec = ServerSpec {
            pod_selector: labelled(&component.labels()),
            port: MESH_METRICS.name.to_owned(),
            proxy_protocol: proxy_protocol(Some(MESH_METRICS.protocol)).to_owned(),
            access_policy: "all-unauthenticated".to_owned(),
        };
        let name = name::server(&component.id, MESH_METRICS.name);
        self.servers.push(Manifest::new(&Server { metadata: metadata(name), spec }));
    }
}

/// What is spoken on a port. Linkerd must not detect it where the server speaks first, and cannot where it is encrypted.
fn proxy_protocol(protocol: Option<Protocol>) -> &'static str {
    match protocol {
        Some(Protocol::Http) => "HTTP/1",
        Some(Protocol::H2c) => "HTTP/2",
        Some(Protocol::Opaque | Protocol::Udp) => "opaque",
        Some(Protocol::Https) | None => "unknown",
    }
}

fn network(metadata: ObjectMeta, networks: &BTreeSet<Network>) -> Manifest {
    let networks = networks.iter().map(|network| Cidr { cidr: network.to_string() }).collect();
    Manifest::new(&NetworkAuthentication { metadata, spec: NetworkAuthenticationSpec { networks } })
}

fn policy(named: String, server: &str, kind: &str, authentication: &str) -> Manifest {
    let reference =
        |kind: &str, name: &str| Reference { group: GROUP.to_owned(), kind: kind.to_owned(), name: name.to_owned() };
    let spec = AuthorizationPolicySpec {
        target_ref: reference("Server", server),
        required_authentication_refs: vec![reference(kind, authentication)],
    };
    Manifest::new(&AuthorizationPolicy { metadata: metadata(named), spec })
}

fn metadata(name: String) -> ObjectMeta {
    ObjectMeta { name: Some(name), ..ObjectMeta::default() }
}

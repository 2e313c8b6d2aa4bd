//! What policies deny: those that would be enforced, and those that exist.

use std::collections::BTreeSet;

use serde_json::Value;
use temporal_stack_common::{api::DefaultInboundPolicy, manifest::Manifest};

use super::view::View;
use crate::{
    evaluate::{
        Installation, Policies,
        audit::{Audit, Cut, Peer, Seen, audit},
    },
    linkerd::policies::Policy,
    stack::{Pod, Stack, edges::Edges},
    traffic::Client,
};

/// What a calculation is about.
#[derive(Clone, Copy)]
pub(super) struct Calculation<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) stack: &'a Stack,
    pub(super) edges: &'a Edges,
    /// The policies as they would be enforced.
    pub(super) enforced: &'a [Manifest],
}

impl Calculation<'_> {
    /// What would be denied if all of these policies existed, together with those of others.
    pub(super) fn whole(self) -> Audit {
        let policies = self.policies(self.admitting());
        audit(self.stack, self.edges, (&policies, &self.ours()), &installation(self.view), &self.seen())
    }

    /// The needed connections that the Servers would deny only because a policy that admits them does not exist, or differs: also
    /// where no pod listens yet.
    pub(super) fn lacking(self) -> BTreeSet<Cut> {
        let stack = &peopled(self.stack);
        let own = self.view.observed.policies.own.iter().filter(|own| !is_server(&own.kind));
        let now = Calculation { stack, ..self }.cuts(own.map(described));
        let whole = Calculation { stack, ..self }.cuts(self.admitting());
        let is_denied_anyway = |cut: &Cut| {
            let is_it =
                |other: &Cut| (&other.client, &other.component, other.port) == (&cut.client, &cut.component, cut.port);
            whole.iter().any(is_it)
        };
        now.into_iter().filter(|cut| !is_denied_anyway(cut)).collect()
    }

    fn cuts<'v>(self, admitting: impl Iterator<Item = (&'v str, &'v Value)>) -> BTreeSet<Cut> {
        let policies = self.policies(admitting);
        audit(self.stack, self.edges, (&policies, &self.ours()), &installation(self.view), &[]).cut
    }

    fn admitting(&self) -> impl Iterator<Item = (&str, &Value)> {
        let admitting = self.enforced.iter().filter(|manifest| !is_server(&manifest.resource.kind));
        admitting.map(|manifest| (manifest.resource.kind.as_str(), &manifest.object))
    }

    /// The Servers as they would be enforced, what admits, and the policies of others.
    fn policies<'v>(self, admitting: impl Iterator<Item = (&'v str, &'v Value)>) -> Policies {
        let mut policies = Policies::default();
        for foreign in &self.view.observed.policies.foreign {
            policies.add(&foreign.kind, &foreign.object, &self.stack.namespace);
        }
        for (kind, object) in admitting {
            policies.add(kind, object, &self.stack.namespace);
        }
        for server in self.enforced.iter().filter(|manifest| is_server(&manifest.resource.kind)) {
            policies.add(&server.resource.kind, &aged(self.view, server), &self.stack.namespace);
        }
        policies
    }

    fn ours(self) -> BTreeSet<String> {
        let servers = self.enforced.iter().filter(|manifest| is_server(&manifest.resource.kind));
        servers.map(|server| server.name().to_owned()).collect()
    }

    /// The connections that proxies have counted.
    fn seen(self) -> Vec<Seen> {
        let links = self.view.observed.traffic.iter().flat_map(|report| &report.links);
        let counted = links.filter(|(_, count)| *count > 0).map(|(link, _)| Seen {
            component: (*link.component).clone(),
            port: link.port,
            client: match &link.client {
                Client::Identity(identity) => Peer::Identity(identity.clone()),
                Client::Unmeshed(_) => Peer::Unmeshed,
            },
            policy: link
                .authorization
                .as_ref()
                .filter(|rule| rule.kind == "authorizationpolicy")
                .map(|rule| rule.name.clone()),
        });
        counted.collect()
    }
}

/// The stack with a pod for each port that has none.
fn peopled(stack: &Stack) -> Stack {
    let mut peopled = stack.clone();
    for component in &stack.components {
        for listener in &component.listeners {
            if stack.pods_of(&component.id).any(|pod| listener.has(pod)) {
                continue;
            }
            peopled.pods.push(Pod {
                name: String::new(),
                component: component.id.clone(),
                labels: listener.selector.clone(),
                account: String::new(),
                addresses: BTreeSet::new(),
                is_proxied: true,
                unproxied: BTreeSet::new(),
                default: None,
            });
        }
    }
    peopled
}

/// Whether objects of this kind deny; all others admit.
pub(super) fn is_server(kind: &str) -> bool {
    kind == "Server"
}

fn described(policy: &Policy) -> (&str, &Value) {
    (&policy.kind, &policy.object)
}

/// A Server with the age of the object that exists: of two Servers for a port the older one counts.
fn aged(view: &View<'_>, manifest: &Manifest) -> Value {
    let mut object = manifest.object.clone();
    let mut own = view.observed.policies.own.iter();
    if let Some(own) = own.find(|own| is_server(&own.kind) && own.name() == manifest.name()) {
        object["metadata"]["creationTimestamp"] = own.object["metadata"]["creationTimestamp"].clone();
    }
    object
}

fn installation(view: &View<'_>) -> Installation {
    let linkerd = &view.observed.linkerd;
    let config = linkerd.config.there().cloned().unwrap_or_default();
    let networks = config.cluster_networks.split(',').filter_map(|network| network.trim().parse().ok()).collect();
    Installation {
        namespace: linkerd.namespace.clone(),
        trust_domain: config.trust_domain().to_owned(),
        networks,
        default: config.default_policy().unwrap_or(DefaultInboundPolicy::AllUnauthenticated),
    }
}

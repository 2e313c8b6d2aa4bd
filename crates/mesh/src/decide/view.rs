//! The view that all decisions start from: the components with their pods, and the state of each proxy.

use std::collections::BTreeSet;

use serde_json::json;
use temporal_stack_common::{
    api::{self, ComponentKind, ComponentReference, Mesh, ServiceAccountReference},
    names::Names,
};

use crate::{
    linkerd::{
        installation::Config,
        namespace::Namespace,
        pod::{Pod, Proxy},
    },
    names::{CLOSED, DEFAULT_POLICY, DISABLED, ENABLED, INJECT, SETTINGS, TRUST_ROOT},
    observed::{Component, Observed},
    policy::name,
    stack::{self, Account, Controller, Stack, Who, addresses, edges::controller_name},
};

/// An object, and the components of its namespace.
pub(crate) struct View<'a> {
    pub(crate) object: &'a Mesh,
    pub(crate) names: Names,
    pub(crate) observed: &'a Observed,
    /// The namespace, if it is known.
    pub(crate) namespace: Option<&'a Namespace>,
    /// All components, in the order in which they are restarted.
    pub(crate) members: Vec<Member<'a>>,
    /// The components that the spec names and that do not exist.
    pub(crate) absent: Vec<&'a ComponentReference>,
}

/// A component with its pods.
pub(crate) struct Member<'a> {
    pub(crate) component: &'a Component,
    /// Whether its pods should have proxies.
    pub(crate) is_chosen: bool,
    /// The pods that should have a proxy, with its state.
    pub(crate) pods: Vec<(&'a Pod, State)>,
}

/// The state of the proxy that a pod should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has the settings that a new pod would get.
    Current,
    /// There is none.
    Missing,
    /// It is a container, not a native sidecar.
    Container,
    /// It was started with another setting: this annotation.
    Outdated(&'static str),
}

impl State {
    /// Whether a restart of the pod corrects it.
    pub(crate) fn is_stale(self) -> bool {
        matches!(self, Self::Missing | Self::Outdated(_))
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(object: &'a Mesh, observed: &'a Observed) -> Self {
        let namespace = observed.namespace.there();
        let chosen = object.spec.components.as_ref();
        let is_chosen = |component: &Component| {
            let is_out = component.annotations.get(INJECT).is_some_and(|value| value == DISABLED);
            !component.is_leaving && chosen.map_or(!is_out, |chosen| chosen.contains(&component.reference))
        };
        let members = observed.components.iter().map(|component| {
            let is_chosen = is_chosen(component);
            let pods = component.pods.iter().filter(|pod| is_chosen && is_wanted(pod));
            let pods = pods.map(|pod| (pod, state(pod, component, namespace, observed))).collect();
            Member { component, is_chosen, pods }
        });
        let exists = |reference: &&ComponentReference| {
            observed.components.iter().any(|component| component.reference == **reference)
        };
        Self {
            object,
            names: Names::new(object),
            observed,
            namespace,
            members: members.collect(),
            absent: chosen.into_iter().flatten().filter(|reference| !exists(reference)).collect(),
        }
    }

    /// The stack with its clients.
    pub(crate) fn stack(&self) -> Stack {
        let observed = self.observed;
        let config = observed.linkerd.config.there();
        let skipped = config.map(|config| config.proxy_init.ignore_inbound_ports.clone()).unwrap_or_default();
        Stack {
            namespace: self.names.namespace.clone(),
            components: observed.components.iter().filter_map(|component| component.shape.clone()).collect(),
            pods: observed.components.iter().flat_map(|component| pods(component, &skipped)).collect(),
            controllers: self.controllers(),
            nodes: observed.nodes.clone().unwrap_or_default(),
            allowed: self.object.spec.allow.iter().map(|allowed| self.allowed(allowed)).collect(),
            is_closed: self.is_closed(),
        }
    }

    /// Whether proxies refuse clients without one where no policy is, by the spec, by the installation, or as they run.
    fn is_closed(&self) -> bool {
        let config = self.observed.linkerd.config.there();
        let installed = config.and_then(Config::default_policy);
        let is_asked = self.object.spec.default_inbound_policy.or(installed).is_some_and(|one| CLOSED.contains(&one));
        is_asked || !closed(&self.observed.components).is_empty()
    }

    /// The controllers, also those whose pods have gone a moment ago.
    pub(crate) fn controllers(&self) -> Vec<Controller> {
        let Some(present) = &self.observed.controllers else { return Vec::new() };
        let controller = |kind| {
            let none = || Controller { kind, ..Controller::default() };
            let controller = present.iter().find(|one| one.kind == kind).cloned().unwrap_or_else(none);
            let name = name::authentication(&controller_name(kind));
            let mut own = self.observed.policies.own.iter();
            let record = own.find(|own| own.kind == "NetworkAuthentication" && own.name() == name);
            let record = record.and_then(|own| own.recorded()).unwrap_or_default();
            let leaving = addresses::leaving(record, &controller, self.observed.now);
            Controller { leaving, ..controller }
        };
        let all = ComponentKind::ALL.into_iter().map(controller);
        all.filter(|controller| !controller.networks().is_empty() || !controller.accounts.is_empty()).collect()
    }

    fn allowed(&self, allowed: &api::Allowed) -> stack::Allowed {
        let account = |reference: &ServiceAccountReference| Account {
            namespace: reference.namespace.clone().unwrap_or_else(|| self.names.namespace.clone()),
            name: reference.name.clone(),
        };
        let from = &allowed.from;
        stack::Allowed {
            component: allowed.component.clone(),
            port: allowed.port.clone(),
            from: Who {
                accounts: from.service_accounts.iter().map(account).collect(),
                namespaces: from.namespaces.iter().cloned().collect(),
                networks: from.networks.iter().filter_map(|network| network.parse().ok()).collect(),
            },
        }
    }

    /// Whether pods lack a current proxy.
    pub(crate) fn has_stale_pods(&self) -> bool {
        let (pods, current) = self.counts();
        pods != current
    }

    /// How many pods should have a proxy, and how many have a current one.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let pods = || self.members.iter().flat_map(|member| &member.pods);
        (pods().count(), pods().filter(|(_, state)| *state == State::Current).count())
    }
}

/// The pods of a component, as clients and servers. Of the ports without a proxy those count on which the component listens.
fn pods<'a>(component: &'a Component, skipped: &'a str) -> impl Iterator<Item = stack::Pod> + use<'a> {
    let listeners = component.shape.iter().flat_map(|shape| &shape.listeners).map(|listener| listener.port.number);
    let ports: BTreeSet<u16> = listeners.collect();
    component.pods.iter().map(move |pod| stack::Pod {
        name: pod.name.clone(),
        component: component.reference.clone(),
        labels: pod.labels.clone(),
        account: pod.account.clone(),
        addresses: pod.addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        is_proxied: pod.proxy != Proxy::None,
        unproxied: ports.iter().copied().filter(|port| pod.skips(*port, skipped)).collect(),
        default: pod.annotation(DEFAULT_POLICY).and_then(|policy| serde_json::from_value(json!(policy)).ok()),
    })
}

/// A pod that ends needs no other proxy, and one may be kept out by its own annotation.
fn is_wanted(pod: &Pod) -> bool {
    !pod.is_leaving && (pod.proxy != Proxy::None || pod.annotation(INJECT) != Some(DISABLED))
}

/// Compares the settings that the injector copied to a pod with those that a new pod would get.
fn state(pod: &Pod, component: &Component, namespace: Option<&Namespace>, observed: &Observed) -> State {
    match pod.proxy {
        Proxy::None => return State::Missing,
        Proxy::Container => return State::Container,
        Proxy::Native => {}
    }
    let setting = |key: &str| {
        let of_component = component.annotations.get(key);
        of_component.or_else(|| namespace?.annotations.get(key)).map(String::as_str)
    };
    if let Some(other) = SETTINGS.into_iter().find(|key| pod.annotation(key) != setting(key)) {
        return State::Outdated(other);
    }
    let anchors = observed.linkerd.anchors.there();
    let trusts_others = anchors.zip(pod.annotation(TRUST_ROOT)).is_some_and(|(anchors, hash)| !anchors.are(hash));
    if trusts_others { State::Outdated(TRUST_ROOT) } else { State::Current }
}

/// The pods whose proxy refuses clients without a proxy on ports that have no Server.
pub(crate) fn closed(components: &[Component]) -> Vec<String> {
    let is_closed = |pod: &&Pod| {
        pod.annotation(DEFAULT_POLICY).is_some_and(|live| CLOSED.iter().any(|closed| closed.as_str() == live))
    };
    let pods = components.iter().flat_map(|component| &component.pods);
    let proxied = pods.filter(|pod| pod.proxy != Proxy::None && !pod.is_leaving);
    proxied.filter(is_closed).map(|pod| format!("Pod/{}", pod.name)).collect()
}

/// `PostgresDatabase/temporal`.
pub(crate) fn title(reference: &ComponentReference) -> String {
    format!("{}/{}", reference.kind.as_str(), reference.name)
}

/// Whether the pods of a component are injected by its own annotation.
pub(crate) fn is_annotated(component: &Component) -> bool {
    component.annotations.get(INJECT).is_some_and(|value| value == ENABLED)
}

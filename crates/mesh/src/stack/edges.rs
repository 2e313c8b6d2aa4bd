//! The connections that a stack needs: who connects to which port of which component.

use std::collections::{BTreeMap, BTreeSet};

use temporal_stack_common::{
    api::{ComponentKind, ComponentReference},
    manifest::hash,
    part,
    port::{self, Port},
};

use super::{Allowed, Component, Listener, Network, Part, Stack, Who, base};

/// The name of the clients that arrive from the address of a node.
const NODES: &str = "nodes";

/// The beginning of the names of clients that the user permits; a hash follows, and nothing else.
const ALLOWED: &str = "allowed-";

/// A connection that is needed: a client and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    /// The name of the client in [`Edges::clients`].
    pub(crate) client: String,
    /// The component.
    pub(crate) component: ComponentReference,
    /// The name of its port.
    pub(crate) port: &'static str,
}

/// All connections that are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    /// The clients, by names that are theirs whatever else is in the stack.
    pub(crate) clients: BTreeMap<String, Who>,
    /// Who connects to what.
    pub(crate) wanted: BTreeSet<Edge>,
    /// What the user permits, and what cannot be permitted: by its index in `spec.allow`, with the error.
    pub(crate) refused: Vec<(usize, String)>,
}

/// The connections that the stack needs.
pub(crate) fn wanted(stack: &Stack) -> Edges {
    let mut edges = Edges::default();
    for component in &stack.components {
        edges.between(stack, component);
        edges.references(stack, component);
        edges.controllers(stack, component);
        edges.nodes(stack, component);
    }
    for (index, allowed) in stack.allowed.iter().enumerate() {
        if let Err(wrong) = edges.allow(stack, allowed) {
            edges.refused.push((index, wrong));
        }
    }
    edges
}

/// The name of a part as a client.
pub(crate) fn part_name(component: &Component, part: &Part) -> String {
    let base = base(&component.id);
    if part.name.is_empty() { base } else { format!("{base}-{}", part.name) }
}

/// The name of the controller of a kind as a client.
pub(crate) fn controller_name(kind: ComponentKind) -> String {
    format!("controller-{}", kind.component())
}

impl Edges {
    fn add(&mut self, client: &str, who: Who, component: &Component, listener: &Listener) {
        if who.is_empty() {
            return;
        }
        self.clients.insert(client.to_owned(), who);
        let (client, component, port) = (client.to_owned(), component.id.clone(), listener.port.name);
        self.wanted.insert(Edge { client, component, port });
    }

    fn add_part(&mut self, stack: &Stack, (client, part): (&Component, &Part), component: &Component, port: Port) {
        let Some(listener) = component.listener(port.name) else { return };
        let who = Who { accounts: stack.accounts(client, part), ..Who::default() };
        self.add(&part_name(client, part), who, component, listener);
    }

    /// The pods of a component among themselves.
    fn between(&mut self, stack: &Stack, component: &Component) {
        for listener in component.listeners.iter().filter(|listener| listener.is_between) {
            for part in &component.parts {
                self.add_part(stack, (component, part), component, listener.port);
            }
        }
        for part in &component.parts {
            if [part::API.name, part::WORKERS.name].contains(&part.name) {
                self.add_part(stack, (component, part), component, port::KRAB);
            }
        }
    }

    /// The parts of a component and the components that it refers to.
    fn references(&mut self, stack: &Stack, component: &Component) {
        for part in &component.parts {
            for referred in component.refers_to.iter().filter_map(|id| stack.component(id)) {
                for port in used(part, referred.id.kind) {
                    self.add_part(stack, (component, part), referred, *port);
                }
            }
        }
    }

    /// The controllers that use a component: its own for all that it manages, those of others for what its clients use.
    fn controllers(&mut self, stack: &Stack, component: &Component) {
        for kind in &component.used_by {
            let Some(controller) = stack.controllers.iter().find(|controller| controller.kind == *kind) else {
                continue;
            };
            let who = Who { accounts: controller.accounts.clone(), networks: controller.networks(), ..Who::default() };
            for port in managed(*kind, component.id.kind) {
                if let Some(listener) = component.listener(port.name) {
                    self.add(&controller_name(*kind), who.clone(), component, listener);
                }
            }
        }
    }

    /// Clients from outside of the cluster.
    fn nodes(&mut self, stack: &Stack, component: &Component) {
        let networks: BTreeSet<Network> = stack.nodes.iter().copied().map(Network::host).collect();
        for listener in component.listeners.iter().filter(|listener| listener.is_exposed) {
            self.add(NODES, Who { networks: networks.clone(), ..Who::default() }, component, listener);
        }
    }

    fn allow(&mut self, stack: &Stack, allowed: &Allowed) -> Result<(), String> {
        let id = &allowed.component;
        // It may come later, or run elsewhere.
        let Some(component) = stack.component(id) else { return Ok(()) };
        let Some(listener) = component.listener(&allowed.port) else {
            let names: Vec<&str> = component.listeners.iter().map(|listener| listener.port.name).collect();
            let (port, reference) = (&allowed.port, super::reference(id));
            return Err(format!("{reference} has no port {port}; name one of {}", names.join(", ")));
        };
        self.add(&allowed_name(&allowed.from), allowed.from.clone(), component, listener);
        Ok(())
    }
}

/// A name that follows from the clients alone, so that it stays when the list is reordered.
fn allowed_name(who: &Who) -> String {
    let accounts = who.accounts.iter().map(|account| serde_json::json!([account.namespace, account.name]));
    let networks = who.networks.iter().map(ToString::to_string);
    let value = serde_json::json!([accounts.collect::<Vec<_>>(), who.namespaces, networks.collect::<Vec<_>>()]);
    format!("{ALLOWED}{}", &hash(&value)[..12])
}

/// Whether a client is one of `spec.allow`, by its name.
pub(crate) fn is_allowed(client: &str) -> bool {
    client.strip_prefix(ALLOWED).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The ports of a component that pods of this part use. The key server uses nothing, and Jobs use the database alone.
fn used(part: &Part, kind: ComponentKind) -> &'static [Port] {
    let is_program = [part::API.name, part::WORKERS.name].contains(&part.name);
    match kind {
        ComponentKind::PostgresDatabase if is_program || part.name == part::JOBS.name => &[port::POSTGRESQL],
        ComponentKind::MessageQueue if is_program => &[port::AMQP],
        ComponentKind::IpfsCluster if is_program => &[port::RPC, port::REST],
        _ => &[],
    }
}

/// The ports of a component that the controller of this kind uses.
fn managed(controller: ComponentKind, kind: ComponentKind) -> &'static [Port] {
    use ComponentKind::{IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};
    match (controller, kind) {
        (PostgresDatabase | Temporal, PostgresDatabase) => &[port::POSTGRESQL],
        (MessageQueue, MessageQueue) => &[port::AMQP, port::MANAGEMENT],
        (Temporal, MessageQueue) => &[port::AMQP],
        (IpfsCluster, IpfsCluster) => &[port::RPC, port::REST],
        (ObjectStorage, ObjectStorage) => &[port::S3, port::S3_ADMINISTRATION],
        (Temporal, Temporal) => &[port::API, port::KRAB],
        _ => &[],
    }
}

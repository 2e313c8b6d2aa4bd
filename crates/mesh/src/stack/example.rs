//! The whole stack, for tests: every component with its pods, all controllers, and two nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{ComponentKind, ComponentReference},
    part::ROLE,
};

use super::{Account, Component, Controller, Pod, Stack};

/// The namespace of the stack.
pub(crate) const NAMESPACE: &str = "mesh";

/// A custom resource.
pub(crate) fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> K {
    let object = json!({
        "apiVersion": "temporal-stack.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}")},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

/// A component called `temporal`.
pub(crate) fn component(kind: ComponentKind, spec: &Value) -> Component {
    let (name, text) = ("temporal", kind.as_str());
    match kind {
        ComponentKind::PostgresDatabase => Component::database(&object(text, name, spec)),
        ComponentKind::MessageQueue => Component::queue(&object(text, name, spec)),
        ComponentKind::IpfsCluster => Component::ipfs(&object(text, name, spec)),
        ComponentKind::ObjectStorage => Component::storage(&object(text, name, spec)),
        ComponentKind::Temporal => Some(Component::temporal(&object(text, name, spec))),
    }
    .unwrap()
}

/// The spec of a component that refers to the others, and whose network is private.
pub(crate) fn spec(kind: ComponentKind) -> Value {
    let reference = json!({"name": "temporal"});
    match kind {
        ComponentKind::Temporal => json!({"database": reference, "queue": reference, "ipfs": reference}),
        ComponentKind::IpfsCluster => json!({"network": "private"}),
        _ => json!({}),
    }
}

/// An address of the pod network.
pub(crate) fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 244, 0, last])
}

/// An address for each of some names, different ones for different names.
fn addresses(kind: ComponentKind, index: usize) -> BTreeSet<IpAddr> {
    let kinds = ComponentKind::ALL.into_iter().position(|known| known == kind).unwrap();
    BTreeSet::from([address(u8::try_from(100 + 20 * kinds + index).unwrap())])
}

/// A current pod of each role, two of each where pods connect to each other.
pub(crate) fn pods(component: &Component) -> Vec<Pod> {
    let count = if component.listeners.iter().any(|listener| listener.is_between) { 2 } else { 1 };
    let roles = component.parts.iter().flat_map(|part| {
        if part.roles.is_empty() {
            vec![(None, part)]
        } else {
            part.roles.iter().map(|role| (Some(*role), part)).collect()
        }
    });
    let roles = roles.flat_map(|role| std::iter::repeat_n(role, count));
    let pod = |(index, (role, part)): (usize, (Option<&str>, &super::Part))| {
        let mut labels = BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), "temporal-stack".to_owned()),
            ("app.kubernetes.io/component".to_owned(), component.id.kind.component().to_owned()),
            ("app.kubernetes.io/instance".to_owned(), component.id.name.clone()),
        ]);
        labels.extend(role.map(|role| (ROLE.to_owned(), role.to_owned())));
        Pod {
            name: format!("{}-{index}", super::base(&component.id)),
            component: component.id.clone(),
            labels,
            account: part.account.clone(),
            addresses: addresses(component.id.kind, index),
            is_proxied: true,
            unproxied: BTreeSet::new(),
            default: None,
        }
    };
    roles.enumerate().map(pod).collect()
}

/// A stack of these components, with their pods.
pub(crate) fn stack(components: Vec<Component>) -> Stack {
    let controller = |(index, kind): (usize, ComponentKind)| Controller {
        kind,
        addresses: BTreeSet::from([address(u8::try_from(10 + index).unwrap())]),
        leaving: BTreeMap::new(),
        accounts: BTreeSet::new(),
    };
    Stack {
        namespace: NAMESPACE.to_owned(),
        pods: components.iter().flat_map(pods).collect(),
        components,
        controllers: ComponentKind::ALL.into_iter().enumerate().map(controller).collect(),
        nodes: BTreeSet::from([address(1), "192.168.0.7".parse().unwrap()]),
        allowed: Vec::new(),
        is_closed: false,
    }
}

/// The stack of these kinds.
pub(crate) fn of_kinds(kinds: &[ComponentKind]) -> Stack {
    stack(kinds.iter().map(|kind| component(*kind, &spec(*kind))).collect())
}

/// The whole stack.
pub(crate) fn whole() -> Stack {
    of_kinds(&ComponentKind::ALL)
}

/// A component called `temporal`.
pub(crate) fn id(kind: ComponentKind) -> ComponentReference {
    ComponentReference { kind, name: "temporal".to_owned() }
}

/// A ServiceAccount of the namespace.
pub(crate) fn account(name: &str) -> Account {
    Account { namespace: NAMESPACE.to_owned(), name: name.to_owned() }
}

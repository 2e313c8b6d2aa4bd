//! The components are as their controllers make them: compared with the snapshots of their manifests.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use temporal_stack_common::api::ComponentKind::{
    self, IpfsCluster, MessageQueue, ObjectStorage, PostgresDatabase, Temporal,
};

use super::{Component, Pod, base, example};

macro_rules! snapshot {
    ($component:literal, $name:literal) => {
        include_str!(concat!(
            "../../../",
            $component,
            "/src/desire/snapshots/temporal_stack_",
            $component,
            "__desire__snapshot__",
            $name,
            ".snap"
        ))
    };
}

/// Kinds, specs, and the snapshots of what their controllers make of them.
fn snapshots() -> [(ComponentKind, Value, &'static str); 6] {
    [
        (PostgresDatabase, json!({}), snapshot!("database", "empty_spec_makes_a_server_and_draws_its_secrets")),
        (MessageQueue, json!({}), snapshot!("queue", "empty_spec_makes_one_node_and_draws_its_secrets")),
        (IpfsCluster, json!({}), snapshot!("ipfs", "default_spec_makes_one_public_peer")),
        (ObjectStorage, json!({}), snapshot!("storage", "empty_spec_makes_a_server_and_draws_its_root")),
        (
            ObjectStorage,
            json!({"provider": {"versity": {}}}),
            snapshot!("storage", "versity_has_a_volume_and_directories"),
        ),
        (Temporal, example::spec(Temporal), snapshot!("temporal", "default_spec_makes_a_whole_instance")),
    ]
}

/// The templates of pods in a snapshot.
fn templates(snapshot: &str) -> Vec<Value> {
    let (_, bill) = snapshot.split_once("---\n").unwrap().1.split_once("---\n").unwrap();
    let objects = bill.split("\n---\n").map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    objects.filter_map(|object| object.pointer("/spec/template").cloned()).collect()
}

/// A component with the name that the snapshot has.
fn component(kind: ComponentKind, spec: &Value, template: &Value) -> Component {
    let name = template["metadata"]["labels"]["app.kubernetes.io/instance"].as_str().unwrap();
    match kind {
        PostgresDatabase => Component::database(&example::object(kind.as_str(), name, spec)),
        MessageQueue => Component::queue(&example::object(kind.as_str(), name, spec)),
        IpfsCluster => Component::ipfs(&example::object(kind.as_str(), name, spec)),
        ObjectStorage => Component::storage(&example::object(kind.as_str(), name, spec)),
        Temporal => Some(Component::temporal(&example::object(kind.as_str(), name, spec))),
    }
    .unwrap()
}

fn pod(component: &Component, template: &Value) -> Pod {
    let labels: BTreeMap<String, String> = serde_json::from_value(template["metadata"]["labels"].clone()).unwrap();
    let account = template["spec"]["serviceAccountName"].as_str().unwrap().to_owned();
    Pod { labels, account, ..example::pods(component).remove(0) }
}

/// The names and numbers of the TCP ports of a pod.
fn ports(template: &Value) -> Vec<(String, u64)> {
    let lists = ["containers", "initContainers"].map(|field| template["spec"][field].as_array());
    let containers = lists.into_iter().flatten().flatten();
    let ports = containers.filter_map(|container| container["ports"].as_array()).flatten();
    let tcp = ports.filter(|port| port["protocol"] != "UDP");
    tcp.map(|port| (port["name"].as_str().unwrap().to_owned(), port["containerPort"].as_u64().unwrap())).collect()
}

#[test]
fn pods_have_the_account_of_their_part() {
    let mut checked = 0;
    for (kind, spec, snapshot) in snapshots() {
        for template in templates(snapshot) {
            let component = component(kind, &spec, &template);
            let pod = pod(&component, &template);
            let parts: Vec<_> = component.parts.iter().filter(|part| part.has(&pod)).collect();
            assert_eq!(parts.len(), 1, "{:?}", pod.labels);
            assert_eq!(parts[0].account, pod.account);
            checked += 1;
        }
    }
    assert_eq!(checked, 13);
}

#[test]
fn every_port_of_a_pod_is_known_by_name() {
    for (kind, spec, snapshot) in snapshots() {
        for template in templates(snapshot) {
            let component = component(kind, &spec, &template);
            let pod = pod(&component, &template);
            for (name, number) in ports(&template) {
                let listener = component.listener(&name);
                // The proxy leaves the swarm of the public network out.
                if listener.is_none() && (kind, name.as_str()) == (IpfsCluster, "swarm") {
                    continue;
                }
                let listener = listener.unwrap_or_else(|| panic!("{} has no {name}", base(&component.id)));
                assert_eq!(u64::from(listener.port.number), number, "{name}");
                assert!(listener.has(&pod), "{name} {:?}", pod.labels);
            }
        }
    }
}

#[test]
fn every_listener_is_a_port_of_a_pod() {
    for (kind, spec, snapshot) in snapshots() {
        let templates = templates(snapshot);
        let component = component(kind, &spec, &templates[0]);
        for listener in &component.listeners {
            let is_it = |template: &Value| ports(template).iter().any(|(name, _)| name == listener.port.name);
            assert!(templates.iter().any(is_it), "{} {}", base(&component.id), listener.port.name);
        }
    }
}

#[test]
fn component_that_runs_elsewhere_has_no_pods() {
    let external = json!({"provider": {"external": {"secretName": "given"}}});
    let kind = ComponentKind::as_str;
    assert!(Component::database(&example::object(kind(PostgresDatabase), "a", &external)).is_none());
    assert!(Component::queue(&example::object(kind(MessageQueue), "a", &external)).is_none());
    assert!(Component::ipfs(&example::object(kind(IpfsCluster), "a", &external)).is_none());
}

#[test]
fn account_of_the_user_is_that_of_all_parts() {
    let spec = json!({"pods": {"serviceAccountName": "theirs"}});
    for kind in ComponentKind::ALL {
        let component = example::component(kind, &spec);
        assert!(component.parts.iter().all(|part| part.account == "theirs"), "{kind:?}");
    }
}

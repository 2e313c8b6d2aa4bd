//! What a mesh learns about ports from a bill of materials.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::Manifest;

const OPAQUE: &str = "config.linkerd.io/opaque-ports";
const UNPROXIED: &str = "config.linkerd.io/skip-inbound-ports";

/// What a mesh would get wrong, a line each: a port of a Service without a protocol, or an opaque one that a Service or the pods
/// behind it do not list; an annotation of pods about a port on which they do not listen.
pub fn mistaken_ports(manifests: &[Manifest]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut opaque = BTreeSet::new();
    for service in of_kinds(manifests, &["Service"]) {
        let listed = numbers(&service.object["metadata"], OPAQUE);
        for port in service.object["spec"]["ports"].as_array().into_iter().flatten() {
            if port["protocol"] == "UDP" {
                continue;
            }
            let (name, is_opaque) = (port["name"].as_str().unwrap_or_default(), port["appProtocol"] == "tcp");
            if port["appProtocol"].is_null() {
                wrong.push(format!("{}: port {name} has no appProtocol", service.reference()));
            }
            if is_opaque != listed.contains(&number(&port["port"])) {
                wrong.push(format!("{}: appProtocol and annotation of port {name} differ", service.reference()));
            }
            opaque.extend(port["targetPort"].as_str().filter(|_| is_opaque).map(str::to_owned));
        }
    }
    for workload in of_kinds(manifests, &["StatefulSet", "Deployment", "Job"]) {
        let template = &workload.object["spec"]["template"];
        let lists = ["initContainers", "containers"].into_iter();
        let containers = lists.flat_map(|list| template["spec"][list].as_array().into_iter().flatten());
        let ports: Vec<&Value> =
            containers.flat_map(|container| container["ports"].as_array().into_iter().flatten()).collect();
        let is_opaque = |port: &&&Value| port["name"].as_str().is_some_and(|name| opaque.contains(name));
        let listed = [OPAQUE, UNPROXIED].map(|annotation| numbers(&template["metadata"], annotation)).concat();
        let needed: BTreeSet<u64> = ports.iter().filter(is_opaque).map(|port| number(&port["containerPort"])).collect();
        if needed != listed.iter().copied().collect() {
            wrong.push(format!("{}: listens opaquely on {needed:?} and lists {listed:?}", workload.reference()));
        }
    }
    wrong
}

fn of_kinds<'a>(manifests: &'a [Manifest], kinds: &'a [&str]) -> impl Iterator<Item = &'a Manifest> {
    // Others are kept as they are, and have no content.
    let has_spec = |manifest: &&Manifest| !manifest.object["spec"].is_null();
    manifests.iter().filter(|manifest| kinds.contains(&manifest.resource.kind.as_str())).filter(has_spec)
}

fn number(port: &Value) -> u64 {
    port.as_u64().unwrap_or_default()
}

fn numbers(metadata: &Value, annotation: &str) -> Vec<u64> {
    let listed = metadata["annotations"][annotation].as_str().unwrap_or_default();
    listed.split(',').filter_map(|port| port.parse().ok()).collect()
}

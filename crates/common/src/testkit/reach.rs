//! Which pods can connect to which, by the policies that a component creates, as a network that enforces them would decide.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::PodSpec,
        networking::v1::{NetworkPolicy, NetworkPolicyPeer},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::manifest::Manifest;

/// An object from a file of `deploy`.
pub fn deployed<K: DeserializeOwned>(yaml: &str) -> K {
    serde_saphyr::from_str(yaml).expect("an object of this kind")
}

/// A pod somewhere in the cluster.
#[derive(Clone, Debug)]
pub struct Endpoint {
    namespace: String,
    labels: BTreeMap<String, String>,
}

impl Endpoint {
    /// A pod with these labels in a namespace.
    pub fn new(namespace: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { namespace: namespace.to_owned(), labels }
    }

    /// A pod of a controller's Deployment, as `deploy/controllers` has it.
    pub fn controller(component: &str) -> Self {
        let name = format!("{component}-controller");
        let labels = [("app.kubernetes.io/name", name.as_str()), ("app.kubernetes.io/part-of", "temporal-stack")];
        Self::new("temporal-stack-system", &labels)
    }

    /// A foreign pod, in another namespace.
    pub fn stranger() -> Self {
        Self::new("elsewhere", &[("app", "stranger")])
    }

    /// The same pod in a namespace with another name.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }
}

/// The policies and pods of one object.
#[derive(Debug)]
pub struct Reach {
    namespace: String,
    policies: Vec<NetworkPolicy>,
    pods: BTreeMap<String, (Endpoint, Vec<u16>)>,
}

impl Reach {
    /// From the manifests in that namespace.
    pub fn new(namespace: &str, manifests: &[Manifest]) -> Self {
        let of_kind = |kind: &'static str| manifests.iter().filter(move |manifest| manifest.resource.kind == kind);
        let policies = of_kind("NetworkPolicy")
            .map(|manifest| serde_json::from_value(manifest.object.clone()).expect("a NetworkPolicy"))
            .collect();
        let workloads = ["StatefulSet", "Deployment", "Job"].into_iter().flat_map(of_kind);
        let pods = workloads.map(|manifest| (manifest.name().to_owned(), pod(namespace, &manifest.object))).collect();
        Self { namespace: namespace.to_owned(), policies, pods }
    }

    /// A pod of the workload with this name.
    pub fn pod(&self, workload: &str) -> Endpoint {
        self.pods.get(workload).unwrap_or_else(|| panic!("no workload is called {workload}")).0.clone()
    }

    /// The workloads and the ports that their containers declare.
    pub fn declared(&self) -> Vec<(&str, u16)> {
        self.pods.iter().flat_map(|(name, (_, ports))| ports.iter().map(|port| (name.as_str(), *port))).collect()
    }

    /// Whether a pod can connect to a TCP port of a workload's pods.
    pub fn allows(&self, from: &Endpoint, workload: &str, port: u16) -> bool {
        self.allows_to(from, &self.pod(workload), port)
    }

    /// Whether a pod can connect to a TCP port of another one, which another controller creates.
    pub fn allows_to(&self, from: &Endpoint, to: &Endpoint, port: u16) -> bool {
        let selected = |policy: &&NetworkPolicy| {
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
            matches(selector, &to.labels)
        };
        let mut policies = self.policies.iter().filter(selected).peekable();
        policies.peek().is_none() || policies.any(|policy| self.opens(policy, from, port))
    }

    fn opens(&self, policy: &NetworkPolicy, from: &Endpoint, port: u16) -> bool {
        let rules = policy.spec.iter().flat_map(|spec| spec.ingress.iter().flatten());
        rules.into_iter().any(|rule| {
            let ports = rule.ports.as_ref().filter(|ports| !ports.is_empty());
            let is_port = ports.is_none_or(|ports| {
                ports.iter().any(|open| {
                    let is_tcp = open.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
                    is_tcp && open.port.as_ref().is_none_or(|open| *open == IntOrString::Int(port.into()))
                })
            });
            let sources = rule.from.as_ref().filter(|from| !from.is_empty());
            is_port && sources.is_none_or(|sources| sources.iter().any(|source| self.is_source(source, from)))
        })
    }

    fn is_source(&self, source: &NetworkPolicyPeer, from: &Endpoint) -> bool {
        assert!(source.ip_block.is_none(), "ranges of addresses are not evaluated");
        let names = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), from.namespace.clone())]);
        let is_namespace = match &source.namespace_selector {
            None => from.namespace == self.namespace,
            selector => matches(selector.as_ref(), &names),
        };
        is_namespace && matches(source.pod_selector.as_ref(), &from.labels)
    }
}

/// An absent selector matches all, as an empty one does.
fn matches(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = selector else { return true };
    assert!(selector.match_expressions.is_none(), "expressions are not evaluated");
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

fn pod(namespace: &str, workload: &Value) -> (Endpoint, Vec<u16>) {
    let template = &workload["spec"]["template"];
    let labels = serde_json::from_value(template["metadata"]["labels"].clone()).unwrap_or_default();
    let spec: PodSpec = serde_json::from_value(template["spec"].clone()).unwrap_or_default();
    let containers = spec.containers.into_iter().chain(spec.init_containers.unwrap_or_default());
    let ports = containers.flat_map(|container| container.ports.unwrap_or_default());
    let tcp = ports.filter(|port| port.protocol.as_deref() != Some("UDP"));
    let numbers = tcp.filter_map(|port| u16::try_from(port.container_port).ok()).collect();
    (Endpoint { namespace: namespace.to_owned(), labels }, numbers)
}

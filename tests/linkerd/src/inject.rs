//! What the injector makes of a pod or a Service that is about to be created.
//!
//! The order of the init containers, their names, ports, probes and capabilities are those of Linkerd 2.20 with native sidecars; so are
//! the annotations and labels.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{VERSION, authority::fingerprint};

/// The name of the sidecar.
pub const PROXY: &str = "linkerd-proxy";
/// The name of the container that comes before it.
pub const INIT: &str = "linkerd-init";
/// Says whether pods are injected, on a namespace or a pod.
pub const INJECT: &str = "linkerd.io/inject";
/// What annotations begin with that are copied from the namespace to pods.
const CONFIG: &str = "config.linkerd.io/";
/// Ports on which the proxy passes bytes on.
const OPAQUE: &str = "config.linkerd.io/opaque-ports";
/// How long the proxy waits for open connections when it ends.
const GRACE: &str = "config.linkerd.io/shutdown-grace-period";
/// The ports that are opaque unless something else is said.
const DEFAULT_OPAQUE: [u64; 8] = [25, 587, 3306, 4444, 5432, 6379, 9300, 11211];
/// The uid of the proxy.
const USER: u32 = 2102;

/// What the installation decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The image of the containers; its program is this crate's.
    pub image: String,
    /// The trust anchors, as PEM.
    pub bundle: String,
}

/// Annotations of a namespace.
pub type Annotations = BTreeMap<String, String>;

/// The patch of an object that is created in a namespace with these annotations: none if it stays as it is.
pub fn patch(object: &Value, namespace: &str, annotations: &Annotations, config: &Config) -> Option<Value> {
    let changed = match object["kind"].as_str()? {
        "Pod" => pod(object, namespace, annotations, config)?,
        "Service" => service(object, annotations)?,
        _ => return None,
    };
    let parts = ["/metadata/annotations", "/metadata/labels", "/spec/initContainers", "/spec/volumes"];
    let differs = |part: &&str| changed.pointer(part) != object.pointer(part);
    // `add` replaces what is there.
    let add = |part: &str| json!({"op": "add", "path": part, "value": changed.pointer(part)});
    Some(parts.into_iter().filter(differs).map(add).collect())
}

/// The injected pod.
fn pod(object: &Value, namespace: &str, annotations: &Annotations, config: &Config) -> Option<Value> {
    let own = &object["metadata"]["annotations"];
    let wanted = own[INJECT].as_str().or_else(|| annotations.get(INJECT).map(String::as_str));
    if wanted != Some("enabled") || object["spec"]["hostNetwork"] == true || has_proxy(object) {
        return None;
    }
    let mut pod = object.clone();
    let mut all = own.as_object().cloned().unwrap_or_default();
    for (key, value) in annotations.iter().filter(|(key, _)| key.starts_with(CONFIG)) {
        all.entry(key.clone()).or_insert_with(|| json!(value));
    }
    let exposed = ports(object);
    let opaque: Vec<String> =
        DEFAULT_OPAQUE.iter().filter(|port| exposed.contains(port)).map(ToString::to_string).collect();
    if !opaque.is_empty() {
        all.entry(OPAQUE).or_insert_with(|| json!(opaque.join(",")));
    }
    all.insert(INJECT.to_owned(), json!("enabled"));
    all.insert("linkerd.io/created-by".to_owned(), json!(format!("linkerd/proxy-injector {VERSION}")));
    all.insert("linkerd.io/proxy-version".to_owned(), json!(VERSION));
    all.insert("linkerd.io/trust-root-sha256".to_owned(), json!(fingerprint(&config.bundle)));
    let grace = all.get(GRACE).and_then(Value::as_str).map(str::to_owned);
    pod["metadata"]["annotations"] = Value::Object(all);
    pod["metadata"]["labels"] = Value::Object(labels(object, namespace));
    let mut first = vec![init(&config.image), proxy(&config.image, &exposed, grace.as_deref())];
    first.extend(object["spec"]["initContainers"].as_array().into_iter().flatten().cloned());
    pod["spec"]["initContainers"] = json!(first);
    let mut volumes: Vec<Value> = object["spec"]["volumes"].as_array().into_iter().flatten().cloned().collect();
    volumes.extend(self::volumes());
    pod["spec"]["volumes"] = json!(volumes);
    Some(pod)
}

/// A Service with the opaque ports of its namespace.
fn service(object: &Value, annotations: &Annotations) -> Option<Value> {
    let opaque = annotations.get(OPAQUE).filter(|_| object["metadata"]["annotations"][OPAQUE].is_null())?;
    let mut service = object.clone();
    let mut all = service["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    all.insert(OPAQUE.to_owned(), json!(opaque));
    service["metadata"]["annotations"] = Value::Object(all);
    Some(service)
}

/// Whether a pod has the sidecar, native or not.
pub fn has_proxy(pod: &Value) -> bool {
    containers(pod).any(|container| container["name"] == PROXY)
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"].into_iter();
    lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

/// The TCP ports that a pod declares.
fn ports(pod: &Value) -> Vec<u64> {
    let ports = containers(pod).flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let is_tcp = |port: &&Value| port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP");
    let mut ports: Vec<u64> = ports.filter(is_tcp).filter_map(|port| port["containerPort"].as_u64()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The labels, with those that name the workload.
fn labels(pod: &Value, namespace: &str) -> Map<String, Value> {
    let mut labels = pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let hash = labels.get("pod-template-hash").and_then(Value::as_str).unwrap_or_default().to_owned();
    let owner = &pod["metadata"]["ownerReferences"][0];
    let name = owner["name"].as_str().unwrap_or_default();
    let workload = match owner["kind"].as_str() {
        Some("ReplicaSet") => name.strip_suffix(&format!("-{hash}")).map(|name| ("deployment", name)),
        Some("StatefulSet") => Some(("statefulset", name)),
        Some("DaemonSet") => Some(("daemonset", name)),
        _ => None,
    };
    if let Some((kind, name)) = workload {
        labels.insert(format!("linkerd.io/proxy-{kind}"), json!(name));
    }
    labels.insert("linkerd.io/control-plane-ns".to_owned(), json!(crate::NAMESPACE));
    labels.insert("linkerd.io/workload-ns".to_owned(), json!(namespace));
    labels
}

/// It would change routes, for which the real one needs these capabilities: Pod Security refuses them, and so it does here.
fn init(image: &str) -> Value {
    json!({
        "name": INIT,
        "image": image,
        "args": ["init"],
        "resources": {},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsGroup": 65534,
            "runAsNonRoot": true,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "linkerd-proxy-init-xtables-lock", "mountPath": "/run"}],
    })
}

fn proxy(image: &str, ports: &[u64], grace: Option<&str>) -> Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let listed: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let mut environment = vec![
        field("_pod_name", "metadata.name"),
        field("_pod_ns", "metadata.namespace"),
        field("_pod_sa", "spec.serviceAccountName"),
        field("_pod_component", "metadata.labels['app.kubernetes.io/component']"),
        field("_pod_role", "metadata.labels['temporal-stack.dev/role']"),
        json!({"name": "LINKERD2_PROXY_INBOUND_PORTS", "value": listed.join(",")}),
    ];
    if let Some(grace) = grace {
        environment.push(json!({"name": "LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD", "value": grace}));
    }
    let probe = |path: &str, times: &[(&str, u32)]| {
        let mut probe = json!({"httpGet": {"path": path, "port": 4191, "scheme": "HTTP"}, "timeoutSeconds": 1});
        for (field, seconds) in times {
            probe[*field] = json!(seconds);
        }
        probe
    };
    json!({
        "name": PROXY,
        "image": image,
        "args": ["proxy"],
        "restartPolicy": "Always",
        "env": environment,
        "ports": [
            {"name": "linkerd-proxy", "containerPort": 4143},
            {"name": "linkerd-admin", "containerPort": 4191},
        ],
        "startupProbe": probe("/ready", &[("failureThreshold", 120), ("periodSeconds", 1)]),
        "readinessProbe": probe("/ready", &[("initialDelaySeconds", 2), ("periodSeconds", 10)]),
        "livenessProbe": probe("/live", &[("initialDelaySeconds", 10), ("periodSeconds", 10)]),
        "resources": {},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "linkerd-identity-end-entity", "mountPath": "/var/run/linkerd/identity/end-entity"},
            {"name": "linkerd-identity-token", "mountPath": "/var/run/secrets/tokens"},
        ],
    })
}

fn volumes() -> [Value; 3] {
    let token = json!({"audience": "identity.l5d.io", "expirationSeconds": 86400, "path": "linkerd-identity-token"});
    [
        json!({"name": "linkerd-proxy-init-xtables-lock", "emptyDir": {}}),
        json!({"name": "linkerd-identity-end-entity", "emptyDir": {"medium": "Memory"}}),
        json!({"name": "linkerd-identity-token", "projected": {"sources": [{"serviceAccountToken": token}]}}),
    ]
}

#[cfg(test)]
mod tests;

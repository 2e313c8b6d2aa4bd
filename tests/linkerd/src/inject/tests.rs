use serde_json::{Value, json};

use super::*;

fn config() -> Config {
    Config { image: "linkerd:1".to_owned(), bundle: "bundle".to_owned() }
}

fn enabled(more: &[(&str, &str)]) -> Annotations {
    let all = [&[(INJECT, "enabled")], more].concat();
    all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn server() -> Value {
    json!({
        "kind": "Pod",
        "metadata": {
            "name": "temporal-messagequeue-0",
            "labels": {"app.kubernetes.io/component": "queue"},
            "ownerReferences": [{"kind": "StatefulSet", "name": "temporal-messagequeue"}],
        },
        "spec": {
            "initContainers": [{"name": "prepare"}],
            "containers": [{"name": "rabbitmq", "ports": [{"name": "amqp", "containerPort": 5672}]}],
        },
    })
}

/// A part of the patch.
fn value<'a>(patch: &'a Value, path: &str) -> &'a Value {
    let found = patch.as_array().unwrap().iter().find(|operation| operation["path"] == path);
    &found.unwrap_or_else(|| panic!("{path} stays as it is"))["value"]
}

#[test]
fn native_sidecar_comes_before_the_pods_own_containers() {
    let patch = patch(&server(), "mesh", &enabled(&[]), &config()).unwrap();
    let containers = value(&patch, "/spec/initContainers").as_array().unwrap();
    let names: Vec<&str> = containers.iter().map(|container| container["name"].as_str().unwrap()).collect();
    assert_eq!(names, [INIT, PROXY, "prepare"]);
    assert_eq!(containers[1]["restartPolicy"], "Always");
    assert!(containers[0]["restartPolicy"].is_null());
    assert_eq!(value(&patch, "/spec/volumes").as_array().unwrap().len(), 3);
}

#[test]
fn workload_and_namespace_are_on_the_labels() {
    let patch = patch(&server(), "mesh", &enabled(&[]), &config()).unwrap();
    let labels = value(&patch, "/metadata/labels");
    assert_eq!(labels["linkerd.io/proxy-statefulset"], "temporal-messagequeue");
    assert_eq!(labels["linkerd.io/workload-ns"], "mesh");
    assert_eq!(labels["linkerd.io/control-plane-ns"], "linkerd");
    assert_eq!(labels["app.kubernetes.io/component"], "queue");
}

#[test]
fn pod_of_a_deployment_names_it_without_the_hash() {
    let mut pod = server();
    pod["metadata"]["labels"]["pod-template-hash"] = json!("5f6f6758cc");
    pod["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": "temporal-temporal-api-5f6f6758cc"}]);
    let patch = patch(&pod, "mesh", &enabled(&[]), &config()).unwrap();
    assert_eq!(value(&patch, "/metadata/labels")["linkerd.io/proxy-deployment"], "temporal-temporal-api");
}

#[test]
fn annotations_of_the_namespace_are_copied_unless_the_pod_has_them() {
    let mut pod = server();
    pod["metadata"]["annotations"] = json!({GRACE: "7s"});
    let namespace = enabled(&[(GRACE, "5s"), ("config.linkerd.io/default-inbound-policy", "deny"), ("other", "1")]);
    let patch = patch(&pod, "mesh", &namespace, &config()).unwrap();
    let annotations = value(&patch, "/metadata/annotations");
    assert_eq!(annotations[GRACE], "7s");
    assert_eq!(annotations["config.linkerd.io/default-inbound-policy"], "deny");
    assert!(annotations["other"].is_null());
    assert_eq!(annotations["linkerd.io/trust-root-sha256"], fingerprint("bundle"));
    assert_eq!(annotations["linkerd.io/created-by"], "linkerd/proxy-injector stable-2.20.0");
    let containers = value(&patch, "/spec/initContainers");
    let environment = containers[1]["env"].as_array().unwrap();
    assert!(environment.contains(&json!({"name": "LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD", "value": "7s"})));
}

#[test]
fn default_opaque_ports_that_a_pod_exposes_are_written() {
    let mut pod = server();
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 5432}, {"containerPort": 8080}]);
    let patch = patch(&pod, "mesh", &enabled(&[]), &config()).unwrap();
    assert_eq!(value(&patch, "/metadata/annotations")[OPAQUE], "5432");
}

#[test]
fn pods_that_are_not_to_be_injected_stay_as_they_are() {
    let mut disabled = server();
    disabled["metadata"]["annotations"] = json!({INJECT: "disabled"});
    let mut host = server();
    host["spec"]["hostNetwork"] = json!(true);
    let mut injected = server();
    injected["spec"]["containers"] = json!([{"name": PROXY}]);
    for pod in [disabled, host, injected] {
        assert_eq!(patch(&pod, "mesh", &enabled(&[]), &config()), None);
    }
    assert_eq!(patch(&server(), "mesh", &Annotations::new(), &config()), None);
}

#[test]
fn service_gets_the_opaque_ports_of_its_namespace() {
    let service = json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {}});
    assert_eq!(patch(&service, "mesh", &enabled(&[]), &config()), None);
    let patch = patch(&service, "mesh", &enabled(&[(OPAQUE, "5432")]), &config()).unwrap();
    assert_eq!(value(&patch, "/metadata/annotations")[OPAQUE], "5432");
}

//! What each value of the chart changes.

use std::collections::BTreeSet;

use anyhow::Result;
use e2e::{
    helm::{HOME, rendered},
    manifests::of_kind,
};
use serde_json::{Value, json};

use crate::chart::choices;

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = of_kind(objects, kind).into_iter().find(|object| object["metadata"]["name"] == name);
    found.expect(name)
}

fn container(objects: &[Value], program: &str) -> Value {
    named(objects, "Deployment", program)["spec"]["template"]["spec"]["containers"][0].clone()
}

fn names(objects: &[Value], kind: &str) -> BTreeSet<String> {
    let name = |object: &&Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    of_kind(objects, kind).iter().map(name).collect()
}

#[tokio::test]
async fn namespaces_get_roles_instead_of_cluster_roles() -> Result<()> {
    let objects = rendered("roles", &choices()["namespaces"]).await?;
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    assert!(names(&objects, "ClusterRole").iter().all(|name| name.ends_with("-view") || name.ends_with("-edit")));
    for namespace in ["a", HOME] {
        let roles = of_kind(&objects, "Role").into_iter().filter(|role| role["metadata"]["namespace"] == namespace);
        let objects = roles.filter(|role| role["metadata"]["name"].as_str().unwrap_or_default().ends_with("-objects"));
        assert_eq!(objects.count(), 5, "{namespace}");
    }
    let role = named(&objects, "Role", "database-controller-objects").to_string();
    assert!(role.contains("postgresdatabases") && !role.contains("storageclasses"), "{role}");
    let arguments = &container(&objects, "database-controller")["args"];
    assert_eq!(*arguments, json!(["--log-format", "json", format!("--namespace=a,{HOME}")]));
    Ok(())
}

#[tokio::test]
async fn kinds_without_a_namespace_are_granted_on_request() -> Result<()> {
    let objects = rendered("classes", &choices()["namespaces-and-classes"]).await?;
    let role = named(&objects, "ClusterRole", &format!("{HOME}-queue-controller"));
    let resources: Vec<_> = role["rules"].as_array().expect("rules").iter().map(|rule| &rule["resources"][0]).collect();
    assert_eq!(resources, ["persistentvolumes", "storageclasses"]);
    let verbs = role["rules"].as_array().expect("rules").iter().map(|rule| rule["verbs"].to_string());
    assert!(verbs.into_iter().all(|verbs| verbs == r#"["list"]"#), "{role}");
    assert!(of_kind(&objects, "CustomResourceDefinition").is_empty());
    Ok(())
}

#[tokio::test]
async fn mesh_controller_with_namespaces_is_refused() {
    let error = rendered("mesh", &json!({"watch": {"namespaces": ["a"]}})).await.expect_err("refused").to_string();
    assert!(error.contains("set controllers.mesh.enabled=false"), "{error}");
}

#[tokio::test]
async fn two_replicas_get_a_disruption_budget() -> Result<()> {
    let objects = rendered("replicas", &choices()["two-replicas"]).await?;
    let budget = named(&objects, "PodDisruptionBudget", "queue-controller");
    let deployment = named(&objects, "Deployment", "queue-controller");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"]);
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert!(of_kind(&rendered("replica", &json!({})).await?, "PodDisruptionBudget").is_empty());
    Ok(())
}

#[tokio::test]
async fn disabled_controllers_leave_no_object() -> Result<()> {
    let objects = rendered("alone", &choices()["database-alone"]).await?;
    for object in &objects {
        assert!(object["metadata"]["name"].as_str().is_some_and(|name| !name.contains("queue")), "{object}");
    }
    assert_eq!(names(&objects, "Deployment"), BTreeSet::from(["database-controller".to_owned()]));
    assert_eq!(of_kind(&objects, "CustomResourceDefinition").len(), 1);
    Ok(())
}

#[tokio::test]
async fn own_registry_is_for_own_images_alone() -> Result<()> {
    let objects = rendered("registry", &choices()["own-registry"]).await?;
    let database = container(&objects, "database-controller");
    let prefix = "registry.example.com:5000/team/stack";
    assert_eq!(database["image"], format!("{prefix}/database-controller@sha256:{}", "0a".repeat(32)));
    assert_eq!(database["env"][0]["value"], "registry.example.com:5000/postgres@sha256:00");
    assert_eq!(database["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container(&objects, "queue-controller")["image"], format!("{prefix}/queue-controller:1.2.3"));
    let temporal = container(&objects, "temporal-controller");
    assert_eq!(temporal["env"][0]["value"], "rtradetech/temporal:v2.8.0");
    assert_eq!(temporal["env"][1]["value"], format!("{prefix}/bridge:1.2.3"));
    let pod = &named(&objects, "Deployment", "database-controller")["spec"]["template"]["spec"];
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}]));
    Ok(())
}

#[tokio::test]
async fn pods_get_their_place_and_resources() -> Result<()> {
    let objects = rendered("place", &choices()["scheduling"]).await?;
    let template = &named(&objects, "Deployment", "database-controller")["spec"]["template"];
    assert_eq!(template["spec"]["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    assert_eq!(template["spec"]["tolerations"], json!([{"key": "a", "operator": "Exists"}]));
    assert!(template["spec"]["affinity"]["nodeAffinity"].is_object());
    assert_eq!(template["spec"]["priorityClassName"], "high");
    assert_eq!(template["metadata"]["annotations"], json!({"note": "b"}));
    assert_eq!(template["metadata"]["labels"]["team"], "a");
    assert_eq!(container(&objects, "database-controller")["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(container(&objects, "ipfs-controller")["resources"]["limits"]["memory"], "2Gi");
    let arguments = &container(&objects, "ipfs-controller")["args"];
    assert_eq!(*arguments, json!(["--log-format", "json", "--log-level=debug", "--drain-timeout=5"]));
    Ok(())
}

#[tokio::test]
async fn monitoring_is_made_on_request() -> Result<()> {
    let objects = rendered("watched", &choices()["monitoring"]).await?;
    assert!(names(&objects, "PodMonitor").contains("temporal-stack-queue"));
    assert_eq!(of_kind(&objects, "PrometheusRule").len(), 7);
    for kind in ["PodMonitor", "PrometheusRule"] {
        for object in of_kind(&objects, kind) {
            assert_eq!(object["metadata"]["labels"]["release"], "prometheus", "{object}");
        }
    }
    let dashboards = named(&objects, "ConfigMap", "temporal-stack-dashboards");
    let dashboard = dashboards["data"]["temporal-stack.json"].as_str().expect("a dashboard");
    assert!(serde_json::from_str::<Value>(dashboard)?["panels"].is_array());
    assert!(of_kind(&objects, "NetworkPolicy").is_empty());

    let objects = rendered("services", &choices()["service-monitors"]).await?;
    let monitor = named(&objects, "ServiceMonitor", "ipfs-controller");
    let service = named(&objects, "Service", "ipfs-controller");
    let label = &monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"];
    assert_eq!(*label, service["metadata"]["labels"]["app.kubernetes.io/name"]);
    assert!(of_kind(&objects, "PodMonitor").is_empty());
    Ok(())
}

#[tokio::test]
async fn value_outside_of_the_schema_is_refused() {
    for (name, values) in [
        ("unknown", json!({"replica": 2})),
        ("nested", json!({"image": {"host": "a"}})),
        ("three", json!({"replicas": 3})),
        ("digest", json!({"controllers": {"queue": {"digest": "latest"}}})),
        ("policy", json!({"image": {"pullPolicy": "Sometimes"}})),
        ("controller", json!({"controllers": {"cache": {"enabled": true}}})),
    ] {
        let error = rendered(&format!("bad-{name}"), &values).await.expect_err(name).to_string();
        assert!(error.contains("don't meet the specifications of the schema"), "{name}: {error}");
    }
}

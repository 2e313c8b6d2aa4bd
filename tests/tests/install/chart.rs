//! The chart with its defaults is what `deploy/controllers` is, and every choice of values is valid.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use e2e::{
    helm::{chart, helm, rendered, values_file},
    manifests::{by_name, check_type, difference, kustomized, of_kind},
};
use serde_json::{Value, json};

/// Values that users choose, by name.
pub(crate) fn choices() -> BTreeMap<&'static str, Value> {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let off = json!({"enabled": false});
    BTreeMap::from([
        ("defaults", json!({})),
        ("two-replicas", json!({"replicas": 2})),
        (
            "database-alone",
            json!({"controllers":
            {"queue": off, "ipfs": off, "storage": off, "mesh": off, "temporal": off}}),
        ),
        ("namespaces", json!({"watch": {"namespaces": ["a", "temporal-stack-system"]}, "controllers": {"mesh": off}})),
        (
            "namespaces-and-classes",
            json!({"watch": {"namespaces": ["a"], "clusterKinds": true}, "replicas": 2,
            "controllers": {"mesh": off}, "crds": {"install": false}, "userRoles": {"create": false}}),
        ),
        (
            "own-registry",
            json!({
            "image": {"registry": "registry.example.com:5000", "repository": "team/stack", "tag": "1.2.3",
                "pullPolicy": "IfNotPresent"},
            "imagePullSecrets": [{"name": "registry"}],
            "images": {"postgres": "registry.example.com:5000/postgres@sha256:00"},
            "controllers": {"database": {"digest": digest}}}),
        ),
        (
            "scheduling",
            json!({
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
                [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
            "podLabels": {"team": "a"}, "podAnnotations": {"note": "b"}, "priorityClassName": "high",
            "resources": {"limits": {"memory": "1Gi"}},
            "controllers": {"ipfs": {"resources": {"limits": {"memory": "2Gi"}}}},
            "logLevel": "debug", "extraArguments": ["--drain-timeout=5"]}),
        ),
        (
            "monitoring",
            json!({"networkPolicy": {"create": false}, "monitoring": {
            "podMonitors": {"enabled": true, "labels": {"release": "prometheus"}},
            "rules": {"enabled": true, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": true, "labels": {"grafana_dashboard": "1"}}}}),
        ),
        ("service-monitors", json!({"monitoring": {"serviceMonitors": {"enabled": true}}})),
    ])
}

#[tokio::test]
async fn every_choice_of_values_passes_strict_lint() -> Result<()> {
    for (name, values) in choices() {
        let (chart, file) = (chart(), values_file(name, &values)?);
        let (chart, file) = (chart.to_str().expect("a path"), file.to_str().expect("a path"));
        let said = helm(&["lint", "--strict", chart, "--values", file]).await?;
        assert!(said.contains("0 chart(s) failed"), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn every_rendered_object_has_only_fields_of_its_type() -> Result<()> {
    for (name, values) in choices() {
        let objects = rendered(&format!("typed-{name}"), &values).await?;
        assert!(objects.len() > 5, "{name}");
        for object in &objects {
            check_type(object)?;
            let is_labelled = object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm";
            assert!(is_labelled || object["kind"] == "CustomResourceDefinition", "{object}");
        }
        by_name(objects)?;
    }
    Ok(())
}

#[tokio::test]
async fn defaults_render_the_plain_manifests() -> Result<()> {
    let rendered = by_name(rendered("plain", &json!({})).await?)?;
    let mut plain = by_name(kustomized("controllers").await?)?;
    plain.retain(|key, _| !key.starts_with("Namespace "));
    let keys = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&rendered), keys(&plain));
    for (key, plain) in &plain {
        let one = &rendered[key];
        for part in ["spec", "roleRef", "subjects"] {
            assert_eq!(difference(&one[part], &plain[part]), None, "{part} of {key}");
        }
        assert_eq!(rules(one), rules(plain), "{key}");
        let labels = plain["metadata"]["labels"].as_object().into_iter().flatten();
        for (label, value) in labels.filter(|(label, _)| *label != "app.kubernetes.io/name") {
            assert_eq!(one["metadata"]["labels"][label], *value, "{label} of {key}");
        }
    }
    Ok(())
}

/// The rules of a role, in any order.
fn rules(role: &Value) -> BTreeSet<String> {
    role["rules"].as_array().into_iter().flatten().map(Value::to_string).collect()
}

#[tokio::test]
async fn crds_stay_when_the_release_goes() -> Result<()> {
    let objects = rendered("kept", &json!({})).await?;
    let crds = of_kind(&objects, "CustomResourceDefinition");
    assert_eq!(crds.len(), 6);
    for crd in crds {
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep", "{crd}");
    }
    let objects = rendered("no-crds", &json!({"crds": {"install": false}})).await?;
    assert!(of_kind(&objects, "CustomResourceDefinition").is_empty());
    Ok(())
}

#[tokio::test]
async fn release_with_its_crds_fits_into_a_secret() -> Result<()> {
    // Helm keeps chart and manifests in one Secret, of at most a mebibyte. Their text compresses at least fourfold.
    let rendered: usize =
        rendered("size", &choices()["monitoring"]).await?.iter().map(|one| one.to_string().len()).sum();
    assert!(rendered < 2 << 20, "{rendered} bytes");
    Ok(())
}

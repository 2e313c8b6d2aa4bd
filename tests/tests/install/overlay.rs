//! The overlay for one namespace.

use anyhow::Result;
use e2e::manifests::{by_name, check_type, kustomized, of_kind};

#[tokio::test]
async fn overlay_stays_within_one_namespace() -> Result<()> {
    let objects = kustomized("overlays/namespaced").await?;
    for object in &objects {
        check_type(object)?;
        assert_eq!(object["metadata"]["namespace"], "temporal-stack", "{object}");
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "temporal-stack", "{object}");
        }
    }
    let text = serde_json::to_string(&objects)?;
    assert!(!text.contains("temporal-stack-system") && !text.contains("mesh-controller"), "{text}");
    assert!(!text.contains("storageclasses"), "a Role cannot grant it");
    Ok(())
}

#[tokio::test]
async fn overlay_has_all_controllers_but_that_of_the_mesh() -> Result<()> {
    let objects = kustomized("overlays/namespaced").await?;
    let deployments = of_kind(&objects, "Deployment");
    assert_eq!(deployments.len(), 5);
    for deployment in deployments {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments: Vec<_> = container["args"].as_array().into_iter().flatten().collect();
        assert_eq!(arguments, ["--log-format", "json", "--namespace=$(POD_NAMESPACE)"]);
        let variables = container["env"].as_array().into_iter().flatten();
        assert!(variables.into_iter().any(|variable| variable["name"] == "POD_NAMESPACE"), "{container}");
    }
    let objects = by_name(objects)?;
    for program in ["database", "queue", "ipfs", "storage", "temporal"].map(|name| format!("{name}-controller")) {
        for kind in ["Role", "RoleBinding"] {
            assert!(objects.contains_key(&format!("{kind} temporal-stack/{program}")), "{program}");
            assert!(objects.contains_key(&format!("{kind} temporal-stack/{program}-objects")), "{program}");
        }
    }
    Ok(())
}

//! CloudNativePG on the local node: its operator from the Go module proxy, with the manifest of its release from the same module.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::go_module::GoModule;
use crate::kubectl::Kubectl;
use crate::step::{Step, Steps};
use crate::{images, machine, place};

/// The name of the provider.
pub const PROVIDER: &str = "cloudNativePg";
/// The image, and the folder of its recipe.
const IMAGE: &str = "cloud-native-pg";
/// The module.
const MODULE: &str = "github.com/cloudnative-pg/cloudnative-pg";
/// The namespace and the Deployment of the release.
const OPERATOR: (&str, &str) = ("cnpg-system", "cnpg-controller-manager");
/// User and group of the server in the local image.
const POSTGRES: i64 = 999;
/// How long the operator may take: it makes its certificates first.
const AVAILABLE_WITHIN: Duration = Duration::from_secs(180);

/// The provider of the stack's database: on the local node, small, and for the local image.
pub fn provider(local: bool) -> Value {
    let mut provider = json!({"instances": 3, "storage": {"size": "10Gi"}});
    if local {
        provider["runAsUser"] = json!(POSTGRES);
        provider["resources"] = json!({"requests": {"cpu": "50m", "memory": "128Mi"}});
    }
    json!({ PROVIDER: provider })
}

/// Installs it on the local node, which runs.
pub fn add(kubeconfig: &Path) -> Result<()> {
    let mut steps = Steps::new("cloud-native-pg")?;
    install(&mut steps, &Kubectl::with_kubeconfig(kubeconfig)?)?;
    steps.finish();
    Ok(())
}

/// Builds the operator, and installs it on the local node.
pub fn install(steps: &mut Steps, kubectl: &Kubectl) -> Result<()> {
    let built = images::build(steps, &["postgres", IMAGE])?;
    images::import(steps, &built)?;
    let operator = images::reference(IMAGE)?;
    let postgres = images::reference("postgres")?;
    steps.run("install CloudNativePG", |step| {
        let manifest = adapted(&release(step)?, &operator, &postgres)?;
        let applied = kubectl.apply(step, manifest)?;
        step.log(applied);
        let (namespace, deployment) = OPERATOR;
        let rollout = kubectl.waiting(step, &["rollout", "status"], AVAILABLE_WITHIN);
        rollout.args(["--namespace", namespace, "deployment", deployment]).run()
    })
}

/// The manifest of the release, which the module contains.
fn release(step: &Step) -> Result<String> {
    let folder = place::workspace().join("deploy/images").join(IMAGE);
    let version = GoModule::new(IMAGE, folder.clone(), &[]).version_of(MODULE)?;
    let go = step.command(machine::path_of("go")?).current_dir(&folder).env("GOWORK", "off").env("GOFLAGS", "");
    let module = PathBuf::from(go.args(["list", "-m", "-f", "{{.Dir}}", MODULE]).read()?.trim());
    let file = module.join("releases").join(format!("cnpg-{}.yaml", version.trim_start_matches('v')));
    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// The manifest with local images: no registry is asked. The operator has no CPU limit, which would make its start slow.
fn adapted(manifest: &str, operator: &str, postgres: &str) -> Result<String> {
    let mut is_adapted = false;
    let mut documents = Vec::new();
    for document in manifest.split("\n---\n") {
        if !document.lines().any(|line| line == "kind: Deployment") {
            documents.push(document.to_owned());
            continue;
        }
        let mut deployment: Value = serde_saphyr::from_str(document).context("the Deployment is not YAML")?;
        let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
        container["image"] = json!(operator);
        container["imagePullPolicy"] = json!("IfNotPresent");
        set(&mut container["env"], "OPERATOR_IMAGE_NAME", operator);
        set(&mut container["env"], "POSTGRES_IMAGE_NAME", postgres);
        if let Some(limits) = container["resources"]["limits"].as_object_mut() {
            limits.remove("cpu");
        }
        documents.push(deployment.to_string());
        is_adapted = true;
    }
    if !is_adapted {
        bail!(
            "manifest of CloudNativePG incomplete: it has no Deployment; update the version in deploy/images/{IMAGE}/go.mod"
        );
    }
    Ok(documents.join("\n---\n"))
}

/// Sets a variable.
fn set(variables: &mut Value, name: &str, value: &str) {
    let wanted = json!({"name": name, "value": value});
    let Some(list) = variables.as_array_mut() else {
        *variables = json!([wanted]);
        return;
    };
    match list.iter_mut().find(|variable| variable["name"] == name) {
        Some(variable) => *variable = wanted,
        None => list.push(wanted),
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::PostgresDatabase;

    use super::*;

    const MANIFEST: &str = "apiVersion: v1
kind: Namespace
metadata: {name: cnpg-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cnpg-controller-manager}
spec:
  template:
    spec:
      containers:
      - image: ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0
        imagePullPolicy: Always
        env:
        - {name: OPERATOR_IMAGE_NAME, value: 'ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0'}
        resources: {limits: {cpu: 100m, memory: 200Mi}}
";

    #[test]
    fn operator_runs_from_local_images_only() {
        let text = adapted(MANIFEST, "localhost/operator:1", "localhost/postgres:17").unwrap();
        assert!(text.contains("kind: Namespace") && !text.contains("ghcr.io"), "{text}");
        let deployment: Value = serde_json::from_str(text.split("\n---\n").nth(1).unwrap()).unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "localhost/operator:1");
        assert_eq!(container["resources"]["limits"], json!({"memory": "200Mi"}));
        let variables = json!([
            {"name": "OPERATOR_IMAGE_NAME", "value": "localhost/operator:1"},
            {"name": "POSTGRES_IMAGE_NAME", "value": "localhost/postgres:17"},
        ]);
        assert_eq!(container["env"], variables);
        assert!(adapted("kind: Namespace", "a", "b").is_err());
    }

    #[test]
    fn provider_has_fields_of_its_type_only() {
        let provider = provider(true);
        let spec = json!({
            "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "PostgresDatabase", "metadata": {"name": "temporal"},
            "spec": {"provider": provider},
        });
        let database: PostgresDatabase = serde_json::from_value(spec).unwrap();
        let typed = serde_json::to_value(database.spec.provider).unwrap();
        for (field, value) in provider[PROVIDER].as_object().unwrap() {
            assert_eq!(&typed[PROVIDER][field], value, "{field}");
        }
    }
}

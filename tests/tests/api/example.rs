//! The example of `common`: a whole controller, by somebody outside the project.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::{Space, built, prepare::api_server, until, with_namespace};
use k8s_openapi::{
    api::core::v1::ConfigMap, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// Ends the example when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn example_controller_runs_in_under_a_hundred_lines() {
    let lines = include_str!("../../../crates/common/examples/greeting.rs").lines().count();
    assert!(lines < 100, "the example has {lines} lines");
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| runs(space, cluster.kubeconfig()).await).await;
}

async fn runs(space: &Space, kubeconfig: &std::path::Path) -> Result<()> {
    let example = built("examples/greeting")?;
    let crd = Command::new(&example).arg("--crd").output().context("the example does not start")?;
    let crd: Value = serde_json::from_slice(&crd.stdout)?;
    let kinds = ApiResource::erase::<CustomResourceDefinition>(&());
    let kinds = Api::<DynamicObject>::all_with(space.client.clone(), &kinds);
    // An earlier run may have left it.
    let force = PatchParams::apply("e2e").force();
    kinds.patch("greetings.example.dev", &force, &Patch::Apply(crd)).await?;
    until(&kinds, "greetings.example.dev", "been established", |kind| says(kind, "Established")).await?;

    let controller = Command::new(&example)
        .args(["--lease=off", "--admin-addr=127.0.0.1:0", "--namespace", &space.name])
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let _running = Running(controller);
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.dev", "v1", "Greeting"));
    let greetings = Api::<DynamicObject>::namespaced_with(space.client.clone(), &space.name, &kind);
    let hello = json!({
        "apiVersion": "example.dev/v1", "kind": "Greeting", "metadata": {"name": "hello"}, "spec": {"text": "Hello, world"},
    });
    greetings.create(&PostParams::default(), &serde_json::from_value(hello)?).await?;
    until(&greetings, "hello", "become Ready", |greeting| says(greeting, "Ready")).await?;
    let map = space.api::<ConfigMap>().get("hello").await?;
    ensure!(map.data.unwrap_or_default()["text"] == "Hello, world");
    Ok(())
}

/// Whether an object has this condition.
fn says(object: &DynamicObject, kind: &str) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

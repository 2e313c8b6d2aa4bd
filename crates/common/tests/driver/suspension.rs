//! A suspended object has no pods, loses nothing, and comes back.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::Pod,
};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use temporal_stack_common::{api::label, testkit::FakeApi};

use crate::{
    lamp::Lamp,
    stage::{Stage, time_passes},
};

/// What kstatus concludes from a status, by the rules of its `checkGenericProperties` and `checkReadyCondition`.
fn kstatus(lamp: &Value) -> &'static str {
    let conditions = lamp["status"]["conditions"].as_array().unwrap();
    let status = |kind: &str| {
        let condition = conditions.iter().find(|condition| condition["type"] == kind);
        condition.map(|condition| condition["status"].as_str().unwrap())
    };
    if lamp["status"]["observedGeneration"] != lamp["metadata"]["generation"] || status("Reconciling") == Some("True") {
        return "InProgress";
    }
    match (status("Stalled"), status("Ready")) {
        (Some("True"), _) => "Failed",
        (_, None | Some("True")) => "Current",
        _ => "InProgress",
    }
}

impl Stage {
    async fn until_suspended(&self, name: &str) {
        let is_it = || {
            let suspended = self.condition(name, "Suspended")?;
            let newest = suspended["observedGeneration"] == self.object("lamps", name)["metadata"]["generation"];
            (newest && suspended["status"] == "True").then_some(())
        };
        self.api.until(&format!("{name} suspended"), |_| is_it()).await;
    }

    fn replicas(&self, resource: &str) -> Value {
        self.object(resource, "x")["spec"]["replicas"].clone()
    }

    /// A pod of the Deployment or the Job of a lamp.
    async fn stateless_pod(&self, pod: &str, kind: &str, resource: &str) {
        let owner = self.object(resource, "x")["metadata"]["uid"].clone();
        let pod = json!({
            "metadata": {
                "name": pod,
                "labels": {label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: "x"},
                "ownerReferences": [
                    {"apiVersion": "x", "kind": kind, "name": "x", "uid": owner, "controller": true},
                ],
            },
        });
        let pod = serde_json::from_value(pod).unwrap();
        self.others::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn suspended_object_keeps_its_data_and_comes_back() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 2, "say": "hello"})).await;
    for index in 0..2 {
        stage.pod("x", index).await;
    }
    stage.until_ready("x").await;
    time_passes(10).await;
    let (key, used) = (stage.object("secrets", "x-key"), stage.product().used);
    stage.edit_spec("x", json!({"suspend": true, "say": "more"})).await;
    stage.until_reason("x", "Suspending").await;
    assert_eq!(kstatus(&stage.object("lamps", "x")), "InProgress");
    assert_eq!(stage.replicas("statefulsets"), 0);
    assert_eq!(stage.deleted_pods(), [] as [&str; 0], "the set's controller ends them");
    for pod in ["x-0", "x-1"] {
        stage.delete::<Pod>(pod).await;
    }
    stage.until_suspended("x").await;
    assert_eq!(stage.condition("x", "Ready"), None);
    assert_eq!(kstatus(&stage.object("lamps", "x")), "Current");
    assert_eq!((stage.object("secrets", "x-key"), stage.product().used), (key, used), "nothing is verified");
    assert_eq!(stage.product().told, ["tell x hello"], "nothing is written to the product");
    let writes = stage.api.writes().len();
    time_passes(300).await;
    assert_eq!(stage.api.writes().len(), writes, "nothing is left to do");
    stage.edit_spec("x", json!({"suspend": false})).await;
    stage.until_ready("x").await;
    assert_eq!((stage.replicas("statefulsets"), stage.condition("x", "Suspended")), (json!(2), None));
    assert_eq!(stage.product().told, ["tell x hello", "tell x more"], "what waited is done");
    let events = stage.events("x");
    let count = |reason: &str| events.iter().filter(|event| *event == reason).count();
    assert_eq!((count("Suspending"), count("Suspended")), (1, 1), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn sets_stop_after_deployments() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true})).await;
    stage.pod("x", 0).await;
    stage.stateless_pod("x-abc", "ReplicaSet", "deployments").await;
    stage.edit_spec("x", json!({"suspend": true, "replicas": 5})).await;
    stage.until_reason("x", "Suspending").await;
    time_passes(120).await;
    assert_eq!((stage.replicas("deployments"), stage.replicas("statefulsets")), (json!(0), json!(1)));
    stage.delete::<Pod>("x-abc").await;
    let has_none = |_: &FakeApi| (stage.replicas("statefulsets") == 0).then_some(());
    stage.api.until("no replicas", has_none).await;
    assert_eq!(stage.reason("x").as_deref(), Some("Suspending"));
    stage.delete::<Pod>("x-0").await;
    stage.until_suspended("x").await;
    stage.edit_spec("x", json!({"suspend": false})).await;
    stage.until_ready("x").await;
    assert_eq!((stage.replicas("deployments"), stage.replicas("statefulsets")), (json!(5), json!(5)));
}

#[tokio::test(start_paused = true)]
async fn set_runs_until_the_job_has_ended() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "lit": true})).await;
    stage.stateless_pod("x-job", "Job", "jobs").await;
    stage.edit_spec("x", json!({"suspend": true, "replicas": 5})).await;
    stage.until_reason("x", "Suspending").await;
    time_passes(120).await;
    assert_eq!(stage.replicas("statefulsets"), 1, "the Job may use it, and no pod is added");
    let message = stage.condition("x", "Ready").unwrap()["message"].to_string();
    assert!(message.contains("1 pod still running: Pod/x-job; a pod of a Job is waited for"), "{message}");
    let ended = json!({"status": {"phase": "Succeeded"}});
    let pods: Api<Pod> = stage.others();
    pods.patch_status("x-job", &PatchParams::default(), &Patch::Merge(ended)).await.unwrap();
    stage.until_suspended("x").await;
    assert_eq!(stage.replicas("statefulsets"), 0);
    assert_ne!(stage.object("jobs", "x"), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn object_is_created_suspended() {
    let stage = Stage::new();
    stage.make("x", json!({"replicas": 3, "deployed": true, "lit": true, "suspend": true})).await;
    stage.until_suspended("x").await;
    assert_eq!((stage.replicas("deployments"), stage.replicas("statefulsets")), (json!(0), json!(0)));
    assert_eq!(stage.object("jobs", "x"), Value::Null, "no Job begins");
    stage.edit_spec("x", json!({"suspend": false})).await;
    stage.until_ready("x").await;
    assert_eq!((stage.replicas("deployments"), stage.replicas("statefulsets")), (json!(3), json!(3)));
    assert_ne!(stage.object("jobs", "x"), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn stalled_object_stops_too() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true})).await;
    let data = stage.object("configmaps", "x");
    stage.edit_spec("x", json!({"suspend": true, "class": "missing", "shade": "new"})).await;
    stage.until_suspended("x").await;
    assert_eq!((stage.replicas("deployments"), stage.replicas("statefulsets")), (json!(0), json!(0)));
    assert_eq!(stage.object("configmaps", "x"), data, "nothing else is applied");
    let message = stage.condition("x", "Suspended").unwrap()["message"].to_string();
    assert!(message.contains("held back: StorageClassMissing: no such class"), "{message}");
    assert_eq!(kstatus(&stage.object("lamps", "x")), "Current");
    stage.edit_spec("x", json!({"suspend": false})).await;
    stage.until_reason("x", "StorageClassMissing").await;
    let runs = |_: &FakeApi| (stage.replicas("statefulsets") == 1 && stage.replicas("deployments") == 1).then_some(());
    stage.api.until("what ran before the suspension", runs).await;
    assert_eq!(stage.object("configmaps", "x"), data, "nothing else is applied");
    let notes = stage.object("statefulsets", "x")["metadata"]["annotations"].clone();
    assert_eq!(notes["temporal-stack.dev/suspended-replicas"], Value::Null);
    stage.edit_spec("x", json!({"class": null})).await;
    stage.until_ready("x").await;
    assert_eq!((stage.replicas("deployments"), stage.replicas("statefulsets")), (json!(1), json!(1)));
}

#[tokio::test(start_paused = true)]
async fn suspended_object_that_stalls_starts_again() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 3})).await;
    stage.edit_spec("x", json!({"suspend": true})).await;
    stage.until_suspended("x").await;
    stage.edit_spec("x", json!({"suspend": false, "class": "missing"})).await;
    stage.until_reason("x", "StorageClassMissing").await;
    stage.api.until("its replicas", |_| (stage.replicas("statefulsets") == 3).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn suspended_object_is_not_pending() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.edit_spec("x", json!({"suspend": true})).await;
    stage.until_suspended("x").await;
    let metrics = stage.process.metrics.encode().unwrap();
    assert!(metrics.contains("temporal_stack_objects_pending{kind=\"Lamp\"} 0"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn invalid_spec_is_reported_while_suspended() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    stage.edit_spec("x", json!({"suspend": true, "colour": "invisible"})).await;
    stage.until_reason("x", "InvalidSpec").await;
    assert_eq!(kstatus(&stage.object("lamps", "x")), "Failed");
    assert_eq!(stage.replicas("statefulsets"), 1, "nothing is applied");
}

#[tokio::test(start_paused = true)]
async fn waiting_object_stops_too() {
    let stage = Stage::new();
    stage.make("x", json!({"replicas": 1, "colour": "dawn"})).await;
    stage.until_reason("x", "SecretMissing").await;
    stage.edit_spec("x", json!({"suspend": true})).await;
    stage.until_suspended("x").await;
    assert_eq!(stage.replicas("statefulsets"), 0);
}

#[tokio::test(start_paused = true)]
async fn scaling_by_hand_is_taken_back_while_suspended() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "deployed": true, "suspend": false})).await;
    stage.edit_spec("x", json!({"suspend": true})).await;
    stage.until_suspended("x").await;
    stage.edit::<StatefulSet>("x", json!({"spec": {"replicas": 1}})).await;
    stage.edit::<Deployment>("x", json!({"spec": {"replicas": 2}})).await;
    let has_none =
        |_: &FakeApi| (stage.replicas("statefulsets") == 0 && stage.replicas("deployments") == 0).then_some(());
    stage.api.until("no replicas", has_none).await;
    stage.until_suspended("x").await;
}

#[tokio::test(start_paused = true)]
async fn paused_object_is_suspended_later() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1})).await;
    let paused = |value: &str| json!({"metadata": {"annotations": {"temporal-stack.dev/paused": value}}});
    stage.edit::<Lamp>("x", paused("true")).await;
    stage.edit_spec("x", json!({"suspend": true})).await;
    stage.until_reason("x", "Paused").await;
    assert_eq!(stage.replicas("statefulsets"), 1);
    stage.edit::<Lamp>("x", paused("false")).await;
    stage.until_suspended("x").await;
    assert_eq!(stage.replicas("statefulsets"), 0);
}

#[tokio::test(start_paused = true)]
async fn deferred_template_stays_deferred() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "memory": "1Mi"})).await;
    let before = stage.object("statefulsets", "x")["spec"]["template"].clone();
    // Memory stands for what only a newer controller changes: it has no part in the hash.
    stage.edit_spec("x", json!({"suspend": true, "memory": "2Mi"})).await;
    stage.until_suspended("x").await;
    assert_eq!(stage.object("statefulsets", "x")["spec"]["template"], before);
    stage.edit_spec("x", json!({"suspend": false})).await;
    stage.until_ready("x").await;
    assert_eq!(stage.object("statefulsets", "x")["spec"]["template"], before);
    assert_eq!(stage.condition("x", "RestartPending").unwrap()["status"], "True");
}

#[tokio::test(start_paused = true)]
async fn job_that_ended_keeps_nothing_from_stopping() {
    let stage = Stage::new();
    stage.ready("x", json!({"replicas": 1, "lit": true})).await;
    stage.edit_spec("x", json!({"suspend": true})).await;
    stage.until_suspended("x").await;
    let jobs: Api<Job> = stage.others();
    assert!(jobs.get_opt("x").await.unwrap().is_some());
}

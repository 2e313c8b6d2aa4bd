//! The driver on an API server in memory, with fakes of the other controllers in a cluster.

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{annotation, label},
    driver,
    manifest::hash,
    process::{Control, Process, Requests, Scope},
    testkit::FakeApi,
};
use tokio::task::JoinHandle;

use crate::lamp::{Lamp, Lamps, Product};

pub(crate) const NAMESPACE: &str = "a";

pub(crate) struct Stage {
    pub(crate) api: FakeApi,
    pub(crate) lamps: Lamps,
    control: Arc<Control>,
    pub(crate) process: Process,
    driver: JoinHandle<Result<(), driver::WatchEnded>>,
    namespace: &'static str,
}

impl Stage {
    /// The deletions of pods so far.
    pub(crate) fn deleted_pods(&self) -> Vec<String> {
        self.api.writes().into_iter().filter(|write| write.starts_with("delete pods/")).collect()
    }

    /// Waits until the pod has been deleted.
    pub(crate) async fn until_deleted(&self, pod: &str) {
        let absent =
            |api: &temporal_stack_common::testkit::FakeApi| api.get("pods", NAMESPACE, pod).is_none().then_some(());
        self.api.until(pod, absent).await;
    }

    /// A driver that leads.
    pub(crate) fn new() -> Self {
        Self::with(FakeApi::new(), Scope::Cluster)
    }

    /// A driver that leads, on an existing server.
    pub(crate) fn with(api: FakeApi, scope: Scope) -> Self {
        let (stage, control) = Self::start(api, scope);
        control.lead();
        stage
    }

    /// A driver that does not lead yet.
    pub(crate) fn standby(api: FakeApi) -> (Self, Arc<Control>) {
        Self::start(api, Scope::Cluster)
    }

    fn start(api: FakeApi, scope: Scope) -> (Self, Arc<Control>) {
        let lamps = Lamps::default();
        let (process, control) = Process::new("lamps", api.client(), scope, Requests::default());
        let control = Arc::new(control);
        tokio::spawn(take_up_workloads(api.clone()));
        let driver = tokio::spawn(driver::run(lamps.clone(), process.clone()));
        (Self { api, lamps, control: control.clone(), process, driver, namespace: NAMESPACE }, control)
    }

    pub(crate) fn within(mut self, namespace: &'static str) -> Self {
        self.namespace = namespace;
        self
    }

    /// Ends the driver, as a signal would.
    pub(crate) async fn end(self) -> FakeApi {
        self.control.end();
        self.driver.await.unwrap().unwrap();
        self.api
    }

    pub(crate) fn product(&self) -> MutexGuard<'_, Product> {
        self.lamps.0.lock().unwrap()
    }

    pub(crate) fn others<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.api.others(), self.namespace)
    }

    /// Creates a lamp.
    pub(crate) async fn make(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "test.dev/v1", "kind": "Lamp", "metadata": {"name": name}, "spec": spec});
        let api = Api::<kube::api::DynamicObject>::namespaced_with(
            self.api.others(),
            self.namespace,
            &kube::api::ApiResource::erase::<Lamp>(&()),
        );
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    /// Creates a lamp and waits until it is Ready.
    pub(crate) async fn ready(&self, name: &str, spec: Value) {
        self.make(name, spec).await;
        self.until_ready(name).await;
    }

    pub(crate) async fn until_ready(&self, name: &str) {
        self.until_reason(name, "Verified").await;
    }

    /// Waits until Ready has this reason, for the newest generation.
    pub(crate) async fn until_reason(&self, name: &str, reason: &str) {
        let what = format!("{name} {reason}");
        self.api.until(&what, |_| (self.reason(name).as_deref() == Some(reason)).then_some(())).await;
    }

    /// The reason of Ready, if the status is about the newest generation.
    pub(crate) fn reason(&self, name: &str) -> Option<String> {
        let ready = self.condition(name, "Ready")?;
        let newest = ready["observedGeneration"] == self.object("lamps", name)["metadata"]["generation"];
        newest.then(|| ready["reason"].as_str().unwrap().to_owned())
    }

    pub(crate) fn condition(&self, name: &str, kind: &str) -> Option<Value> {
        let lamp = self.api.get("lamps", self.namespace, name)?;
        lamp["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
    }

    /// An object in its current state; null if it does not exist.
    pub(crate) fn object(&self, resource: &str, name: &str) -> Value {
        self.api.get(resource, self.namespace, name).unwrap_or_default()
    }

    /// Changes an object as another client.
    pub(crate) async fn edit<K>(&self, name: &str, change: Value)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        self.others::<K>().patch(name, &params, &Patch::Merge(change)).await.unwrap();
    }

    pub(crate) async fn edit_spec(&self, name: &str, change: Value) {
        self.edit::<Lamp>(name, json!({ "spec": change })).await;
    }

    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + DeserializeOwned,
    {
        self.others::<K>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Triggers a pass of a lamp, and waits until the driver is idle.
    pub(crate) async fn look_again(&self, name: &str) {
        let passes = self.product().passes;
        self.edit::<Lamp>(name, json!({"metadata": {"annotations": {"look": passes.to_string()}}})).await;
        time_passes(10).await;
        assert!(self.product().passes > passes, "the driver did not look");
    }

    /// A ready pod of a lamp's set, of its newest revision.
    pub(crate) async fn pod(&self, lamp: &str, index: usize) {
        self.unready_pod(lamp, index).await;
        self.pod_is(&format!("{lamp}-{index}"), "True").await;
    }

    /// The same pod, not ready yet.
    pub(crate) async fn unready_pod(&self, lamp: &str, index: usize) {
        let set = self.object("statefulsets", lamp);
        let roll = &set["spec"]["template"]["metadata"]["annotations"][annotation::ROLL];
        let name = format!("{lamp}-{index}");
        let pod = json!({
            "metadata": {
                "name": name,
                "labels": {
                    label::MANAGED_BY: label::STACK, label::COMPONENT: "lamps", label::INSTANCE: lamp, "lamp": lamp,
                    "controller-revision-hash": set["status"]["updateRevision"],
                },
                "annotations": {annotation::ROLL: roll},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "name": lamp, "uid": set["metadata"]["uid"],
                    "controller": true,
                }],
            },
        });
        self.others::<Pod>().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }

    pub(crate) async fn pod_is(&self, name: &str, ready: &str) {
        let status = json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}});
        self.others::<Pod>().patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// The reasons of the events of a lamp, in order.
    pub(crate) fn events(&self, name: &str) -> Vec<String> {
        let mut events = self.api.list("events");
        events.retain(|event| event["regarding"]["name"] == name);
        events.sort_by_key(|event| event["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap());
        events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// An object of another owner.
    pub(crate) async fn foreign_secret(&self, name: &str) {
        let secret = json!({"metadata": {"name": name}, "stringData": {"key": "theirs"}});
        self.others::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    }

    /// A volume claim, as the StatefulSet controller creates them.
    pub(crate) async fn claim(&self, name: &str, labels: Value) {
        let claim = json!({"metadata": {"name": name, "labels": labels}});
        let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
        self.others::<PersistentVolumeClaim>().create(&PostParams::default(), &claim).await.unwrap();
    }

    pub(crate) async fn config_map(&self, name: &str, data: Value) {
        let map = json!({"metadata": {"name": name}, "data": data});
        self.others::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    }
}

/// Advances the paused time by this many seconds, and lets everything that is due run.
pub(crate) async fn time_passes(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A fake controller manager: observes each new generation of a set or a Deployment, and reports its pods ready.
async fn take_up_workloads(api: FakeApi) {
    loop {
        let stale = |found: &Value| found["status"]["observedGeneration"] != found["metadata"]["generation"];
        let found = api.until("a workload to take up", |api| {
            let sets = api.list("statefulsets").into_iter().map(|set| (true, set));
            let deployments = api.list("deployments").into_iter().map(|deployment| (false, deployment));
            sets.chain(deployments).find(|(_, found)| stale(found))
        });
        let (is_set, found) = found.await;
        // The driver sees the change first.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let (namespace, name) =
            (found["metadata"]["namespace"].as_str().unwrap(), found["metadata"]["name"].as_str().unwrap());
        let replicas = &found["spec"]["replicas"];
        let mut status = json!({
            "observedGeneration": found["metadata"]["generation"],
            "replicas": replicas,
            "readyReplicas": replicas,
        });
        let client = api.others();
        let params = PatchParams::default();
        if is_set {
            status["updateRevision"] = json!(hash(&found["spec"]["template"]));
            let sets: Api<StatefulSet> = Api::namespaced(client, namespace);
            let _ = sets.patch_status(name, &params, &Patch::Merge(json!({ "status": status }))).await;
        } else {
            status["updatedReplicas"] = replicas.clone();
            let deployments: Api<Deployment> = Api::namespaced(client, namespace);
            let _ = deployments.patch_status(name, &params, &Patch::Merge(json!({ "status": status }))).await;
        }
    }
}

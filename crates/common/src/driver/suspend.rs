//! Suspending an object: its workloads have no replicas, in an order that loses nothing, and nothing is written to the product.
//!
//! Deployments stop first, and Jobs end by themselves; `StatefulSet`s, which have the data, follow when no pod of the former runs.
//! A workload that the component keeps unchanged, or that it cannot describe because the object is stalled, has only its replicas
//! changed. No template is: what a rollout defers stays deferred, and keeps no pod from stopping.

use std::sync::Arc;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{ResourceExt, api::ApiResource};
use serde_json::{Value, json};

use super::{
    intent::{Owner, owns},
    plan::Write,
};
use crate::{
    api::annotation,
    cache::{Children, Packed},
    component::{Component, Intent},
    manifest::{Manifest, Mode},
    message::{counted, listed},
    readiness::is_done,
    suspension::Suspension,
};

/// How many pods a message names.
const LISTED: usize = 3;

/// Turns an intent into that of a suspended object. Returns the writes for workloads that are kept unchanged otherwise.
pub(super) fn suspend<C: Component>(intent: &mut Intent<C>, owner: &Owner, children: &Children) -> Vec<Write> {
    intent.actions.clear();
    intent.upkeep.clear();
    let stopping = Stopping::new(owner, children);
    let mut stops = Vec::new();
    // A Job that runs comes to its end, because what it does may not be cut short; none begins.
    intent.manifests.retain(|manifest| !is(manifest, &["Job"]) || children.get("Job", manifest.name()).is_some());
    for manifest in intent.manifests.iter_mut().filter(|manifest| is(manifest, &["StatefulSet", "Deployment"])) {
        let live = children.get(&manifest.resource.kind, manifest.name());
        match manifest.mode {
            Mode::Applied => stopping.apply(manifest, live),
            Mode::Once { .. } | Mode::Existing => {
                stops.extend(live.and_then(|live| stopping.stop(&manifest.resource, owner, live)));
            }
            Mode::Labelled | Mode::Absent => {}
        }
    }
    stops
}

/// The writes that stop all workloads of an object about whose children nothing is decided.
pub(super) fn stop_all(owned: &[ApiResource], owner: &Owner, children: &Children) -> Vec<Write> {
    let stopping = Stopping::new(owner, children);
    for_each_workload(owned, owner, children, |resource, live| stopping.stop(resource, owner, live))
}

/// A write for each workload of the object that needs one.
fn for_each_workload(
    owned: &[ApiResource],
    owner: &Owner,
    children: &Children,
    write: impl Fn(&ApiResource, &Arc<Packed>) -> Option<Write>,
) -> Vec<Write> {
    let of_kind = |kind: &str| owned.iter().find(|resource| resource.kind == kind);
    workloads(owner, children).filter_map(|(kind, _, live)| write(of_kind(kind)?, live)).collect()
}

fn is(manifest: &Manifest, kinds: &[&str]) -> bool {
    kinds.contains(&manifest.resource.kind.as_str())
}

/// Which workloads stop now.
struct Stopping {
    /// Whether no pod runs any more that uses the data of sets.
    sets: bool,
}

impl Stopping {
    fn new(owner: &Owner, children: &Children) -> Self {
        let mut deployments = workloads(owner, children).filter(|(kind, ..)| *kind == "Deployment");
        let uses_sets = |pod: &Pod| {
            let owners = pod.metadata.owner_references.iter().flatten();
            !is_done(pod) && !owners.into_iter().any(|owner| owner.kind == "StatefulSet")
        };
        let has_users =
            deployments.any(|(_, _, live)| has_pods(&live.value())) || running(children).iter().any(uses_sets);
        Self { sets: !has_users }
    }

    /// Sets the replicas of a workload: those that it has until it may stop, and never more.
    fn apply(&self, manifest: &mut Manifest, live: Option<&Arc<Packed>>) {
        let has = live.map_or(0, |live| live.value()["spec"]["replicas"].as_i64().unwrap_or(1));
        let stops = self.sets || manifest.resource.kind != "StatefulSet";
        let wanted = std::mem::replace(&mut manifest.object["spec"]["replicas"], json!(if stops { 0 } else { has }));
        if stops && wanted.as_i64().is_some_and(|wanted| wanted > 0) {
            let annotations = &mut manifest.object["metadata"]["annotations"];
            annotations[annotation::SUSPENDED_REPLICAS] = json!(wanted.to_string());
        }
    }

    /// The write that stops exactly this workload, if it is ours, has replicas, and may stop now.
    fn stop(&self, resource: &ApiResource, owner: &Owner, live: &Arc<Packed>) -> Option<Write> {
        let meta = live.metadata();
        let may_stop = self.sets || resource.kind != "StatefulSet";
        if !may_stop
            || !owns(owner, &meta)
            || meta.deletion_timestamp.is_some()
            || live.value()["spec"]["replicas"] == 0
        {
            return None;
        }
        let had = live.value()["spec"]["replicas"].as_i64().unwrap_or(1).to_string();
        let patch = scaled(&meta, 0, Some(&had));
        Some(Write::Stop { resource: resource.clone(), name: meta.name.unwrap_or_default(), patch })
    }
}

/// A patch of the replicas of exactly this workload, and of the note about those that it had.
fn scaled(meta: &ObjectMeta, replicas: i64, had: Option<&str>) -> Value {
    json!({
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
            "annotations": {(annotation::SUSPENDED_REPLICAS): had},
        },
        "spec": {"replicas": replicas},
    })
}

/// The writes that start what a suspension stopped, of an object that is stalled: nothing else of it is applied.
pub(super) fn start_all(owned: &[ApiResource], owner: &Owner, children: &Children) -> Vec<Write> {
    for_each_workload(owned, owner, children, |resource, live| start(resource, owner, live))
}

/// The writes that start what a suspension stopped, of the workloads that the component keeps unchanged.
pub(super) fn start_kept(manifests: &[Manifest], owner: &Owner, children: &Children) -> Vec<Write> {
    let is_kept = |manifest: &&Manifest| {
        is(manifest, &["StatefulSet", "Deployment"]) && matches!(manifest.mode, Mode::Once { .. } | Mode::Existing)
    };
    let start_one =
        |manifest: &Manifest| start(&manifest.resource, owner, children.get(&manifest.resource.kind, manifest.name())?);
    manifests.iter().filter(is_kept).filter_map(start_one).collect()
}

/// The write that starts exactly this workload, if it is ours, and a suspension has stopped it.
fn start(resource: &ApiResource, owner: &Owner, live: &Arc<Packed>) -> Option<Write> {
    let meta = live.metadata();
    let had: i64 = meta.annotations.as_ref()?.get(annotation::SUSPENDED_REPLICAS)?.parse().ok()?;
    let is_stopped = owns(owner, &meta) && meta.deletion_timestamp.is_none() && live.value()["spec"]["replicas"] == 0;
    let patch = scaled(&meta, had, None);
    is_stopped.then(|| Write::Start { resource: resource.clone(), name: meta.name.unwrap_or_default(), patch })
}

/// The workloads of the object.
fn workloads<'a>(owner: &Owner, children: &'a Children) -> impl Iterator<Item = (&'a str, &'a str, &'a Arc<Packed>)> {
    let is_ours = |(kind, _, live): &(&str, &str, &Arc<Packed>)| {
        ["StatefulSet", "Deployment"].contains(kind) && owns(owner, &live.metadata())
    };
    children.iter().filter(is_ours)
}

/// Whether a workload has pods, or will have some.
fn has_pods(live: &Value) -> bool {
    live["spec"]["replicas"] != 0 || live["status"]["replicas"].as_i64().unwrap_or(0) > 0
}

/// The pods that have not ended.
pub(super) fn running(children: &Children) -> Vec<Pod> {
    let mut pods: Vec<Pod> = children.all();
    pods.retain(|pod| !is_done(pod));
    pods
}

/// What still runs, if anything does.
pub(super) fn remaining(owner: &Owner, children: &Children, suspension: &Suspension) -> Option<String> {
    let pods: Vec<String> = running(children).iter().map(|pod| format!("Pod/{}", pod.name_any())).collect();
    if !pods.is_empty() {
        return Some(format!(
            "suspension in progress: {} still running: {}; a pod of a Job is waited for until it ends: if it cannot, delete the Job",
            counted(pods.len(), "pod"),
            listed(&pods, LISTED)
        ));
    }
    let is_up = |live: &Value| has_pods(live) || live["status"]["observedGeneration"] != live["metadata"]["generation"];
    let up: Vec<String> = workloads(owner, children)
        .filter(|(_, _, live)| is_up(&live.value()))
        .map(|(kind, name, _)| format!("{kind}/{name}"))
        .collect();
    if !up.is_empty() {
        return Some(format!("suspension in progress: {} has not stopped yet", listed(&up, LISTED)));
    }
    suspension.awaited.as_ref().map(|awaited| format!("suspension in progress: {awaited}"))
}

//! Carrying out the writes of a plan: each has the preconditions that make it safe when the cache is behind.

use std::sync::Arc;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
        Request,
    },
    core::Status,
};
use rand::{RngExt, distr::Alphanumeric};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    intent::{Owner, is_ours, is_predecessors},
    plan::{NameConflict, Target, Write},
};
use crate::{cache::Arrived, manifest::Draw, metadata::Timeless};

/// The result of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// The object as it is now; an event reports if it belonged to an earlier object before.
    Is { object: Box<Arrived>, adopted: bool },
    /// The object does not exist.
    Gone,
    /// It belongs to another owner.
    Taken(NameConflict),
    /// Another writer was faster: the next pass will see the result.
    Overtaken,
}

/// Carries out one write in a namespace.
pub(super) async fn write(
    client: &Client,
    namespace: &str,
    owner: &Owner,
    drawing: &Drawing,
    write: &Write,
) -> kube::Result<Written> {
    let api = |resource: &ApiResource| Api::<Arrived>::namespaced_with(client.clone(), namespace, resource);
    match write {
        Write::Create { resource, object, drawn } => {
            create(&api(resource), resource, owner, drawing.insert(object.clone(), drawn).await?).await
        }
        Write::Apply { resource, object, posted, adopted } => {
            if *posted {
                let api = Api::<Timeless<DynamicObject>>::namespaced_with(client.clone(), namespace, resource);
                if !take_over_posted_fields(&api, owner, write.name(), &object["metadata"]["uid"]).await? {
                    return Ok(Written::Overtaken);
                }
            }
            apply(&api(resource), owner, object, *adopted).await
        }
        Write::Own { resource, name, patch, adopted } => {
            let params = PatchParams { field_manager: Some(owner.component.to_owned()), ..PatchParams::default() };
            overtaken(api(resource).patch(name, &params, &Patch::Merge(patch)).await, *adopted)
        }
        Write::Stop { resource, name, patch } | Write::Start { resource, name, patch } => {
            let params = PatchParams { field_manager: Some(owner.component.to_owned()), ..PatchParams::default() };
            overtaken(api(resource).patch(name, &params, &Patch::Merge(patch)).await, false)
        }
        Write::Label { resource, object } => {
            let params = PatchParams::apply(owner.component).force();
            overtaken(api(resource).patch(write.name(), &params, &Patch::Apply(object)).await, false)
        }
        Write::Delete { resource, target, orphan } => delete(&api(resource), target, *orphan).await,
    }
}

async fn create(api: &Api<Arrived>, resource: &ApiResource, owner: &Owner, object: Value) -> kube::Result<Written> {
    let params = PostParams { field_manager: Some(owner.component.to_owned()), ..PostParams::default() };
    // The JSON as it is: conversion through a type would cost more than the request itself.
    let body = serde_json::to_vec(&object).map_err(kube::Error::SerdeError)?;
    let request = Request::new(api.resource_url()).create(&params, body).map_err(kube::Error::BuildRequest)?;
    match api.clone().into_client().request::<Arrived>(request).await {
        Ok(made) => Ok(is(made, false)),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            match api.get_opt(name).await? {
                None => Ok(Written::Overtaken),
                Some(live) if is_predecessors(owner, live.meta()) => Ok(Written::Overtaken),
                Some(live) if is_ours(owner, live.meta()) => {
                    found(api, owner, &object["metadata"]["labels"], live).await
                }
                Some(_) => Ok(Written::Taken(NameConflict { reference: format!("{}/{name}", resource.kind) })),
            }
        }
        Err(error) => Err(error),
    }
}

/// One of our objects existed that the cache did not have: it is behind, or the labels were removed, and are restored.
async fn found(api: &Api<Arrived>, owner: &Owner, labels: &Value, live: Arrived) -> kube::Result<Written> {
    let has = |(key, value): (&String, &Value)| live.labels().get(key).map(String::as_str) == value.as_str();
    if labels.as_object().into_iter().flatten().all(has) {
        return Ok(is(live, false));
    }
    let params = PatchParams { field_manager: Some(owner.component.to_owned()), ..PatchParams::default() };
    let metadata = json!({"labels": labels, "resourceVersion": live.resource_version()});
    overtaken(api.patch(&live.name_any(), &params, &Patch::Merge(json!({ "metadata": metadata }))).await, false)
}

async fn apply(api: &Api<Arrived>, owner: &Owner, object: &Value, adopted: bool) -> kube::Result<Written> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let params = PatchParams::apply(owner.component).force();
    match api.patch(name, &params, &Patch::Apply(object)).await {
        // An apply merges lists by key: if someone changed the key itself (the port of a Service), our element is added beside
        // theirs, and both together may be invalid. A merge patch replaces the whole list.
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            let params = PatchParams { field_manager: Some(owner.component.to_owned()), ..PatchParams::default() };
            let mut body = object.clone();
            // Without the lists of the metadata, which contain foreign owners.
            let mut metadata = json!({ "uid": object["metadata"]["uid"] });
            for map in ["labels", "annotations"] {
                if object["metadata"][map].is_object() {
                    metadata[map] = object["metadata"][map].clone();
                }
            }
            body["metadata"] = metadata;
            overtaken(api.patch(name, &params, &Patch::Merge(body)).await, adopted)
        }
        result => overtaken(result, adopted),
    }
}

/// An object that was created by POST has its fields under an `Update` entry of ours, beside which an apply adds a second entry:
/// fields that are no longer applied would stay. So the entry is turned into an `Apply` entry first, once in the object's life.
/// `false` if the object has changed meanwhile, or is another one.
async fn take_over_posted_fields(
    api: &Api<Timeless<DynamicObject>>,
    owner: &Owner,
    name: &str,
    uid: &Value,
) -> kube::Result<bool> {
    let live = api.get_opt(name).await?.map(|Timeless(live)| live);
    let Some(live) = live.filter(|live| live.metadata.uid.as_deref() == uid.as_str()) else { return Ok(false) };
    let version = live.metadata.resource_version.clone();
    let mut entries = live.metadata.managed_fields.unwrap_or_default();
    let is_ours = |entry: &ManagedFieldsEntry, operation| {
        entry.manager.as_deref() == Some(owner.component)
            && entry.subresource.is_none()
            && entry.operation.as_deref() == Some(operation)
    };
    if entries.iter().any(|entry| is_ours(entry, "Apply")) {
        // Of two entries of one name only one would be read.
        entries.retain(|entry| !is_ours(entry, "Update"));
    }
    for entry in entries.iter_mut().filter(|entry| is_ours(entry, "Update")) {
        entry.operation = Some("Apply".to_owned());
    }
    let patch = json!({"metadata": {"resourceVersion": version, "managedFields": entries}});
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes exactly this version of a pod, so that its set recreates it; `false` if it has changed or been deleted meanwhile.
pub(super) async fn restart_pod(client: &Client, namespace: &str, pod: &Pod) -> kube::Result<bool> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    match Api::<Timeless<Pod>>::namespaced(client.clone(), namespace).delete(&pod.name_any(), &params).await {
        Ok(_) => Ok(true),
        Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn delete(api: &Api<Arrived>, target: &Target, orphan: bool) -> kube::Result<Written> {
    let params = DeleteParams {
        propagation_policy: Some(if orphan { PropagationPolicy::Orphan } else { PropagationPolicy::Background }),
        preconditions: Some(Preconditions { uid: target.uid.clone(), resource_version: target.version.clone() }),
        ..DeleteParams::default()
    };
    match api.delete(&target.name, &params).await {
        // Some kinds are answered with the object even if it is deleted at once.
        Ok(answer) => match answer.left().filter(|left| left.meta().deletion_timestamp.is_some()) {
            Some(going) => Ok(is(going, false)),
            None => Ok(Written::Gone),
        },
        Err(error) if is_not_found(&error) => Ok(Written::Gone),
        Err(error) if is_conflict(&error) => Ok(Written::Overtaken),
        Err(error) => Err(error),
    }
}

fn is(object: Arrived, adopted: bool) -> Written {
    Written::Is { object: Box::new(object), adopted }
}

fn overtaken(result: kube::Result<Arrived>, adopted: bool) -> kube::Result<Written> {
    match result {
        Ok(object) => Ok(is(object, adopted)),
        Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(Written::Overtaken),
        Err(error) => Err(error),
    }
}

/// Draws random values for the passes of a controller.
///
/// An RSA key takes a processor for a second or more, so it is computed outside of the threads that run passes, and one after
/// the other: many new objects of one tenant must not take the processors from the others.
pub(super) struct Drawing(Arc<Semaphore>);

impl Default for Drawing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Drawing {
    /// Inserts the random values into an object.
    async fn insert(&self, mut object: Value, drawn: &[Draw]) -> kube::Result<Value> {
        for draw in drawn {
            let value: String = match draw {
                Draw::Letters(_) => rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect(),
                Draw::Bytes(_, written) => self.compute(*written).await?,
            };
            object["stringData"][draw.key()] = json!(value);
        }
        Ok(object)
    }

    async fn compute(&self, written: fn(&[u8; 32]) -> String) -> kube::Result<String> {
        let failed = kube::Error::Service;
        let turn = self.0.clone().acquire_owned().await.map_err(|error| failed(error.into()))?;
        // The turn ends with the computation, even if the pass is cancelled meanwhile.
        let computed = spawn_blocking(move || {
            let _turn = turn;
            written(&rand::random())
        });
        computed.await.map_err(|error| failed(error.into()))
    }
}

/// A precondition did not hold.
pub(super) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// The object does not exist.
pub(super) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// The namespace is being deleted with everything in it, or does not exist any more: nothing is left to do.
pub(super) fn is_leaving(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if is_leaving_status(status))
}

/// The same for an answer.
pub(super) fn is_leaving_status(status: &Status) -> bool {
    (status.code == 403 && status.message.contains("because it is being terminated"))
        || (status.code == 404 && status.message.starts_with("namespaces \""))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        time::{Duration, Instant},
    };

    use super::*;

    static GOES_ON: AtomicBool = AtomicBool::new(false);
    static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

    /// Computes until another task has run; reports whether it did, and was the only one meanwhile.
    fn compute(_: &[u8; 32]) -> String {
        let is_alone = UNDER_WAY.fetch_add(1, Ordering::SeqCst) == 0;
        let until = Instant::now() + Duration::from_secs(30);
        while !GOES_ON.load(Ordering::SeqCst) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        format!("{is_alone} {}", GOES_ON.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn long_draw_delays_no_other_task() {
        let drawing = Drawing::default();
        let draw = || drawing.insert(json!({}), &[Draw::Bytes("key", compute)]);
        let other = async { GOES_ON.store(true, Ordering::SeqCst) };
        let (first, second, third, ()) = tokio::join!(draw(), draw(), draw(), other);
        for drawn in [first, second, third] {
            assert_eq!(drawn.unwrap(), json!({"stringData": {"key": "true true"}}));
        }
    }
}

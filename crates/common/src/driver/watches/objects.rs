//! The watch of the custom resources themselves: all namespaces in one store.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::{
        reflector::{ObjectRef, store::Writer},
        watcher::{self, Event},
    },
};

use super::{
    light::{Sizes, lighten, refuse_large},
    notifier::Notifier,
};
use crate::{
    component::Component,
    driver::{keep::is_refused, memory::Memories, warmth::Gauge},
    manifest::hash,
};

/// The store of the custom resources, and the state of their watches between two events.
pub(super) struct Objects<C: Component> {
    writer: Writer<DeserializeGuard<C::Kind>>,
    notifier: Notifier<C>,
    memories: Arc<Memories>,
    /// The progress of the watch of each namespace; `None` stands for all namespaces.
    gauges: HashMap<Option<String>, Gauge>,
    /// The UIDs that a list has returned so far.
    listing: HashMap<Option<String>, HashSet<String>>,
    /// The hash of the latest state of each object, by UID.
    seen: HashMap<String, String>,
    sizes: Sizes,
}

impl<C: Component> Objects<C> {
    pub(super) fn new(
        mut writer: Writer<DeserializeGuard<C::Kind>>,
        notifier: Notifier<C>,
        memories: Arc<Memories>,
        gauges: HashMap<Option<String>, Gauge>,
    ) -> Self {
        // The runner waits until the store is ready, which normally requires one list of all namespaces. `warmth` takes its place
        // here.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        Self {
            writer,
            notifier,
            memories,
            gauges,
            listing: HashMap::new(),
            seen: HashMap::new(),
            sizes: Sizes::default(),
        }
    }

    /// Takes an event of the watch of a namespace. Each namespace lists for itself, so its list must not replace the whole store.
    pub(super) fn take(&mut self, namespace: Option<String>, event: watcher::Result<Event<DeserializeGuard<C::Kind>>>) {
        match event {
            Ok(Event::Init) => {
                self.listing.insert(namespace, HashSet::new());
            }
            Ok(Event::InitApply(object)) => {
                self.listing.entry(namespace).or_default().extend(object.meta().uid.clone());
                self.forget_if_restored(&object);
                self.put(object);
            }
            Ok(Event::InitDone) => {
                let listed = self.listing.remove(&namespace).unwrap_or_default();
                if self.gauges.get(&namespace).is_some_and(Gauge::warm) {
                    self.notifier.notify_namespace(namespace.as_deref());
                }
                self.remove_unlisted(namespace.as_deref(), &listed);
            }
            Ok(Event::Apply(object)) => self.put(object),
            Ok(Event::Delete(object)) => self.remove(object),
            Err(error) => {
                if let Some(gauge) = self.gauges.get(&namespace).filter(|_| is_refused(&error)) {
                    gauge.refused();
                }
            }
        }
    }

    fn put(&mut self, mut object: DeserializeGuard<C::Kind>) {
        let reference = ObjectRef::from_obj(&object);
        let is_news = is_news(&mut self.seen, &object);
        lighten(&mut object);
        refuse_large(&mut object, &mut self.sizes);
        // First the store, then the event: a pass may start at once, and must not see the previous state.
        self.writer.apply_watcher_event(&Event::Apply(object));
        if is_news {
            self.notifier.notify(reference);
        }
    }

    /// Forgets an object that is listed in an older version than the known one: the cluster was restored from a backup, so the
    /// memory describes a state that no longer exists.
    fn forget_if_restored(&mut self, object: &DeserializeGuard<C::Kind>) {
        let known = self.notifier.objects.get(&ObjectRef::from_obj(object));
        if known.is_some_and(|known| is_older(object.meta(), known.meta())) {
            self.forget(object.meta());
        }
    }

    fn remove_unlisted(&mut self, namespace: Option<&str>, listed: &HashSet<String>) {
        let gone = self.notifier.objects.state_filter(|object| {
            let meta = object.meta();
            let covered = namespace.is_none() || meta.namespace.as_deref() == namespace;
            covered && meta.uid.as_ref().is_none_or(|uid| !listed.contains(uid))
        });
        for object in gone {
            self.remove((*object).clone());
        }
    }

    fn remove(&mut self, object: DeserializeGuard<C::Kind>) {
        self.forget(object.meta());
        self.sizes.remove(object.meta());
        self.writer.apply_watcher_event(&Event::Delete(object));
    }

    fn forget(&mut self, meta: &ObjectMeta) {
        let uid = meta.uid.as_deref().unwrap_or_default();
        self.seen.remove(uid);
        self.memories.forget(uid);
    }
}

/// Whether more than the status of an object has changed.
pub(super) fn is_news<K: Resource>(seen: &mut HashMap<String, String>, object: &K) -> bool {
    let meta = object.meta();
    let is_written_by_hand = |(key, _): &(&String, &String)| *key != "kubectl.kubernetes.io/last-applied-configuration";
    let annotations: Vec<_> = meta.annotations.iter().flatten().filter(is_written_by_hand).collect();
    let state = hash(&serde_json::json!([meta.generation, meta.labels, annotations, meta.deletion_timestamp]));
    let Some(uid) = meta.uid.clone() else { return true };
    seen.insert(uid, state.clone()).is_none_or(|before| before != state)
}

/// Whether the object is in an older version than the known one.
fn is_older(meta: &ObjectMeta, known: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_deref()?.parse::<u64>().ok();
    meta.uid == known.uid && version(meta) < version(known)
}

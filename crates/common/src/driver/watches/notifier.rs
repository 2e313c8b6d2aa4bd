//! Tells the driver which objects need a pass because of an event.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::{self, Event},
    },
};
use tokio::sync::mpsc;

use crate::{
    component::Component,
    driver::{
        keep::{is_absent, is_refused},
        warmth::Gauge,
    },
};

/// Passes events on while this process leads.
pub(super) struct Notifier<C: Component> {
    pub(super) sender: mpsc::UnboundedSender<ObjectRef<DeserializeGuard<C::Kind>>>,
    pub(super) leading: Arc<AtomicBool>,
    pub(super) objects: Store<DeserializeGuard<C::Kind>>,
}

impl<C: Component> Clone for Notifier<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), leading: self.leading.clone(), objects: self.objects.clone() }
    }
}

impl<C: Component> Notifier<C> {
    pub(super) fn notify(&self, object: ObjectRef<DeserializeGuard<C::Kind>>) {
        if self.leading.load(Ordering::SeqCst) {
            // The receiver lives as long as the process.
            let _ = self.sender.send(object);
        }
    }

    /// Triggers a pass for all objects of a namespace, or of all namespaces.
    pub(super) fn notify_namespace(&self, namespace: Option<&str>) {
        if !self.leading.load(Ordering::SeqCst) {
            return;
        }
        let there =
            |object: &DeserializeGuard<C::Kind>| namespace.is_none() || object.meta().namespace.as_deref() == namespace;
        for object in self.objects.state_filter(there) {
            self.notify(ObjectRef::from_obj(&*object));
        }
    }

    /// Passes on an event of an object that all objects of its namespace may refer to.
    pub(super) fn pass_on<K: Resource>(&self, event: &Event<K>, gauge: &Gauge, namespace: Option<&str>) {
        match event {
            Event::Apply(source) | Event::Delete(source) => self.notify_namespace(source.meta().namespace.as_deref()),
            // A list is in the store only now, and objects that it lacks have been deleted.
            Event::InitDone => {
                gauge.warm();
                self.notify_namespace(namespace);
            }
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// Records why a watch cannot list. A kind that the cluster does not have does not prevent the start; it is watched when it
    /// appears.
    pub(super) fn hear(&self, error: &watcher::Error, gauge: &Gauge, namespace: Option<&str>) {
        if is_absent(error) {
            if gauge.warm() {
                self.notify_namespace(namespace);
            }
        } else if is_refused(error) {
            gauge.refused();
        }
    }
}

//! Events of the watches, and their effect on the cache.

use std::{collections::HashSet, sync::atomic::Ordering};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, runtime::watcher::Event};

use super::{Arrived, Cache, Instance, Packed, children::Key};

/// The objects that a restarted watch has listed so far.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    namespace: Option<String>,
    uids: HashSet<String>,
    /// Objects put before this were known when the list was requested.
    began: u64,
}

impl Listed {
    /// For a watch of one namespace, or of all.
    pub(crate) fn within(namespace: Option<String>) -> Self {
        Self { namespace, ..Self::default() }
    }

    /// Whether an object should be in the list and is not. Objects created after the request need not be.
    fn lacks(&self, known: &Packed) -> bool {
        known.arrived < self.began && !self.uids.contains(known.uid())
    }

    fn covers(&self, instance: &Instance) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == instance.namespace)
    }
}

impl Cache {
    /// Takes an event of a watch, and returns the instances that it affects. `listed` collects the objects that a restarted watch
    /// lists: objects that it has not listed by the end have been deleted.
    pub(crate) fn take(&self, kind: &str, event: Event<Arrived>, listed: &mut Listed) -> Vec<Instance> {
        match event {
            Event::Init => {
                listed.uids.clear();
                listed.began = self.clock.load(Ordering::SeqCst);
                Vec::new()
            }
            Event::InitApply(object) => {
                listed.uids.extend(object.meta().uid.clone());
                self.take_over(kind, object, listed.began)
            }
            Event::InitDone => {
                let gone = self.forget_unlisted(kind, listed);
                listed.uids = HashSet::new();
                gone
            }
            Event::Apply(object) => self.take_over(kind, object, 0),
            Event::Delete(object) => {
                let instance = Instance::from_labels(object.meta());
                if self.remove(kind, object.meta()) { instance.into_iter().collect() } else { Vec::new() }
            }
        }
    }

    fn take_over(&self, kind: &str, object: Arrived, began: u64) -> Vec<Instance> {
        match Instance::from_labels(object.meta()) {
            Some(_) => self.put_over(kind, object, began),
            None => self.hide(kind, object.meta()).into_iter().collect(),
        }
    }

    /// Removes an object whose instance label was removed.
    fn hide(&self, kind: &str, metadata: &ObjectMeta) -> Option<Instance> {
        let mut held = self.write();
        let assigned = held.instance_of(metadata)?.clone();
        let key = (kind.into(), metadata.name.as_deref().unwrap_or_default().into());
        held.remove_if(&assigned, &key, |known| known.is(metadata)).then(|| (*assigned).clone())
    }

    fn forget_unlisted(&self, kind: &str, listed: &Listed) -> Vec<Instance> {
        let mut held = self.write();
        let covered = held.iter().filter(|(instance, _)| listed.covers(instance));
        let known = covered
            .flat_map(|(instance, children)| children.all.iter().map(move |(key, object)| (instance, key, object)));
        let unlisted = known.filter(|(_, (k, _), object)| **k == *kind && listed.lacks(object));
        let gone: Vec<(Instance, Key)> = unlisted.map(|(instance, key, _)| (instance.clone(), key.clone())).collect();
        for (instance, key) in &gone {
            held.remove_if(instance, key, |_| true);
        }
        gone.into_iter().map(|(instance, _)| instance).collect()
    }
}

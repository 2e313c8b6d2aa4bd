//! What the watches have seen of the users' ConfigMaps and Secrets: which ones exist, and in which version.
//!
//! Anybody may give such an object the label that has it watched, so what is in it is not kept here: it is read by name by the
//! pass that refers to it. What is kept of each is a name and a version, and of at most so many in a namespace.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use kube::{Resource, runtime::watcher::Event};

/// Objects of one namespace beyond this number are not kept; one that is referred to is then read at the resync at the latest.
const MOST: usize = 1000;

type Versions = HashMap<Box<str>, HashMap<Box<str>, Box<str>>>;

/// What one watch has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    versions: RwLock<Versions>,
    /// What a watch that has begun again has listed so far.
    listed: RwLock<Versions>,
}

impl Seen {
    /// The resource version of an object that exists.
    pub(crate) fn version(&self, namespace: &str, name: &str) -> Option<Box<str>> {
        let versions = self.versions.read().unwrap_or_else(PoisonError::into_inner);
        versions.get(namespace)?.get(name).cloned()
    }

    /// Takes an event of the watch.
    pub(crate) fn take<K: Resource>(&self, event: &Event<K>) {
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => *listed = Versions::new(),
            Event::InitApply(object) => put(&mut listed, object),
            // What it did not list has gone.
            Event::InitDone => *versions = std::mem::take(&mut *listed),
            Event::Apply(object) => put(&mut versions, object),
            Event::Delete(object) => remove(&mut versions, object),
        }
    }
}

fn put<K: Resource>(versions: &mut Versions, object: &K) {
    let (namespace, name, version) = parts(object);
    let names = versions.entry(namespace.into()).or_default();
    if names.len() < MOST || names.contains_key(name) {
        names.insert(name.into(), version.into());
    }
}

fn remove<K: Resource>(versions: &mut Versions, object: &K) {
    let (namespace, name, _) = parts(object);
    if let Some(names) = versions.get_mut(namespace) {
        names.remove(name);
        if names.is_empty() {
            versions.remove(namespace);
        }
    }
}

fn parts<K: Resource>(object: &K) -> (&str, &str, &str) {
    let meta = object.meta();
    (
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
        meta.resource_version.as_deref().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn map(name: &str, version: &str) -> ConfigMap {
        let metadata = json!({"name": name, "namespace": "n", "resourceVersion": version});
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let seen = Seen::default();
        seen.take(&Event::Apply(map("a", "5")));
        seen.take::<ConfigMap>(&Event::Init);
        seen.take(&Event::InitApply(map("b", "3")));
        assert_eq!(seen.version("n", "a").as_deref(), Some("5"));
        seen.take::<ConfigMap>(&Event::InitDone);
        assert_eq!(seen.version("n", "a"), None);
        assert_eq!(seen.version("n", "b").as_deref(), Some("3"));
        seen.take(&Event::Delete(map("b", "6")));
        assert_eq!(seen.version("n", "b"), None);
    }

    #[test]
    fn a_namespace_has_a_share_of_its_own() {
        let seen = Seen::default();
        for number in 0..MOST + 10 {
            seen.take(&Event::Apply(map(&number.to_string(), "1")));
        }
        assert_eq!(seen.versions.read().unwrap()["n"].len(), MOST);
        seen.take(&Event::Apply(map("0", "2")));
        assert_eq!(seen.version("n", "0").as_deref(), Some("2"));
    }
}

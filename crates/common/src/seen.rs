//! Names and versions of the users' ConfigMaps and Secrets, as the watches have seen them.
//!
//! Anyone may set the label for which an object is watched, so contents are not kept here: the pass that refers to an object
//! reads it by name. Only names and versions are kept, and only of a limited number of objects per namespace.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use kube::{Resource, runtime::watcher::Event};

/// The most objects that are kept per namespace; others that are referred to are read at the resync at the latest.
const MOST: usize = 1000;

type Versions = HashMap<Box<str>, HashMap<Box<str>, Box<str>>>;

/// The objects that one watch has seen.
#[derive(Debug, Default)]
pub(crate) struct SeenVersions {
    versions: RwLock<Versions>,
    /// The objects that a restarted watch has listed so far.
    listed: RwLock<Versions>,
}

impl SeenVersions {
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
            // Objects that were not listed have been deleted.
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
    fn object_missing_from_a_new_list_is_removed() {
        let seen = SeenVersions::default();
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
    fn namespaces_have_separate_limits() {
        let seen = SeenVersions::default();
        for number in 0..MOST + 10 {
            seen.take(&Event::Apply(map(&number.to_string(), "1")));
        }
        assert_eq!(seen.versions.read().unwrap()["n"].len(), MOST);
        seen.take(&Event::Apply(map("0", "2")));
        assert_eq!(seen.version("n", "0").as_deref(), Some("2"));
    }
}

//! The children of one custom resource.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;

use super::Packed;
use crate::api::label;

/// The custom resource that an object belongs to: its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Instance {
    /// The namespace.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

impl Instance {
    /// The instance that the labels of an object name.
    pub(crate) fn from_labels(metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.labels.as_ref()?.get(label::INSTANCE)?.clone(),
        })
    }
}

/// The children of one object: a snapshot that does not change during a pass. Its pods are the members only; see `members`.
#[derive(Clone, Debug, Default)]
pub struct Children {
    pub(super) all: Arc<BTreeMap<Key, Arc<Packed>>>,
    /// The size in bytes of all objects with the labels, unpacked.
    pub(super) length: usize,
    /// Pods with the object's labels that no controller owns.
    pub(super) orphans: Arc<[Arc<Packed>]>,
    /// The kinds that the cluster does not have.
    absent: Arc<BTreeSet<String>>,
}

/// Kind and name.
pub(super) type Key = (Box<str>, Box<str>);

impl Children {
    /// The child of that kind and name.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<&Arc<Packed>> {
        // The key has no borrowed form as a pair, and an object has a dozen children.
        self.iter().find(|(k, n, _)| *k == kind && *n == name).map(|(_, _, object)| object)
    }

    /// The child of that type and name, parsed. A child that does not parse counts as absent.
    pub fn find<K: Resource<DynamicType = ()> + DeserializeOwned>(&self, name: &str) -> Option<K> {
        self.get(&K::kind(&()), name)?.parse().ok()
    }

    /// All children of that type, by name.
    pub fn all<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> Vec<K> {
        let kind = K::kind(&());
        self.iter().filter(|(k, ..)| *k == kind).filter_map(|(_, _, object)| object.parse().ok()).collect()
    }

    /// Whether the cluster has the kind of that type: the `CustomResourceDefinition` of another project may be absent. A child of an
    /// absent kind can be neither read nor created.
    pub fn has_kind<K: Resource<DynamicType = ()>>(&self) -> bool {
        !self.absent.contains(&*K::kind(&()))
    }

    pub(super) fn without_kinds(self, absent: Arc<BTreeSet<String>>) -> Self {
        Self { absent, ..self }
    }

    /// Whether there are no children.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Kind, name and object of all of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Arc<Packed>)> {
        self.all.iter().map(|((kind, name), object)| (&**kind, &**name, object))
    }

    pub(super) fn edit(&mut self) -> &mut BTreeMap<Key, Arc<Packed>> {
        Arc::make_mut(&mut self.all)
    }
}

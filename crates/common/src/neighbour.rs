//! Other components that a component refers to: their objects, read only.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use kube::{
    Resource,
    api::{ApiResource, DynamicObject},
    runtime::reflector::Store,
};
use serde::de::DeserializeOwned;

/// The state of an object that is referred to.
#[derive(Clone, Debug, PartialEq)]
pub enum Neighbour<K> {
    /// It exists.
    There(Box<K>),
    /// It does not exist in the namespace. Objects of other namespaces are never looked up.
    Missing,
    /// The cluster does not have the kind.
    NoKind,
    /// It does not parse; the text is the error.
    Unparsable(String),
}

/// The objects of other components that are watched.
#[derive(Clone, Default)]
pub(crate) struct Neighbours(pub(crate) Vec<WatchedKind>);

/// One kind of them.
#[derive(Clone)]
pub(crate) struct WatchedKind {
    pub(crate) resource: ApiResource,
    /// A store for each watch.
    pub(crate) stores: Vec<Store<DynamicObject>>,
    /// Whether the cluster does not have the kind.
    pub(crate) is_absent: Arc<AtomicBool>,
}

impl Neighbours {
    /// The object of that type and name.
    pub(crate) fn find<K>(&self, namespace: &str, name: &str) -> Neighbour<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let Some(watched) = self.of_kind::<K>() else { return Neighbour::NoKind };
        let is_it = |object: &DynamicObject| {
            object.metadata.name.as_deref() == Some(name) && object.metadata.namespace.as_deref() == Some(namespace)
        };
        let mut found = watched.stores.iter().flat_map(|store| store.state_filter(is_it));
        let Some(object) = found.next() else { return Neighbour::Missing };
        match (*object).clone().try_parse::<K>() {
            Ok(object) => Neighbour::There(Box::new(object)),
            Err(error) => Neighbour::Unparsable(error.to_string()),
        }
    }

    /// All objects of that type in a namespace that parse, by name; `None` if the cluster does not have the kind.
    pub(crate) fn all<K>(&self, namespace: &str) -> Option<Vec<K>>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let is_there = |object: &DynamicObject| object.metadata.namespace.as_deref() == Some(namespace);
        let stores = self.of_kind::<K>()?.stores.iter();
        let found = stores.flat_map(|store| store.state_filter(is_there));
        let mut all: Vec<K> = found.filter_map(|object| (*object).clone().try_parse().ok()).collect();
        all.sort_by(|one, other| one.meta().name.cmp(&other.meta().name));
        Some(all)
    }

    fn of_kind<K: Resource<DynamicType = ()>>(&self) -> Option<&WatchedKind> {
        let watched = self.0.iter().find(|watched| watched.resource.kind == K::kind(&()))?;
        (!watched.is_absent.load(Ordering::Relaxed)).then_some(watched)
    }
}

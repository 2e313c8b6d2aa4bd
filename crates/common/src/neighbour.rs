//! Other components, as one that refers to them sees them: their objects, read only.

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

/// What there is of an object that is referred to.
#[derive(Clone, Debug, PartialEq)]
pub enum Neighbour<K> {
    /// It is there.
    There(Box<K>),
    /// There is none of that name in the namespace. What other namespaces have is not for this one to know.
    Missing,
    /// The cluster does not have the kind.
    NoKind,
    /// It does not parse; the text says why.
    Unparsable(String),
}

/// The objects of other components that are watched.
#[derive(Clone, Default)]
pub struct Neighbours(pub(crate) Vec<Watched>);

/// One kind of them.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) resource: ApiResource,
    /// A store for each watch.
    pub(crate) stores: Vec<Store<DynamicObject>>,
    /// Whether the cluster does not have the kind.
    pub(crate) is_absent: Arc<AtomicBool>,
}

impl Neighbours {
    /// The object of that type and name.
    pub fn find<K>(&self, namespace: &str, name: &str) -> Neighbour<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let Some(watched) = self.0.iter().find(|watched| watched.resource.kind == K::kind(&())) else {
            return Neighbour::NoKind;
        };
        if watched.is_absent.load(Ordering::Relaxed) {
            return Neighbour::NoKind;
        }
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
}

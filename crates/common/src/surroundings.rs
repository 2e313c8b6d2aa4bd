//! Objects around a custom resource that belong to others, and that a pass knows without a request: its namespace, the pods of
//! other components, the deployments of a product.
//!
//! Others write them, so each is reduced to the parts that the component reads before it is kept, and a namespace has the budget
//! that the objects of a neighbour have. An event that changes none of these parts triggers no pass.

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    Resource,
    api::{ApiResource, DynamicObject},
    runtime::reflector::Store,
};

/// Where objects are watched, and which objects of the component's kind they concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The namespaces that the controller serves; they concern the objects of the same namespace.
    Served,
    /// The namespaces themselves; each concerns its own objects.
    Namespaces,
    /// The whole cluster; they concern all objects.
    Cluster,
}

/// A kind of objects that belong to others.
#[derive(Clone, Debug)]
pub struct Surrounding {
    /// The kind.
    pub resource: ApiResource,
    /// The selector of labels.
    pub labels: &'static str,
    /// Where they are.
    pub place: Place,
    /// Reduces an object to what the component reads: fields of its metadata, and `data` of any form.
    pub reduce: fn(&mut DynamicObject),
}

impl Surrounding {
    /// Objects of a kind with these labels, reduced by this function.
    pub fn new<K: Resource<DynamicType = ()>>(
        place: Place,
        labels: &'static str,
        reduce: fn(&mut DynamicObject),
    ) -> Self {
        Self { resource: ApiResource::erase::<K>(&()), labels, place, reduce }
    }
}

/// The reduced objects of a kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Around {
    /// Those that exist, by name.
    Known(Vec<Arc<DynamicObject>>),
    /// The controller may not list them, as with a namespaced Role.
    Refused,
    /// The cluster does not have the kind.
    Absent,
}

impl Around {
    /// The objects, or none where they are not known.
    pub fn objects(&self) -> &[Arc<DynamicObject>] {
        match self {
            Self::Known(objects) => objects,
            Self::Refused | Self::Absent => &[],
        }
    }
}

/// The state of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// It lists.
    #[default]
    Listed,
    /// The API server refuses the list.
    Refused,
    /// The cluster does not have the kind.
    Absent,
}

/// The objects that are watched, of all kinds.
#[derive(Clone, Default)]
pub(crate) struct Surroundings(pub(crate) Vec<WatchedSurrounding>);

/// One kind of them.
#[derive(Clone)]
pub(crate) struct WatchedSurrounding {
    pub(crate) resource: ApiResource,
    pub(crate) place: Place,
    /// A store for each watch.
    pub(crate) stores: Vec<Store<DynamicObject>>,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Surroundings {
    /// The objects of that kind and place that concern a namespace.
    pub(crate) fn find<K: Resource<DynamicType = ()>>(&self, place: Place, namespace: &str) -> Around {
        let is_it = |watched: &&WatchedSurrounding| watched.place == place && watched.resource.kind == K::kind(&());
        let Some(watched) = self.0.iter().find(is_it) else { return Around::Absent };
        match *watched.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Refused => return Around::Refused,
            State::Absent => return Around::Absent,
            State::Listed => {}
        }
        let concerns = |object: &DynamicObject| match place {
            Place::Served => object.metadata.namespace.as_deref() == Some(namespace),
            Place::Namespaces => object.metadata.name.as_deref() == Some(namespace),
            Place::Cluster => true,
        };
        let mut found: Vec<_> = watched.stores.iter().flat_map(|store| store.state_filter(concerns)).collect();
        found.sort_by(|one, other| key(one).cmp(&key(other)));
        Around::Known(found)
    }
}

fn key(object: &DynamicObject) -> (Option<&str>, Option<&str>) {
    (object.metadata.namespace.as_deref(), object.metadata.name.as_deref())
}

/// The other objects of the same kind in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    /// The oldest one, if it is older than the object itself.
    pub elder: Option<String>,
    /// How many there are.
    pub others: usize,
}

impl Siblings {
    /// Those of an object among others that are not being deleted.
    pub(crate) fn new<'a, K: Resource + 'a>(object: &K, others: impl Iterator<Item = &'a K>) -> Self {
        let age = |one: &K| {
            let meta = one.meta();
            let created = meta.creation_timestamp.as_ref().map(|time| time.0);
            Reverse((created, meta.name.clone()))
        };
        let others: Vec<&K> = others.filter(|other| other.meta().uid != object.meta().uid).collect();
        let oldest = others.iter().max_by_key(|other| age(other)).filter(|oldest| age(oldest) > age(object));
        Self { elder: oldest.and_then(|oldest| oldest.meta().name.clone()), others: others.len() }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    use super::*;

    fn object(name: &str, created: &str) -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name, "uid": name, "creationTimestamp": created}})).unwrap()
    }

    #[test]
    fn oldest_object_has_no_elder() {
        let all = [
            object("b", "2026-01-01T00:00:00Z"),
            object("a", "2026-01-02T00:00:00Z"),
            object("c", "2026-01-01T00:00:00Z"),
        ];
        let elders = all.each_ref().map(|one| Siblings::new(one, all.iter()).elder);
        assert_eq!(elders, [None, Some("b".to_owned()), Some("b".to_owned())]);
        assert_eq!(Siblings::new(&all[0], all.iter()).others, 2);
    }

    #[test]
    fn objects_of_their_place_are_found() {
        let resource = ApiResource::erase::<ConfigMap>(&());
        let mut writer = kube::runtime::reflector::store::Writer::<DynamicObject>::new(resource.clone());
        for (namespace, name) in [("a", "2"), ("a", "1"), ("b", "a")] {
            let value: Value = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name},
            });
            let object = serde_json::from_value(value).unwrap();
            writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(object));
        }
        let names = |place, state| {
            let watched = WatchedSurrounding {
                resource: resource.clone(),
                place,
                stores: vec![writer.as_reader()],
                state: Arc::new(Mutex::new(state)),
            };
            let around = Surroundings(vec![watched]).find::<ConfigMap>(place, "a");
            around.objects().iter().map(|object| object.metadata.name.clone().unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(names(Place::Served, State::Listed), ["1", "2"]);
        assert_eq!(names(Place::Namespaces, State::Listed), ["a"]);
        assert_eq!(names(Place::Cluster, State::Listed), ["1", "2", "a"]);
        assert_eq!(names(Place::Cluster, State::Refused), [] as [&str; 0]);
    }
}

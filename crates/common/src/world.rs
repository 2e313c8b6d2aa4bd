//! The reads of a pass: the children of its object, the users' ConfigMaps and Secrets, and single objects by name.
//!
//! # Requests
//!
//! Children cost no request. Watched ConfigMaps and Secrets are read once per version. Anything else is read by name and
//! remembered for the object: for [`RESYNC`] while it is Ready, for [`RETRY`] while it is not, so that a remedy is noticed soon.
//! Cluster-wide reads are the same for all objects, so they are shared, and repeated before an object stalls and while it waits
//! for anything but its children. All Secrets of a cluster are never cached.
//!
//! # Memory
//!
//! Users write these objects, so they must not determine how much is kept: an answer of more than 64 KiB is not remembered, nor
//! one beyond a total of 16 MiB, or 12 MiB for a namespace. Such an object is read by every pass that needs it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde::{Serialize, de::DeserializeOwned};

mod admission;
mod elsewhere;
mod events;
#[cfg(test)]
pub(crate) mod fixture;
mod reads;
mod served;
mod volumes;

pub use admission::Admission;
pub(crate) use admission::silent_webhook;
pub use elsewhere::Elsewhere;
pub(crate) use events::ClaimEvents;
pub(crate) use reads::{ClusterReads, Reads};
pub(crate) use volumes::{Volume, Volumes};

use self::reads::{NOTHING, parsed, text};
use crate::{
    cache::Children,
    default_source::DefaultSource,
    hand::Hand,
    memo::Memos,
    metadata::Timeless,
    neighbour::{Neighbour, Neighbours},
    seen::SeenVersions,
    surroundings::{Around, Place, Siblings, Surroundings},
    watches::Sources,
};

/// How long a named read is valid while the object is Ready; also the interval of the resync.
pub(crate) const RESYNC: Duration = Duration::from_secs(600);
/// How long a named read is valid while the object is not Ready.
pub(crate) const RETRY: Duration = Duration::from_secs(10);

/// The users' ConfigMaps and Secrets that are watched.
#[derive(Clone)]
pub(crate) struct WatchedSources {
    /// The names that are watched.
    pub(crate) sources: Sources,
    /// ConfigMaps, as each watch has seen them.
    pub(crate) config_maps: Vec<Arc<SeenVersions>>,
    /// Secrets, as each watch has seen them.
    pub(crate) secrets: Vec<Arc<SeenVersions>>,
}

/// The API server did not answer a read.
#[derive(Debug, thiserror::Error)]
#[error("could not read {what}")]
pub struct ReadError {
    /// The object to read, such as `Secret/name`.
    pub what: String,
    /// The answer of the API server.
    pub source: kube::Error,
}

impl ReadError {
    /// Names the object to read, for `map_err`.
    pub(crate) fn reading(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        |source| Self { what: what.into(), source }
    }
}

/// What a pass may read.
pub struct World<'a> {
    /// The client of the process, for other requests.
    pub(crate) client: &'a Client,
    /// The namespace of the object.
    pub(crate) namespace: &'a str,
    /// The children of the object, as the watches have seen them.
    pub children: &'a Children,
    /// The users' ConfigMaps and Secrets that are watched.
    pub(crate) watched: &'a WatchedSources,
    /// The objects of other components that are watched.
    pub(crate) neighbours: &'a Neighbours,
    /// Objects of others that are watched.
    pub(crate) surroundings: &'a Surroundings,
    /// The other objects of the kind in the namespace.
    pub siblings: Siblings,
    /// Whether the users' source with the default name counts for this object.
    pub default_source: DefaultSource,
    /// Reads of this object that are remembered.
    pub(crate) reads: &'a Reads,
    /// What the component remembers of this object.
    pub(crate) memos: &'a Memos,
    /// Reads of the cluster that all objects share.
    pub(crate) cluster: &'a ClusterReads,
    /// How old a remembered read of this object may be.
    pub(crate) max_age: Duration,
}

impl World<'_> {
    /// The component's memory of this object between passes: one value of each type, lost with the process. The observed state
    /// has a copy of what matters in it, because an action may change it meanwhile.
    pub fn memo<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.memos.get()
    }

    /// A ConfigMap of the object's namespace; the one with the default name only if it counts for this object.
    pub async fn config_map(&self, name: &str) -> Result<Option<ConfigMap>, ReadError> {
        if self.is_of_another("ConfigMap", name) {
            return Ok(None);
        }
        self.source(&self.watched.config_maps, self.watched.sources.config_maps, name).await
    }

    /// A Secret of the object's namespace; the one with the default name only if it counts for this object.
    pub async fn secret(&self, name: &str) -> Result<Option<Secret>, ReadError> {
        if self.is_of_another("Secret", name) {
            return Ok(None);
        }
        self.source(&self.watched.secrets, self.watched.sources.secrets, name).await
    }

    fn is_of_another(&self, kind: &str, name: &str) -> bool {
        !self.default_source.is_readable() && self.watched.sources.default_reference() == Some((kind, name))
    }

    /// An object that a watch has seen is read once per version; any other is read by name, or has just been read. If the name is
    /// watched, only an object without children makes a request: this watch may be behind the watch of the object, and values
    /// drawn in its first pass because the source seemed absent would be permanent.
    async fn source<K>(
        &self,
        watches: &[Arc<SeenVersions>],
        watched: &[&str],
        name: &str,
    ) -> Result<Option<K>, ReadError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let what = format!("{}/{name}", K::kind(&()));
        // More than one watch may cover it, and one of them may be behind.
        let versions = watches.iter().filter_map(|seen| seen.version(self.namespace, name));
        let newest = versions.max_by_key(|version| version.parse::<u64>().unwrap_or_default());
        let found = match newest {
            Some(seen) => match self.reads.recall_version(&what, &seen) {
                Some(found) => parsed(&found),
                None => self.read(&what, name, true).await,
            },
            None if watched.contains(&name) && !self.children.is_empty() => {
                self.reads.recall(&what, self.max_age).map_or(Ok(None), |found| parsed(&found))
            }
            None => self.get(name).await,
        };
        found.map_err(ReadError::reading(what))
    }

    /// An object of another component that this one refers to. Its kind must be among the component's neighbours.
    pub fn neighbour<K>(&self, name: &str) -> Neighbour<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.neighbours.find(self.namespace, name)
    }

    /// All objects of another component in the namespace; `None` if the cluster does not have the kind. Its kind must be among the
    /// component's neighbours.
    pub fn neighbours<K>(&self) -> Option<Vec<K>>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.neighbours.all(self.namespace)
    }

    /// The objects of others that concern the object's namespace, reduced. Their kind and place must be among
    /// [`Watches::surroundings`](crate::watches::Watches).
    pub fn around<K: Resource<DynamicType = ()>>(&self, place: Place) -> Around {
        self.surroundings.find::<K>(place, self.namespace)
    }

    /// A hand of this component: for what it leaves in objects of others when its own object goes.
    pub fn hand(&self, component: &'static str) -> Hand {
        Hand::new(self.client.clone(), component)
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        self.namespace
    }

    /// An object of the object's namespace, by name.
    pub async fn get<K>(&self, name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let what = format!("{}/{name}", K::kind(&()));
        match self.reads.recall(&what, self.max_age) {
            Some(found) => parsed(&found),
            None => self.read(&what, name, false).await,
        }
    }

    /// Reads an object of the object's namespace, and remembers it with its version. An invalid name is never requested: with a
    /// slash in it, it would lead into another namespace.
    async fn read<K>(&self, what: &str, name: &str, is_watched: bool) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        if !is_object_name(name) {
            return Ok(None);
        }
        let api = Api::<Timeless<K>>::namespaced(self.client.clone(), self.namespace);
        let mut found = api.get_opt(name).await?.map(|Timeless(found)| found);
        if let Some(found) = &mut found {
            found.meta_mut().managed_fields = None;
        }
        let version = found.as_ref().and_then(|found| found.meta().resource_version.clone());
        self.reads.keep(what, version.map(String::into_boxed_str), text(&found)?, is_watched && found.is_some());
        Ok(found)
    }

    /// An object of the object's namespace, of a kind known at run time. Its absence is remembered for longer: if it appears,
    /// creating ours causes a conflict.
    pub(crate) async fn get_any(&self, resource: &ApiResource, name: &str) -> kube::Result<Option<DynamicObject>> {
        if !is_object_name(name) {
            return Ok(None);
        }
        let what = format!("{}/{name}", resource.kind);
        if self.reads.recall(&what, RESYNC).as_deref() == Some(NOTHING) {
            return Ok(None);
        }
        let api = Api::<Timeless<DynamicObject>>::namespaced_with(self.client.clone(), self.namespace, resource);
        if let Some(found) = self.reads.recall(&what, self.max_age) {
            return parsed(&found);
        }
        let found = api.get_opt(name).await?.map(|Timeless(found)| found);
        self.reads.keep(&what, None, text(&found)?, false);
        Ok(found)
    }

    /// All objects of a cluster-wide kind; `None` where the controller has no permission, as with a namespaced Role.
    pub async fn list_cluster<K>(&self) -> kube::Result<Option<Vec<K>>>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let api = Api::<K>::all(self.client.clone());
        let kind = K::kind(&());
        let found = self.cluster.remembered(&kind, async {
            let found = match api.list(&ListParams::default()).await {
                Ok(mut list) => {
                    list.items.iter_mut().for_each(|item| item.meta_mut().managed_fields = None);
                    Some(list.items)
                }
                Err(kube::Error::Api(status)) if status.is_forbidden() => None,
                Err(error) => return Err(error),
            };
            text(&found)
        });
        parsed(&found.await?)
    }
}

/// Whether it is a valid name of an object: a DNS subdomain.
fn is_object_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_part =
        |part: &str| !part.is_empty() && part.chars().all(is_good) && !part.starts_with('-') && !part.ends_with('-');
    name.len() <= 253 && name.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PersistentVolume;
    use kube::api::PostParams;
    use serde_json::json;

    use super::{fixture::Surroundings, *};
    use crate::testkit::FakeApi;

    #[tokio::test]
    async fn classes_of_volumes_are_listed_once_for_all_names() {
        let api = FakeApi::new();
        let volume = json!({"metadata": {"name": "v"}, "spec": {"storageClassName": "disk"}});
        let volume: PersistentVolume = serde_json::from_value(volume).unwrap();
        Api::all(api.others()).create(&PostParams::default(), &volume).await.unwrap();
        let surroundings = Surroundings::new(&api);
        let world = surroundings.world();
        for (class, total) in [("disk", 1), ("a", 0), ("b", 0), ("disk", 1)] {
            let volumes = world.volumes_of_class(class).await.unwrap();
            assert_eq!(volumes.map(|volumes| volumes.total), Some(total), "{class}");
        }
        assert_eq!(api.lists("persistentvolumes"), 1);
    }

    #[test]
    fn name_with_a_path_is_refused() {
        for name in ["a", "a-b.c", "0"] {
            assert!(is_object_name(name), "{name}");
        }
        for name in ["", ".", "..", "../secrets/x", "a/b", "a?watch=1", "a#b", "a b", "A", "a%2fb", "-a", "a..b"] {
            assert!(!is_object_name(name), "{name}");
        }
        assert!(!is_object_name(&"a".repeat(254)));
    }
}

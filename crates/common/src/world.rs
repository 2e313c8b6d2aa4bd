//! What a pass may read: the children of its object, the users' ConfigMaps and Secrets, and single objects by name.
//!
//! # Requests
//!
//! Children, watched ConfigMaps and watched Secrets cost no request. Anything else is read by name and remembered for the
//! object: for [`RESYNC`] while it is Ready, for [`RETRY`] while it is not, so that a remedy is noticed soon. What is read of
//! the cluster is the same for all objects, so it is remembered for all of them, and read again before the user is called upon and
//! while something but children is awaited. Nobody caches all Secrets of a cluster.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams},
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    cache::Children,
    component::Sources,
    neighbour::{Neighbour, Neighbours},
};

/// How long a named read is good for while the object is Ready; each object is looked at again this often.
pub const RESYNC: Duration = Duration::from_secs(600);
/// How long a named read is good for while the object is not Ready.
pub const RETRY: Duration = Duration::from_secs(10);

/// The users' ConfigMaps and Secrets that are watched.
#[derive(Clone)]
pub struct Watched {
    /// Which ones are watched by name.
    pub sources: Sources,
    /// ConfigMaps, a store for each watch.
    pub config_maps: Vec<Store<ConfigMap>>,
    /// Secrets, a store for each watch.
    pub secrets: Vec<Store<Secret>>,
}

/// Named reads that are remembered for one object.
#[derive(Default)]
pub struct Reads(Mutex<Vec<Read>>);

/// What was read, as JSON text: that is small, and parsed by the pass that wants it.
struct Read {
    what: Box<str>,
    at: Instant,
    found: Box<str>,
}

/// What an object that is not there reads as.
const NOTHING: &str = "null";

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was read may be a Secret.
        f.debug_struct("Reads").finish_non_exhaustive()
    }
}

impl Reads {
    /// Forgets all reads, so that the next pass reads anew.
    pub fn forget(&self) {
        *self.all() = Vec::new();
    }

    fn recall(&self, what: &str, max_age: Duration) -> Option<Box<str>> {
        let all = self.all();
        let read = all.iter().find(|read| &*read.what == what && read.at.elapsed() < max_age);
        read.map(|read| read.found.clone())
    }

    /// Forgets a read that something newer has taken the place of.
    fn drop(&self, what: &str) {
        self.all().retain(|read| &*read.what != what);
    }

    fn keep(&self, what: &str, found: Box<str>) {
        let mut all = self.all();
        all.retain(|read| &*read.what != what);
        all.push(Read { what: what.into(), at: Instant::now(), found });
    }

    fn all(&self) -> MutexGuard<'_, Vec<Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads of the cluster that are remembered for all objects of the process. One pass reads, and the others wait for that.
#[derive(Default)]
pub struct ClusterReads(tokio::sync::Mutex<Vec<Read>>);

impl ClusterReads {
    /// Keeps only what is younger than this; `true` if something was not.
    pub(crate) async fn doubt(&self, age: Duration) -> bool {
        let mut all = self.0.lock().await;
        let before = all.len();
        all.retain(|read| read.at.elapsed() < age);
        all.len() < before
    }

    async fn remembered(
        &self,
        what: &str,
        read: impl Future<Output = kube::Result<Box<str>>>,
    ) -> kube::Result<Box<str>> {
        let mut all = self.0.lock().await;
        if let Some(read) = all.iter().find(|read| &*read.what == what && read.at.elapsed() < RESYNC) {
            return Ok(read.found.clone());
        }
        let found = read.await?;
        all.retain(|read| &*read.what != what);
        all.push(Read { what: what.into(), at: Instant::now(), found: found.clone() });
        Ok(found)
    }
}

/// What a pass may read.
pub struct World<'a> {
    /// The client of the process, for what the methods do not offer.
    pub client: &'a Client,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The children of the object, as the watches have seen them.
    pub children: &'a Children,
    /// The users' ConfigMaps and Secrets that are watched.
    pub watched: &'a Watched,
    /// The objects of other components that are watched.
    pub neighbours: &'a Neighbours,
    /// Reads of this object that are remembered.
    pub reads: &'a Reads,
    /// Reads of the cluster that all objects share.
    pub cluster: &'a ClusterReads,
    /// How old a remembered read of this object may be.
    pub max_age: Duration,
}

impl World<'_> {
    /// A ConfigMap of the object's namespace.
    pub async fn config_map(&self, name: &str) -> kube::Result<Option<ConfigMap>> {
        self.source(&self.watched.config_maps, self.watched.sources.config_maps, name).await
    }

    /// A Secret of the object's namespace.
    pub async fn secret(&self, name: &str) -> kube::Result<Option<Secret>> {
        self.source(&self.watched.secrets, self.watched.sources.secrets, name).await
    }

    /// What a watch has seen, else what a read finds or has just found. Where the name is watched, only an object that has no
    /// children yet makes a read: this watch may be behind the one that told of the object, and what is drawn in its first pass
    /// because the user had written nothing is not to be taken back.
    async fn source<K>(&self, stores: &[Store<K>], watched: &[&str], name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let reference = ObjectRef::new(name).within(self.namespace);
        let what = format!("{}/{name}", K::kind(&()));
        match stores.iter().find_map(|store| store.get(&reference)) {
            Some(seen) => {
                // An older read must not come back when the label goes.
                self.reads.drop(&what);
                Ok(Some((*seen).clone()))
            }
            None if watched.contains(&name) && !self.children.is_empty() => {
                self.reads.recall(&what, self.max_age).map_or(Ok(None), |found| parsed(&found))
            }
            None => self.get(name).await,
        }
    }

    /// An object of another component that this one refers to. Its kind must be among the component's neighbours.
    pub fn neighbour<K>(&self, name: &str) -> Neighbour<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.neighbours.find(self.namespace, name)
    }

    /// An object of the object's namespace, by name.
    pub async fn get<K>(&self, name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        self.remembered(&format!("{}/{name}", K::kind(&())), async { api.get_opt(name).await }).await
    }

    /// An object of the object's namespace whose kind is known only now. That there is none is remembered for longer: if one
    /// comes, whoever wants to make ours is told by a conflict.
    pub(crate) async fn get_any(&self, resource: &ApiResource, name: &str) -> kube::Result<Option<DynamicObject>> {
        let what = format!("{}/{name}", resource.kind);
        if self.reads.recall(&what, RESYNC).as_deref() == Some(NOTHING) {
            return Ok(None);
        }
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), self.namespace, resource);
        self.remembered(&what, async { api.get_opt(name).await }).await
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

    async fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        what: &str,
        read: impl Future<Output = kube::Result<Option<T>>>,
    ) -> kube::Result<Option<T>> {
        if let Some(found) = self.reads.recall(what, self.max_age) {
            return parsed(&found);
        }
        let found = read.await?;
        self.reads.keep(what, text(&found)?);
        Ok(found)
    }
}

fn text(found: &impl Serialize) -> kube::Result<Box<str>> {
    serde_json::to_string(found).map(String::into_boxed_str).map_err(kube::Error::SerdeError)
}

fn parsed<T: DeserializeOwned>(text: &str) -> kube::Result<T> {
    serde_json::from_str(text).map_err(kube::Error::SerdeError)
}

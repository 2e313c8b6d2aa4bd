//! What a pass may read: the children of its object, the users' ConfigMaps and Secrets, and single objects by name.
//!
//! # Requests
//!
//! Children, watched ConfigMaps and watched Secrets cost no request. Anything else is read by name and remembered for the
//! object: for [`RESYNC`] while it is Ready, for [`RETRY`] while it is not, so that a remedy is noticed soon. Nobody caches
//! all Secrets of a cluster.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
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
use serde_json::Value;
use tokio::time::Instant;

use crate::{cache::Children, component::Sources};

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
pub struct Reads(Mutex<HashMap<String, (Instant, Value)>>);

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was read may be a Secret.
        f.debug_struct("Reads").finish_non_exhaustive()
    }
}

impl Reads {
    /// Forgets all reads, so that the next pass reads anew.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn recall(&self, key: &str, max_age: Duration) -> Option<Value> {
        let reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reads.get(key).filter(|(at, _)| at.elapsed() < max_age).map(|(_, value)| value.clone())
    }

    /// Forgets a read that something newer has taken the place of.
    fn drop(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn keep(&self, key: String, value: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (Instant::now(), value));
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
    /// Reads of this object that are remembered.
    pub reads: &'a Reads,
    /// How old a remembered read may be.
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

    /// What a watch has seen, else nothing if the name is watched, else what a read finds.
    async fn source<K>(&self, stores: &[Store<K>], watched: &[&str], name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let reference = ObjectRef::new(name).within(self.namespace);
        match stores.iter().find_map(|store| store.get(&reference)) {
            Some(seen) => {
                // An older read must not come back when the label goes.
                self.reads.drop(&format!("{}/{name}", K::kind(&())));
                Ok(Some((*seen).clone()))
            }
            None if watched.contains(&name) => Ok(None),
            None => self.get(name).await,
        }
    }

    /// An object of the object's namespace, by name.
    pub async fn get<K>(&self, name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        self.remembered(format!("{}/{name}", K::kind(&())), async { api.get_opt(name).await }).await
    }

    /// An object of the object's namespace whose kind is known only now. That there is none is remembered for longer: if one
    /// comes, whoever wants to make ours is told by a conflict.
    pub(crate) async fn get_any(&self, resource: &ApiResource, name: &str) -> kube::Result<Option<DynamicObject>> {
        if self.reads.recall(&format!("{}/{name}", resource.kind), RESYNC) == Some(Value::Null) {
            return Ok(None);
        }
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), self.namespace, resource);
        self.remembered(format!("{}/{name}", resource.kind), async { api.get_opt(name).await }).await
    }

    /// All objects of a cluster-wide kind; `None` where the controller has no permission, as with a namespaced Role.
    pub async fn list_cluster<K>(&self) -> kube::Result<Option<Vec<K>>>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let api = Api::<K>::all(self.client.clone());
        self.remembered(format!("{}/", K::kind(&())), async {
            match api.list(&ListParams::default()).await {
                Ok(list) => Ok(Some(list.items)),
                Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        key: String,
        read: impl Future<Output = kube::Result<Option<T>>>,
    ) -> kube::Result<Option<T>> {
        if let Some(value) = self.reads.recall(&key, self.max_age) {
            return serde_json::from_value(value).map_err(kube::Error::SerdeError);
        }
        let found = read.await?;
        self.reads.keep(key, serde_json::to_value(&found).map_err(kube::Error::SerdeError)?);
        Ok(found)
    }
}

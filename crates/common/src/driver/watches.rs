//! The watches of a controller: they run from its start, on a standby too, so that a new leader has warm caches.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::memory::Memories;
use crate::{
    api::label,
    cache::{Arrived, Cache, Instance, Listed},
    component::Component,
    manifest::hash,
    neighbour::{self, Neighbours},
    process::{Process, Scope},
    world::Watched,
};

/// Objects to look at.
pub(super) type News<K> = mpsc::UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>;

/// What the watches fill.
pub(super) struct Caches<C: Component> {
    pub(super) objects: Store<DeserializeGuard<C::Kind>>,
    pub(super) children: Arc<Cache>,
    pub(super) watched: Watched,
    pub(super) neighbours: Neighbours,
    pub(super) memories: Arc<Memories>,
    /// Whether news are passed on.
    pub(super) leading: Arc<AtomicBool>,
}

/// The running watches; they end when this is dropped.
pub(super) struct Watches {
    tasks: JoinSet<()>,
    client: Client,
    cold: Vec<watch::Receiver<bool>>,
}

impl Watches {
    /// Starts all watches of a component.
    pub(super) fn start<C: Component>(process: &Process) -> (Self, Caches<C>, News<C::Kind>) {
        let mut watches = Self { tasks: JoinSet::new(), client: process.client.clone(), cold: Vec::new() };
        let (sender, news) = mpsc::unbounded_channel();
        let leading = Arc::new(AtomicBool::new(false));
        let herald = Herald::<C> { sender, leading: leading.clone() };
        let memories = Arc::new(Memories::default());
        let children = Arc::new(Cache::default());
        let namespaces = match &process.scope {
            Scope::Cluster => vec![None],
            Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
        };

        let (objects, writer) = reflector::store();
        watches.objects(&namespaces, writer, objects.clone(), herald.clone(), memories.clone());

        let ours = format!("{}={},{}={}", label::MANAGED_BY, label::STACK, label::COMPONENT, C::NAME);
        for child in C::children() {
            for namespace in &namespaces {
                let config = watcher::Config::default().labels(&ours).page_size(100);
                watches.children(namespace.clone(), child.resource.clone(), config, children.clone(), herald.clone());
            }
        }

        let sources = C::sources();
        let (config_maps, mut secrets) = (by_name(sources.config_maps), by_name(sources.secrets));
        let kinds = C::neighbours();
        if !kinds.is_empty() {
            secrets.push(watcher::Config::default().labels(&format!("{}=true", label::BINDING)));
        }
        let watched = Watched {
            sources,
            config_maps: watches.sources::<ConfigMap, C>(&namespaces, config_maps, &herald, &objects),
            secrets: watches.sources::<Secret, C>(&namespaces, secrets, &herald, &objects),
        };
        let kinds = kinds.into_iter().map(|kind| watches.neighbours::<C>(&namespaces, kind, &herald, &objects));
        let neighbours = Neighbours(kinds.collect());
        let caches = Caches { objects, children, watched, neighbours, memories, leading };
        (watches, caches, news)
    }

    /// Resolves when every watch has listed what there is.
    pub(super) async fn warm(&mut self) {
        for cold in &mut self.cold {
            // The sender goes only with its watch, and that only with the process.
            let _ = cold.wait_for(|warm| *warm).await;
        }
    }

    fn warming(&mut self) -> watch::Sender<bool> {
        let (warm, cold) = watch::channel(false);
        self.cold.push(cold);
        warm
    }

    /// Watches the custom resources themselves, in all namespaces into one store.
    fn objects<C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        mut writer: reflector::store::Writer<DeserializeGuard<C::Kind>>,
        objects: Store<DeserializeGuard<C::Kind>>,
        herald: Herald<C>,
        memories: Arc<Memories>,
    ) {
        let streams = namespaces.iter().cloned().map(|namespace| {
            let api = self.api::<DeserializeGuard<C::Kind>>(namespace.as_deref());
            let stream = events(api, watcher::Config::default()).map(|event| event.modify(lighten));
            stream.map(move |event| (namespace.clone(), event)).boxed()
        });
        let mut events = futures::stream::select_all(streams.collect::<Vec<_>>());
        let warm: HashMap<_, _> = namespaces.iter().map(|namespace| (namespace.clone(), self.warming())).collect();
        // The runner of passes waits until the store calls itself ready, which it does after a list of all namespaces at once.
        // There is none of that kind here; `warm` says the same.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        self.tasks.spawn(async move {
            let mut seen = HashMap::new();
            let mut listed: HashMap<Option<String>, HashSet<String>> = HashMap::new();
            while let Some((namespace, event)) = events.next().await {
                if let Event::InitApply(object) = &event {
                    listed.entry(namespace.clone()).or_default().extend(object.meta().uid.clone());
                }
                // Each namespace lists for itself, so its list must not replace the whole store.
                let gone = match event {
                    Event::Init => {
                        listed.remove(&namespace);
                        continue;
                    }
                    Event::Apply(object) | Event::InitApply(object) => {
                        let (reference, is_news) = (ObjectRef::from_obj(&object), is_news(&mut seen, &object));
                        // First the store, then the news: a pass may begin at once, and must not see what was there before.
                        writer.apply_watcher_event(&Event::Apply(object));
                        if is_news {
                            herald.tell(reference);
                        }
                        continue;
                    }
                    Event::Delete(object) => vec![Arc::new(object)],
                    Event::InitDone => {
                        let listed = listed.remove(&namespace).unwrap_or_default();
                        if let Some(warm) = warm.get(&namespace) {
                            warm.send_replace(true);
                        }
                        objects.state_filter(|object| {
                            let meta = object.meta();
                            let covered = namespace.is_none() || meta.namespace == namespace;
                            covered && meta.uid.as_ref().is_none_or(|uid| !listed.contains(uid))
                        })
                    }
                };
                for object in gone {
                    let uid = object.meta().uid.clone().unwrap_or_default();
                    seen.remove(&uid);
                    memories.forget(&uid);
                    writer.apply_watcher_event(&Event::Delete((*object).clone()));
                }
            }
        });
    }

    fn children<C: Component>(
        &mut self,
        namespace: Option<String>,
        resource: ApiResource,
        config: watcher::Config,
        cache: Arc<Cache>,
        herald: Herald<C>,
    ) {
        let api: Api<Arrived> = match &namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let mut stream = attempts(api, config).boxed();
        let warm = self.warming();
        self.tasks.spawn(async move {
            let mut listed = Listed::within(namespace);
            while let Some(event) = stream.next().await {
                let event = match event {
                    Ok(event) => event,
                    Err(error) => {
                        // A kind that the cluster does not have is no reason not to start; it is picked up when it appears.
                        if is_absent(&error) && !warm.send_replace(true) {
                            tracing::warn!(
                                "the cluster has no {}: its CustomResourceDefinition is missing",
                                resource.kind
                            );
                        }
                        continue;
                    }
                };
                let done = matches!(event, Event::InitDone);
                for instance in cache.take(&resource.kind, event, &mut listed) {
                    herald.tell(instance_ref::<C>(&instance));
                }
                if done {
                    warm.send_replace(true);
                }
            }
        });
    }

    /// Watches what users and neighbours have made; news of one go to all objects of its namespace.
    fn sources<K, C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        configs: Vec<watcher::Config>,
        herald: &Herald<C>,
        objects: &Store<DeserializeGuard<C::Kind>>,
    ) -> Vec<Store<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
        K: std::fmt::Debug + Send + Sync + 'static,
    {
        let mut stores = Vec::new();
        for config in configs {
            for namespace in namespaces {
                let (store, writer) = reflector::store();
                stores.push(store);
                let stream = attempts(self.api::<K>(namespace.as_deref()), config.clone());
                self.tell_of(stream, writer, namespace.clone(), herald.clone(), objects.clone(), |_| {});
            }
        }
        stores
    }

    /// Watches the objects of another component.
    fn neighbours<C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        resource: ApiResource,
        herald: &Herald<C>,
        objects: &Store<DeserializeGuard<C::Kind>>,
    ) -> neighbour::Watched {
        let is_absent = Arc::new(AtomicBool::new(false));
        let mut stores = Vec::new();
        for namespace in namespaces {
            let writer = reflector::store::Writer::<DynamicObject>::new(resource.clone());
            stores.push(writer.as_reader());
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
                None => Api::all_with(self.client.clone(), &resource),
            };
            let stream = attempts(api, watcher::Config::default());
            let absent = is_absent.clone();
            let note = move |is_there: bool| absent.store(!is_there, Ordering::Relaxed);
            self.tell_of(stream, writer, namespace.clone(), herald.clone(), objects.clone(), note);
        }
        neighbour::Watched { resource, stores, is_absent }
    }

    /// Keeps what a watch tells, and passes the news on to all objects of its namespace. `note` hears whether the kind is there.
    fn tell_of<K, C: Component>(
        &mut self,
        stream: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        mut writer: reflector::store::Writer<K>,
        namespace: Option<String>,
        herald: Herald<C>,
        objects: Store<DeserializeGuard<C::Kind>>,
        note: impl Fn(bool) + Send + 'static,
    ) where
        K: Resource<DynamicType: Clone + Eq + std::hash::Hash + Send + Sync> + Clone + Send + Sync + 'static,
    {
        let warm = self.warming();
        self.tasks.spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(event) = stream.next().await {
                let event = match event {
                    Ok(event) => event.modify(lighten),
                    Err(error) => {
                        if is_absent(&error) {
                            note(false);
                            warm.send_replace(true);
                        }
                        continue;
                    }
                };
                writer.apply_watcher_event(&event);
                match event {
                    Event::Apply(source) | Event::Delete(source) => {
                        herald.tell_namespace(source.namespace().as_deref(), &objects);
                    }
                    // A list is in the store only now, and what it lacks has gone.
                    Event::InitDone => {
                        note(true);
                        warm.send_replace(true);
                        herald.tell_namespace(namespace.as_deref(), &objects);
                    }
                    Event::Init | Event::InitApply(_) => {}
                }
            }
        });
    }

    fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

/// Watches of what has the users' label, and of each of these names.
fn by_name(names: &[&str]) -> Vec<watcher::Config> {
    let labelled = watcher::Config::default().labels(&format!("{}=true", label::CONFIG));
    let named = names.iter().map(|name| watcher::Config::default().fields(&format!("metadata.name={name}")));
    std::iter::once(labelled).chain(named).collect()
}

/// A watch that goes on after errors, less and less often while they last.
fn events<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    attempts(api, config).filter_map(|event| std::future::ready(event.ok()))
}

/// The same, with the errors.
fn attempts<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let what = api.resource_url().to_owned();
    watcher(api, config).default_backoff().inspect_err(move |error| {
        if !is_absent(error) {
            tracing::warn!(%error, "the watch of {what} broke; it is begun again");
        }
    })
}

/// Takes off what nobody here reads, and what is often the largest part: who set which field, and what `kubectl` applied.
fn lighten(object: &mut impl Resource) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Whether the cluster does not have the kind.
fn is_absent(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

/// Passes news on while this process leads.
struct Herald<C: Component> {
    sender: mpsc::UnboundedSender<ObjectRef<DeserializeGuard<C::Kind>>>,
    leading: Arc<AtomicBool>,
}

impl<C: Component> Clone for Herald<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), leading: self.leading.clone() }
    }
}

impl<C: Component> Herald<C> {
    fn tell(&self, object: ObjectRef<DeserializeGuard<C::Kind>>) {
        if self.leading.load(Ordering::SeqCst) {
            // The receiver goes only with the process.
            let _ = self.sender.send(object);
        }
    }

    /// Tells all objects of a namespace, or of all.
    fn tell_namespace(&self, namespace: Option<&str>, objects: &Store<DeserializeGuard<C::Kind>>) {
        let there =
            |object: &DeserializeGuard<C::Kind>| namespace.is_none() || object.meta().namespace.as_deref() == namespace;
        for object in objects.state_filter(there) {
            self.tell(ObjectRef::from_obj(&*object));
        }
    }
}

fn instance_ref<C: Component>(instance: &Instance) -> ObjectRef<DeserializeGuard<C::Kind>> {
    ObjectRef::new(&instance.name).within(&instance.namespace)
}

/// Whether more than the status of an object has changed.
fn is_news<K: Resource>(seen: &mut HashMap<String, String>, object: &K) -> bool {
    let meta = object.meta();
    let state = hash(&serde_json::json!([meta.generation, meta.labels, meta.annotations, meta.deletion_timestamp]));
    let Some(uid) = meta.uid.clone() else { return true };
    seen.insert(uid, state.clone()).is_none_or(|before| before != state)
}

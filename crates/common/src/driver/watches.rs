//! The watches of a controller: they run from its start, on a standby too, so that a new leader has warm caches.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject},
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use super::{
    keep::{attempts, is_absent, is_refused, keep},
    memory::Memories,
    warmth::{Gauge, Warmth},
};
use crate::{
    api::{GROUP, label},
    cache::{Arrived, Cache, Instance, Listed},
    component::Component,
    manifest::hash,
    neighbour::{self, Neighbours},
    process::{Process, Scope},
    seen::Seen,
    world::Watched,
};

/// Objects to look at.
pub(super) type News<K> = mpsc::UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>;

/// How many objects that users write a list brings at once: each may be as large as the API server permits.
const PAGE: u32 = 50;
/// How many characters are kept of what is wrong with an object that does not parse.
const LONGEST_ERROR: usize = 500;
/// How many bytes of labels are kept of an object.
const MOST_LABELS: usize = 4 << 10;

/// What the watches fill.
pub(super) struct Caches<C: Component> {
    pub(super) objects: Store<DeserializeGuard<C::Kind>>,
    pub(super) children: Arc<Cache>,
    pub(super) watched: Watched,
    pub(super) neighbours: Neighbours,
    pub(super) memories: Arc<Memories>,
    /// Which namespaces can be served.
    pub(super) warmth: Warmth,
    /// Whether news are passed on.
    pub(super) leading: Arc<AtomicBool>,
}

/// The running watches; they end when this is dropped.
pub(super) struct Watches {
    tasks: JoinSet<std::convert::Infallible>,
    client: Client,
    warmth: Warmth,
}

impl Watches {
    /// Starts all watches of a component.
    pub(super) fn start<C: Component>(process: &Process) -> (Self, Caches<C>, News<C::Kind>) {
        let warmth = Warmth::new();
        let mut watches = Self { tasks: JoinSet::new(), client: process.client.clone(), warmth: warmth.clone() };
        let (sender, news) = mpsc::unbounded_channel();
        let leading = Arc::new(AtomicBool::new(false));
        let memories = Arc::new(Memories::default());
        let children = Arc::new(Cache::default());
        let namespaces = match &process.scope {
            Scope::Cluster => vec![None],
            Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
        };

        let (objects, writer) = reflector::store();
        let herald = Herald::<C> { sender, leading: leading.clone(), objects: objects.clone() };
        watches.objects(&namespaces, writer, &herald, &memories);

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
            config_maps: watches.sources::<ConfigMap, C>(&namespaces, config_maps, &herald),
            secrets: watches.sources::<Secret, C>(&namespaces, secrets, &herald),
        };
        let kinds = kinds.into_iter().map(|kind| watches.neighbours::<C>(&namespaces, kind, &herald));
        let neighbours = Neighbours(kinds.collect());
        let caches = Caches { objects, children, watched, neighbours, memories, warmth, leading };
        (watches, caches, news)
    }

    /// Resolves if a watch ends, which none does by itself.
    pub(super) async fn ended(&mut self) -> Option<JoinError> {
        match self.tasks.join_next().await {
            Some(Ok(never)) => match never {},
            Some(Err(error)) => Some(error),
            None => None,
        }
    }

    /// Watches the custom resources themselves, in all namespaces into one store.
    fn objects<C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        mut writer: reflector::store::Writer<DeserializeGuard<C::Kind>>,
        herald: &Herald<C>,
        memories: &Arc<Memories>,
    ) {
        // The runner of passes waits until the store calls itself ready, which it does after a list of all namespaces at once.
        // There is none of that kind here; `warmth` says the same.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let gauges: HashMap<_, _> =
            namespaces.iter().map(|namespace| (namespace.clone(), self.warmth.gauge(namespace.clone()))).collect();
        let apis: Vec<_> = namespaces
            .iter()
            .map(|namespace| (namespace.clone(), self.api::<DeserializeGuard<C::Kind>>(namespace.as_deref())))
            .collect();
        let begin = move || {
            let streams = apis.iter().cloned().map(|(namespace, api)| {
                let stream = attempts(api, watcher::Config::default().page_size(PAGE));
                stream.map(move |event| (namespace.clone(), event))
            });
            futures::stream::select_all(streams.collect::<Vec<_>>()).boxed()
        };
        let (herald, memories) = (herald.clone(), memories.clone());
        let mut listing: HashMap<Option<String>, Listing> = HashMap::new();
        let mut seen = HashMap::new();
        let kind = C::Kind::kind(&());
        self.tasks.spawn(keep(kind.into_owned(), begin, move |(namespace, event)| {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    if let Some(gauge) = gauges.get(&namespace).filter(|_| is_refused(&error)) {
                        gauge.refused();
                    }
                    return;
                }
            };
            let is_listed = matches!(event, Event::InitApply(_));
            // Each namespace lists for itself, so its list must not replace the whole store.
            let gone = match event {
                Event::Init => {
                    listing.insert(namespace, Listing::default());
                    return;
                }
                Event::Apply(mut object) | Event::InitApply(mut object) => {
                    let reference = ObjectRef::from_obj(&object);
                    if is_listed {
                        listing.entry(namespace).or_default().uids.extend(object.meta().uid.clone());
                        if herald.objects.get(&reference).is_some_and(|known| is_older(object.meta(), known.meta())) {
                            // The cluster was restored from a backup: what is remembered is of a time that never was.
                            let uid = object.meta().uid.clone().unwrap_or_default();
                            memories.forget(&uid);
                            seen.remove(&uid);
                        }
                    }
                    let is_news = is_news(&mut seen, &object);
                    lighten(&mut object);
                    if let Err(invalid) = &mut object.0 {
                        // It may quote what is wrong, whatever its length.
                        invalid.error = invalid.error.chars().take(LONGEST_ERROR).collect();
                    }
                    // First the store, then the news: a pass may begin at once, and must not see what was there before.
                    writer.apply_watcher_event(&Event::Apply(object));
                    if is_news {
                        herald.tell(reference);
                    }
                    return;
                }
                Event::Delete(object) => vec![Arc::new(object)],
                Event::InitDone => {
                    let listed = listing.remove(&namespace).unwrap_or_default();
                    if gauges.get(&namespace).is_some_and(Gauge::warm) {
                        herald.tell_namespace(namespace.as_deref());
                    }
                    herald.objects.state_filter(|object| {
                        let meta = object.meta();
                        let covered = namespace.is_none() || meta.namespace == namespace;
                        covered && meta.uid.as_ref().is_none_or(|uid| !listed.uids.contains(uid))
                    })
                }
            };
            for object in gone {
                let uid = object.meta().uid.clone().unwrap_or_default();
                seen.remove(&uid);
                memories.forget(&uid);
                writer.apply_watcher_event(&Event::Delete((*object).clone()));
            }
        }));
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
        let gauge = self.warmth.gauge(namespace.clone());
        let mut listed = Listed::within(namespace.clone());
        let begin = move || attempts(api.clone(), config.clone());
        self.tasks.spawn(keep(resource.kind.clone(), begin, move |event| {
            let event = match event {
                Ok(event) => event,
                Err(error) => return herald.hear(&error, &gauge, namespace.as_deref()),
            };
            let done = matches!(event, Event::InitDone);
            for instance in cache.take(&resource.kind, event, &mut listed) {
                herald.tell(instance_ref::<C>(&instance));
            }
            if done && gauge.warm() {
                herald.tell_namespace(namespace.as_deref());
            }
        }));
    }

    /// Watches which of the users' and neighbours' objects there are, and in which version; news of one go to all objects of its
    /// namespace. What is in them is read by whoever refers to them.
    fn sources<K, C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        configs: Vec<watcher::Config>,
        herald: &Herald<C>,
    ) -> Vec<Arc<Seen>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
        K: std::fmt::Debug + Send + Sync + 'static,
    {
        let mut all = Vec::new();
        for config in configs {
            for namespace in namespaces {
                let seen = Arc::new(Seen::default());
                all.push(seen.clone());
                let (api, config) =
                    (self.api::<PartialObjectMeta<K>>(namespace.as_deref()), config.clone().page_size(PAGE));
                let begin = move || attempts(api.clone(), config.clone());
                let (gauge, namespace, herald) =
                    (self.warmth.gauge(namespace.clone()), namespace.clone(), herald.clone());
                self.tasks.spawn(keep(K::kind(&()).into_owned(), begin, move |event| match event {
                    Ok(event) => {
                        seen.take(&event);
                        herald.pass_on(&event, &gauge, namespace.as_deref());
                    }
                    Err(error) => herald.hear(&error, &gauge, namespace.as_deref()),
                }));
            }
        }
        all
    }

    /// Watches the objects of another component.
    fn neighbours<C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        resource: ApiResource,
        herald: &Herald<C>,
    ) -> neighbour::Watched {
        let absent = Arc::new(AtomicBool::new(false));
        let mut stores = Vec::new();
        for namespace in namespaces {
            let mut writer = reflector::store::Writer::<DynamicObject>::new(resource.clone());
            stores.push(writer.as_reader());
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
                None => Api::all_with(self.client.clone(), &resource),
            };
            let begin = move || attempts(api.clone(), watcher::Config::default().page_size(PAGE));
            let (gauge, namespace, herald) = (self.warmth.gauge(namespace.clone()), namespace.clone(), herald.clone());
            let is_absent_now = absent.clone();
            self.tasks.spawn(keep(resource.kind.clone(), begin, move |event| match event {
                Ok(event) => {
                    let event = event.modify(lighten);
                    writer.apply_watcher_event(&event);
                    if matches!(event, Event::InitDone) {
                        is_absent_now.store(false, Ordering::Relaxed);
                    }
                    herald.pass_on(&event, &gauge, namespace.as_deref());
                }
                Err(error) => {
                    if is_absent(&error) {
                        is_absent_now.store(true, Ordering::Relaxed);
                    }
                    herald.hear(&error, &gauge, namespace.as_deref());
                }
            }));
        }
        neighbour::Watched { resource, stores, is_absent: absent }
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

/// What a list has brought so far.
#[derive(Default)]
struct Listing {
    uids: HashSet<String>,
}

/// Watches of what has the users' label, and of each of these names.
fn by_name(names: &[&str]) -> Vec<watcher::Config> {
    let labelled = watcher::Config::default().labels(&format!("{}=true", label::CONFIG));
    let named = names.iter().map(|name| watcher::Config::default().fields(&format!("metadata.name={name}")));
    std::iter::once(labelled).chain(named).collect()
}

/// Takes off what nobody here reads, and what may be the largest part: who set which field, and what others annotate.
fn lighten(object: &mut impl Resource) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    let is_ours = |key: &str| key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'));
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| is_ours(key));
    }
    if let Some(labels) = &mut meta.labels
        && labels.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MOST_LABELS
    {
        labels.retain(|key, _| is_ours(key));
    }
}

/// Passes news on while this process leads.
struct Herald<C: Component> {
    sender: mpsc::UnboundedSender<ObjectRef<DeserializeGuard<C::Kind>>>,
    leading: Arc<AtomicBool>,
    objects: Store<DeserializeGuard<C::Kind>>,
}

impl<C: Component> Clone for Herald<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), leading: self.leading.clone(), objects: self.objects.clone() }
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
    fn tell_namespace(&self, namespace: Option<&str>) {
        if !self.leading.load(Ordering::SeqCst) {
            return;
        }
        let there =
            |object: &DeserializeGuard<C::Kind>| namespace.is_none() || object.meta().namespace.as_deref() == namespace;
        for object in self.objects.state_filter(there) {
            self.tell(ObjectRef::from_obj(&*object));
        }
    }

    /// Passes on what happened to something that all objects of its namespace may refer to.
    fn pass_on<K: Resource>(&self, event: &Event<K>, gauge: &Gauge, namespace: Option<&str>) {
        match event {
            Event::Apply(source) | Event::Delete(source) => self.tell_namespace(source.meta().namespace.as_deref()),
            // A list is in the store only now, and what it lacks has gone.
            Event::InitDone => {
                gauge.warm();
                self.tell_namespace(namespace);
            }
            Event::Init | Event::InitApply(_) => {}
        }
    }

    /// Notes why a watch does not list. A kind that the cluster does not have is no reason not to start; it is picked up when it
    /// appears.
    fn hear(&self, error: &watcher::Error, gauge: &Gauge, namespace: Option<&str>) {
        if is_absent(error) {
            if gauge.warm() {
                self.tell_namespace(namespace);
            }
        } else if is_refused(error) {
            gauge.refused();
        }
    }
}

fn instance_ref<C: Component>(instance: &Instance) -> ObjectRef<DeserializeGuard<C::Kind>> {
    ObjectRef::new(&instance.name).within(&instance.namespace)
}

/// Whether more than the status of an object has changed.
fn is_news<K: Resource>(seen: &mut HashMap<String, String>, object: &K) -> bool {
    let meta = object.meta();
    let is_written_by_hand = |(key, _): &(&String, &String)| *key != "kubectl.kubernetes.io/last-applied-configuration";
    let annotations: Vec<_> = meta.annotations.iter().flatten().filter(is_written_by_hand).collect();
    let state = hash(&serde_json::json!([meta.generation, meta.labels, annotations, meta.deletion_timestamp]));
    let Some(uid) = meta.uid.clone() else { return true };
    seen.insert(uid, state.clone()).is_none_or(|before| before != state)
}

/// Whether the object is in a version before the one that is known.
fn is_older(meta: &ObjectMeta, known: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_deref()?.parse::<u64>().ok();
    meta.uid == known.uid && version(meta) < version(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::FakeApi;

    #[tokio::test]
    async fn a_watch_that_ends_is_noticed() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        let dead = tasks.spawn(std::future::pending());
        let mut watches = Watches { tasks, client: FakeApi::new().client(), warmth: Warmth::new() };
        dead.abort();
        assert!(watches.ended().await.is_some());
    }

    #[test]
    fn what_others_annotate_is_not_kept() {
        let annotations =
            [("temporal-stack.dev/paused", "true"), ("temporal-stack.dev.example.com/a", ""), ("huge", "x")];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels = (0..1000).map(|number| (format!("label-{number}"), "v".to_owned()));
        let mut map = ConfigMap {
            metadata: ObjectMeta {
                annotations: Some(annotations.into()),
                labels: Some(labels.collect()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let mut seen = HashMap::new();
        map.metadata.uid = Some("u".to_owned());
        assert!(is_news(&mut seen, &map));
        assert!(!is_news(&mut seen, &map));
        if let Some(annotations) = &mut map.metadata.annotations {
            annotations.insert("huge".to_owned(), "y".to_owned());
        }
        // It is news nevertheless: people touch an object to have it looked at.
        assert!(is_news(&mut seen, &map));
        lighten(&mut map);
        assert_eq!(map.metadata.annotations.unwrap().len(), 1);
        assert!(map.metadata.labels.unwrap().is_empty());
    }
}

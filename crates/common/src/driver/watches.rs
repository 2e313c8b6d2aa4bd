//! The watches of a controller: they run from the start, also on a standby, so that a new leader has warm caches.

mod around;
mod light;
mod notifier;
mod objects;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject},
    core::{DeserializeGuard, DynamicResourceScope, PartialObjectMeta},
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

use self::{
    light::{Sizes, empty_large, lighten},
    notifier::Notifier,
    objects::Objects,
};
use super::{
    keep::{attempts, is_absent, keep, timeless_attempts},
    memory::Memories,
    warmth::Warmth,
};
use crate::{
    api::label,
    cache::{Arrived, Cache, Listed},
    component::Component,
    metadata::Timeless,
    neighbour::{self, Neighbours},
    process::{Process, Scope},
    seen::SeenVersions,
    surroundings::Surroundings,
    world::WatchedSources,
};

/// Objects that need a pass.
pub(super) type News<K> = mpsc::UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>;

/// The page size of lists: each object may be as large as the API server permits, a megabyte and a half.
const PAGE: u32 = 20;

/// The caches that the watches fill.
pub(super) struct Caches<C: Component> {
    pub(super) objects: Store<DeserializeGuard<C::Kind>>,
    pub(super) children: Arc<Cache>,
    pub(super) watched: WatchedSources,
    pub(super) neighbours: Neighbours,
    pub(super) surroundings: Surroundings,
    pub(super) memories: Arc<Memories>,
    /// Which namespaces can be served.
    pub(super) warmth: Warmth,
    /// Whether events are passed on.
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
        let notifier = Notifier::<C> { sender, leading: leading.clone(), objects: objects.clone() };
        watches.objects(&namespaces, writer, &notifier, &memories);

        let ours = format!("{}={},{}={}", label::MANAGED_BY, label::STACK, label::COMPONENT, C::NAME);
        let crate::watches::Watches { children: kinds, sources, neighbours, surroundings, is_configured, .. } =
            C::watches();
        for child in kinds {
            for namespace in &namespaces {
                let config = watcher::Config::default().labels(&ours).page_size(PAGE);
                watches.children(namespace.clone(), child.resource.clone(), config, children.clone(), notifier.clone());
            }
        }

        let named = |names| if is_configured { by_name(names) } else { Vec::new() };
        let (config_maps, mut secrets) = (named(sources.config_maps), named(sources.secrets));
        if is_configured && !neighbours.is_empty() {
            secrets.push(watcher::Config::default().labels(&format!("{}=true", label::BINDING)));
        }
        let watched = WatchedSources {
            sources,
            config_maps: watches.sources::<ConfigMap, C>(&namespaces, config_maps, &notifier),
            secrets: watches.sources::<Secret, C>(&namespaces, secrets, &notifier),
        };
        let neighbours = neighbours.into_iter().map(|kind| watches.neighbours::<C>(&namespaces, kind, &notifier));
        let neighbours = Neighbours(neighbours.collect());
        let surroundings = watches.surroundings::<C>(&namespaces, &surroundings, &notifier);
        let caches = Caches { objects, children, watched, neighbours, surroundings, memories, warmth, leading };
        (watches, caches, news)
    }

    /// Resolves if a watch ends, which never happens by itself.
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
        writer: reflector::store::Writer<DeserializeGuard<C::Kind>>,
        notifier: &Notifier<C>,
        memories: &Arc<Memories>,
    ) {
        let gauges = namespaces.iter().map(|namespace| (namespace.clone(), self.warmth.gauge(namespace.clone())));
        let mut objects = Objects::new(writer, notifier.clone(), memories.clone(), gauges.collect());
        let apis: Vec<_> = namespaces
            .iter()
            .map(|namespace| (namespace.clone(), self.api::<Timeless<DeserializeGuard<C::Kind>>>(namespace.as_deref())))
            .collect();
        let begin = move || {
            let streams = apis.iter().cloned().map(|(namespace, api)| {
                let stream = timeless_attempts(api, watcher::Config::default().page_size(PAGE));
                stream.map(move |event| (namespace.clone(), event))
            });
            futures::stream::select_all(streams.collect::<Vec<_>>()).boxed()
        };
        let kind = C::Kind::kind(&()).into_owned();
        self.tasks.spawn(keep(kind, begin, move |(namespace, event)| objects.take(namespace, event)));
    }

    fn children<C: Component>(
        &mut self,
        namespace: Option<String>,
        resource: ApiResource,
        config: watcher::Config,
        cache: Arc<Cache>,
        notifier: Notifier<C>,
    ) {
        let api = self.api_with::<Arrived>(namespace.as_deref(), &resource);
        let gauge = self.warmth.gauge(namespace.clone());
        let mut listed = Listed::within(namespace.clone());
        let begin = move || attempts(api.clone(), config.clone());
        self.tasks.spawn(keep(resource.kind.clone(), begin, move |event| {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    let is_news = is_absent(&error) && cache.note_kind(&resource.kind, true);
                    notifier.hear(&error, &gauge, namespace.as_deref());
                    if is_news {
                        notifier.notify_namespace(namespace.as_deref());
                    }
                    return;
                }
            };
            let done = matches!(event, Event::InitDone);
            let has_appeared = done && cache.note_kind(&resource.kind, false);
            for instance in cache.take(&resource.kind, event, &mut listed) {
                notifier.notify(ObjectRef::new(&instance.name).within(&instance.namespace));
            }
            if (done && gauge.warm()) || has_appeared {
                notifier.notify_namespace(namespace.as_deref());
            }
        }));
    }

    /// Watches names and versions of the users' and neighbours' objects; a change triggers a pass for all objects of its
    /// namespace. Their content is read by the passes that refer to them.
    fn sources<K, C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        configs: Vec<watcher::Config>,
        notifier: &Notifier<C>,
    ) -> Vec<Arc<SeenVersions>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
        K: std::fmt::Debug + Send + Sync + 'static,
    {
        let mut all = Vec::new();
        for config in configs {
            for namespace in namespaces {
                let seen = Arc::new(SeenVersions::default());
                all.push(seen.clone());
                let (api, config) =
                    (self.api::<Timeless<PartialObjectMeta<K>>>(namespace.as_deref()), config.clone().page_size(PAGE));
                let begin = move || timeless_attempts(api.clone(), config.clone());
                let (gauge, namespace, notifier) =
                    (self.warmth.gauge(namespace.clone()), namespace.clone(), notifier.clone());
                self.tasks.spawn(keep(K::kind(&()).into_owned(), begin, move |event| match event {
                    Ok(event) => {
                        seen.take(&event);
                        notifier.pass_on(&event, &gauge, namespace.as_deref());
                    }
                    Err(error) => notifier.hear(&error, &gauge, namespace.as_deref()),
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
        notifier: &Notifier<C>,
    ) -> neighbour::WatchedKind {
        let absent = Arc::new(AtomicBool::new(false));
        let mut stores = Vec::new();
        for namespace in namespaces {
            let mut writer = reflector::store::Writer::<DynamicObject>::new(resource.clone());
            stores.push(writer.as_reader());
            let api = self.api_with::<Timeless<DynamicObject>>(namespace.as_deref(), &resource);
            let begin = move || timeless_attempts(api.clone(), watcher::Config::default().page_size(PAGE));
            let (gauge, namespace, notifier) =
                (self.warmth.gauge(namespace.clone()), namespace.clone(), notifier.clone());
            let is_absent_now = absent.clone();
            let mut sizes = Sizes::default();
            self.tasks.spawn(keep(resource.kind.clone(), begin, move |event| match event {
                Ok(event) => {
                    match &event {
                        Event::Init => sizes = Sizes::default(),
                        Event::Delete(object) => sizes.remove(&object.metadata),
                        Event::InitApply(_) | Event::Apply(_) | Event::InitDone => {}
                    }
                    let is_deletion = matches!(event, Event::Delete(_));
                    let event = event.modify(lighten);
                    let event =
                        if is_deletion { event } else { event.modify(|object| empty_large(object, &mut sizes)) };
                    writer.apply_watcher_event(&event);
                    if matches!(event, Event::InitDone) {
                        is_absent_now.store(false, Ordering::Relaxed);
                    }
                    notifier.pass_on(&event, &gauge, namespace.as_deref());
                }
                Err(error) => {
                    if is_absent(&error) {
                        is_absent_now.store(true, Ordering::Relaxed);
                    }
                    notifier.hear(&error, &gauge, namespace.as_deref());
                }
            }));
        }
        neighbour::WatchedKind { resource, stores, is_absent: absent }
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

    fn api_with<K>(&self, namespace: Option<&str>, resource: &ApiResource) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

/// Watches of the objects with the users' label, and of each of these names.
fn by_name(names: &[&str]) -> Vec<watcher::Config> {
    let labelled = watcher::Config::default().labels(&format!("{}=true", label::CONFIG));
    let named = names.iter().map(|name| watcher::Config::default().fields(&format!("metadata.name={name}")));
    std::iter::once(labelled).chain(named).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::{objects::is_news, *};
    use crate::testkit::FakeApi;

    #[tokio::test]
    async fn ended_watch_is_noticed() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        let dead = tasks.spawn(std::future::pending());
        let mut watches = Watches { tasks, client: FakeApi::new().client(), warmth: Warmth::new() };
        dead.abort();
        assert!(watches.ended().await.is_some());
    }

    #[test]
    fn foreign_annotations_are_not_kept() {
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

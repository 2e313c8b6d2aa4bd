//! Watches of objects that belong to others, each reduced to what the component reads.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kube::{
    api::DynamicObject,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};

use super::{
    PAGE, Watches,
    light::{Sizes, empty_large},
    notifier::Notifier,
};
use crate::{
    component::Component,
    driver::{
        keep::{is_absent, is_refused, keep, timeless_attempts},
        warmth::Gauge,
    },
    surroundings::{Place, State, Surrounding, Surroundings, WatchedSurrounding},
};

impl Watches {
    /// Watches objects of others, of all these kinds.
    pub(super) fn surroundings<C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        kinds: &[Surrounding],
        notifier: &Notifier<C>,
    ) -> Surroundings {
        Surroundings(kinds.iter().map(|kind| self.around::<C>(namespaces, kind, notifier)).collect())
    }

    fn around<C: Component>(
        &mut self,
        namespaces: &[Option<String>],
        surrounding: &Surrounding,
        notifier: &Notifier<C>,
    ) -> WatchedSurrounding {
        let Surrounding { resource, labels, place, .. } = surrounding;
        let everywhere = [None];
        let namespaces = if *place == Place::Served { namespaces } else { &everywhere };
        let state = Arc::new(Mutex::new(State::default()));
        let mut stores = Vec::new();
        for namespace in namespaces {
            let writer = Writer::<DynamicObject>::new(resource.clone());
            stores.push(writer.as_reader());
            let api = self.api_with(namespace.as_deref(), resource);
            let config = watcher::Config::default().labels(labels).page_size(PAGE);
            let begin = move || timeless_attempts(api.clone(), config.clone()).boxed();
            let mut taking = Taking {
                known: writer.as_reader(),
                writer,
                sizes: Sizes::default(),
                surrounding: surrounding.clone(),
                state: state.clone(),
                gauge: self.warmth.gauge(namespace.clone()),
                notifier: notifier.clone(),
                namespace: namespace.clone(),
            };
            self.tasks.spawn(keep(resource.kind.clone(), begin, move |event| taking.take(event)));
        }
        WatchedSurrounding { resource: resource.clone(), place: *place, stores, state }
    }
}

/// The state of a watch between two events.
struct Taking<C: Component> {
    writer: Writer<DynamicObject>,
    known: Store<DynamicObject>,
    sizes: Sizes,
    surrounding: Surrounding,
    state: Arc<Mutex<State>>,
    gauge: Gauge,
    notifier: Notifier<C>,
    /// The namespace that is watched; `None` stands for all.
    namespace: Option<String>,
}

impl<C: Component> Taking<C> {
    fn take(&mut self, event: watcher::Result<Event<DynamicObject>>) {
        match event {
            Ok(event) => self.store(event),
            // Neither prevents the start: the component reports it, and the objects are known when they can be listed.
            Err(error) if is_absent(&error) => self.give_up(State::Absent),
            Err(error) if is_refused(&error) => self.give_up(State::Refused),
            Err(_) => {}
        }
    }

    fn store(&mut self, event: Event<DynamicObject>) {
        let concerned = match &event {
            Event::Init => {
                self.sizes = Sizes::default();
                None
            }
            Event::InitApply(_) | Event::InitDone => None,
            Event::Apply(object) | Event::Delete(object) => Some(object.clone()),
        };
        let is_deletion = matches!(event, Event::Delete(_));
        let is_list = matches!(event, Event::InitDone);
        if let (true, Some(object)) = (is_deletion, &concerned) {
            self.sizes.remove(&object.metadata);
        }
        let (reduce, sizes) = (self.surrounding.reduce, &mut self.sizes);
        let event = event.modify(|object| {
            reduce(object);
            object.metadata.managed_fields = None;
            object.metadata.resource_version = None;
            if !is_deletion {
                empty_large(object, sizes);
            }
        });
        let is_same = match &event {
            Event::Apply(object) => {
                let reference = ObjectRef::from_obj_with(object, self.surrounding.resource.clone());
                self.known.get(&reference).is_some_and(|known| *known == *object)
            }
            _ => false,
        };
        if is_same {
            return;
        }
        self.writer.apply_watcher_event(&event);
        if is_list {
            self.set(State::Listed);
            self.gauge.warm();
            self.notifier.notify_namespace(self.namespace.as_deref());
        } else if let Some(object) = concerned {
            self.notify(&object);
        }
    }

    fn notify(&self, object: &DynamicObject) {
        let namespace = match self.surrounding.place {
            Place::Served => object.metadata.namespace.as_deref(),
            Place::Namespaces => object.metadata.name.as_deref(),
            Place::Cluster => None,
        };
        self.notifier.notify_namespace(namespace);
    }

    fn give_up(&self, state: State) {
        let is_news = self.set(state);
        if self.gauge.warm() || is_news {
            self.notifier.notify_namespace(self.namespace.as_deref());
        }
    }

    /// Returns whether the state has changed.
    fn set(&self, state: State) -> bool {
        let mut known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, state) != state
    }
}

//! The shared context of all passes of a controller.

use std::{sync::Arc, time::Duration};

use kube::{Client, api::ApiResource, core::DeserializeGuard, runtime::reflector::Store};

use super::{error::Error, report::Reporter, watches::Caches, write::Drawing};
use crate::{
    cache::Cache,
    component::Component,
    neighbour::Neighbours,
    surroundings::Surroundings,
    watches::{Child, Configuration, Sources},
    world::{ClusterReads, WatchedSources},
};

/// When the next pass over an object runs, if no event triggers one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextPass {
    /// At once: the pass changed something.
    Again,
    /// After this time.
    After(Duration),
    /// Not at all.
    Never,
}

impl NextPass {
    /// The sooner of the two, if there is a time.
    pub(super) fn or_after(self, sooner: Option<Duration>) -> Self {
        match (self, sooner) {
            (Self::After(later), Some(sooner)) => Self::After(later.min(sooner)),
            (next, _) => next,
        }
    }
}

/// The shared context of all passes.
pub(super) struct Passes<C: Component> {
    pub(super) component: C,
    pub(super) client: Client,
    /// All objects of the kind.
    pub(super) objects: Store<DeserializeGuard<C::Kind>>,
    pub(super) cache: Arc<Cache>,
    /// What draws the random values of new children.
    pub(super) drawing: Drawing,
    pub(super) watched: WatchedSources,
    pub(super) neighbours: Neighbours,
    pub(super) surroundings: Surroundings,
    pub(super) reporter: Reporter,
    /// Cluster-wide reads, shared by all objects.
    pub(super) cluster: ClusterReads,
    pub(super) owned: Vec<ApiResource>,
    pub(super) sources: Sources,
    pub(super) configuration: fn(&C::Kind) -> Configuration<'_>,
}

pub(super) type Result<T, C> = std::result::Result<T, Error<<C as Component>::Error>>;

impl<C: Component> Passes<C> {
    pub(super) fn new(component: C, client: Client, caches: &Caches<C>) -> Self {
        let watches = C::watches();
        Self {
            component,
            objects: caches.objects.clone(),
            cache: caches.children.clone(),
            drawing: Drawing::default(),
            watched: caches.watched.clone(),
            neighbours: caches.neighbours.clone(),
            surroundings: caches.surroundings.clone(),
            reporter: Reporter::new::<C>(client.clone()),
            cluster: ClusterReads::default(),
            owned: watches.children.into_iter().filter(Child::is_owned).map(|child| child.resource).collect(),
            sources: watches.sources,
            configuration: watches.configuration,
            client,
        }
    }
}

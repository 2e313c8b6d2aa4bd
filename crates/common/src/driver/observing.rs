//! The reads of a pass: the observed state of its component, and foreign objects that are in the way.

use std::time::Duration;

use futures::future::try_join_all;
use kube::{Api, Resource, api::DynamicObject, core::object::HasStatus};

use super::{error::Error, intent::is_ours, memory::Stage, pass::Pass, passes::Result, plan::NameConflict};
use crate::{
    api::Status as _,
    component::{Component, Decision},
    condition,
    default_source::{self, DefaultSource},
    manifest::{Manifest, Mode},
    metadata::Timeless,
    surroundings::Siblings,
    watches::Configuration,
    world::{RESYNC, RETRY, World},
};

/// The maximum age of a shared read of the cluster on which the reason Stalled may rest.
const FRESH: Duration = Duration::from_secs(1);

impl<C: Component> Pass<'_, C> {
    /// Observes and decides. Reads that all objects share may be old: before the object is reported as Stalled, they are read again.
    pub(super) async fn decide(&self, world: &World<'_>) -> Result<Decision<C>, C> {
        let decision = self.decide_once(world).await?;
        if decision.intent.is_err() && self.with.cluster.doubt(FRESH).await {
            return self.decide_once(world).await;
        }
        Ok(decision)
    }

    async fn decide_once(&self, world: &World<'_>) -> Result<Decision<C>, C> {
        let component = &self.with.component;
        self.memory.enter(Stage::Observe);
        let observed = Box::pin(component.observe(self.object, world)).await.map_err(Error::Observe)?;
        self.memory.enter(Stage::Decide);
        Ok(component.decide(self.object, &observed))
    }

    /// The user has edited the spec, and expects current results: earlier reads are discarded.
    pub(super) async fn discard_reads_after_edit(&self) {
        let generation = self.object.meta().generation;
        let before = self.memory.with(|state| std::mem::replace(&mut state.generation, generation));
        if before == generation {
            return;
        }
        self.memory.reads.forget();
        self.memory.with(|state| state.taken = None);
        // An object without a memory has not been edited.
        if before.is_some() {
            self.with.cluster.doubt(Duration::ZERO).await;
        }
    }

    pub(super) fn world(&self) -> World<'_> {
        let is_ready = |status: &<C::Kind as HasStatus>::Status| {
            // Ready may be about another product than the intended one.
            let is_settled = condition::find(status.conditions(), condition::RECONCILING).is_none();
            is_settled && condition::is_ready(status.conditions(), self.object.meta().generation)
        };
        World {
            client: &self.with.client,
            namespace: &self.instance.namespace,
            children: &self.children,
            watched: &self.with.watched,
            neighbours: &self.with.neighbours,
            surroundings: &self.with.surroundings,
            siblings: self.siblings(),
            default_source: self.default_source(),
            reads: &self.memory.reads,
            memos: &self.memory.memos,
            cluster: &self.with.cluster,
            max_age: if self.object.status().is_some_and(is_ready) { RESYNC } else { RETRY },
        }
    }

    /// The other objects of the kind in the namespace.
    fn siblings(&self) -> Siblings {
        let namespace = Some(&self.instance.namespace);
        let others = self.with.objects.state_filter(|other| {
            other.meta().namespace.as_ref() == namespace && other.meta().deletion_timestamp.is_none()
        });
        Siblings::new(self.object, others.iter().filter_map(|other| other.0.as_ref().ok()))
    }

    /// Whether the users' source with the default name counts for this object.
    fn default_source(&self) -> DefaultSource {
        let Some((kind, name)) = self.with.sources.default_reference() else { return DefaultSource::Ours };
        let configuration = self.with.configuration;
        if configuration(self.object) != Configuration::Default {
            return DefaultSource::Ours;
        }
        let namespace = Some(&self.instance.namespace);
        let others = self.with.objects.state_filter(|other| other.meta().namespace.as_ref() == namespace);
        let others = others.iter().filter_map(|other| other.0.as_ref().ok());
        default_source::decide(self.object, others, configuration, (kind, name))
    }

    /// An object that another controller should create or carry out, but that exists without our labels: it is foreign, and nothing is
    /// written beside it.
    pub(super) async fn taken_by_others(
        &self,
        manifests: &[Manifest],
        world: &World<'_>,
    ) -> Result<Option<NameConflict>, C> {
        let unseen = manifests.iter().filter(|manifest| {
            (matches!(manifest.mode, Mode::Existing) || manifest.operator.is_some())
                && world.children.get(&manifest.resource.kind, manifest.name()).is_none()
        });
        let found = unseen.map(async |manifest| {
            let reference = manifest.reference();
            let found = world.get_any(&manifest.resource, manifest.name()).await;
            let found = found.map_err(Error::api(format!("read {reference}")))?;
            let is_strange = found.is_some_and(|found| !is_ours(&self.owner, &found.metadata));
            Ok(is_strange.then_some(NameConflict { reference }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().next())
    }

    /// Checks whether objects that are being deleted still exist. The answer to a delete may arrive after the watch has reported
    /// the end, and would then stay in the cache forever.
    pub(super) async fn forget_the_gone(&self, manifests: &[Manifest], leaving: &[String]) -> Result<bool, C> {
        let mut has_gone = false;
        for manifest in manifests.iter().filter(|manifest| leaving.contains(&manifest.reference())) {
            let (client, namespace) = (self.with.client.clone(), &self.instance.namespace);
            let api = Api::<Timeless<DynamicObject>>::namespaced_with(client, namespace, &manifest.resource);
            let found = api.get_opt(manifest.name()).await;
            if found.map_err(Error::api(format!("read {}", manifest.reference())))?.is_none() {
                has_gone |= self.with.cache.forget(&self.instance, &manifest.resource.kind, manifest.name());
            }
        }
        Ok(has_gone)
    }
}

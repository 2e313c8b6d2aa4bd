//! The bill of materials, in the order of applying.

mod network_policy;
#[cfg(test)]
mod prepare_kubo_tests;
mod secret;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use temporal_stack_common::{
    api::DeletionPolicy,
    manifest::Manifest,
    provider::Provider,
    volume,
    workload::{self, Pods},
};

use crate::{
    Defaults,
    decide::{
        assessment::Assessment,
        scale::Scale,
        view::{EmbeddedView, View},
    },
    identity,
    names::{self, LEFT, MOST_PEERS, SERVES, selector},
    observed::has_left,
    survey::Survey,
};

/// The desired objects.
pub(crate) fn desire(view: &View<'_>, peers: Option<&Assessment<'_>>, defaults: &Defaults) -> Vec<Manifest> {
    match &view.provider {
        Provider::External(access) => {
            let binding = access.iter().map(|access| secret::external_binding(&view.names, access));
            binding.map(|binding| Manifest::new(&binding)).collect()
        }
        Provider::Embedded(_) => peers.map(|peers| cluster(peers, defaults)).unwrap_or_default(),
    }
}

fn cluster(Assessment { view, scale, .. }: &Assessment<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let EmbeddedView { names, provider, .. } = view;
    let objects = &view.observed.objects;
    let policy = view.object.spec.deletion_policy;
    let shared = &view.secrets.shared;
    let pods = Pods::new(names.base.clone(), selector(names), &view.object.spec.pods);
    let mut manifests = shared.manifests(|number| names::shared(names, number), objects.shared_of_pods(), policy);
    manifests.extend(pods.account());
    manifests.extend(identities(view, scale.peers));
    manifests.extend(volumes(view, scale.peers));
    manifests.push(Manifest::new(&service::pods(names)));
    manifests.push(Manifest::new(&service::clients(view)));
    manifests.extend(provider.gateway.as_ref().map(|gateway| Manifest::new(&service::gateway(names, gateway))));
    if let Some(exposure) = &provider.swarm {
        let swarm = |ordinal| Manifest::new(&service::swarm(view, exposure, ordinal));
        manifests.extend((0..scale.peers).map(swarm));
    }
    manifests.push(Manifest::new(&network_policy::policy(view, defaults)));
    // Peers that have not left yet must not be evicted at the same time either.
    if scale.peers > 1 {
        let budget = workload::one_at_a_time(names.base.clone(), selector(names));
        manifests.push(Manifest::new(&budget));
    }
    manifests.extend(set(view, scale, &pods, defaults));
    manifests.extend(objects.pods.iter().map(|pod| {
        let is_serving = (pod.ordinal < view.wanted).to_string();
        Manifest::labels::<Pod>(&names.pod(pod.ordinal), BTreeMap::from([(SERVES.to_owned(), is_serving)]))
    }));
    manifests.push(Manifest::new(&secret::binding(names, provider.gateway.is_some())));
    manifests
}

/// The set, and the Secret that its peers read. All identities must be known before the first peer starts, because its configuration
/// lists the others. Existing peers are kept meanwhile.
fn set(view: &EmbeddedView<'_>, scale: &Scale, pods: &Pods<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let objects = &view.observed.objects;
    let known = (0..scale.peers).take_while(|ordinal| objects.identity(*ordinal).is_some()).count();
    let known = i32::try_from(known).unwrap_or(MOST_PEERS);
    if known < scale.peers && objects.replicas.is_none() && objects.listed == 0 {
        return Vec::new();
    }
    let replicas = scale.replicas.min(known.max(objects.replicas.unwrap_or_default()));
    let set = stateful_set::peers(view, replicas, pods, defaults);
    vec![Manifest::new(&secret::peers(view, scale.peers)), Manifest::new(&set).remade_on(workload::IMMUTABLE)]
}

/// The identities of the desired peers; those of peers that have left are deleted after their volumes.
fn identities(view: &EmbeddedView<'_>, peers: i32) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let made =
        (0..peers).map(|ordinal| Manifest::new(&secret::identity(names, ordinal)).once(&identity::DRAWN).data(policy));
    let is_over = |ordinal: &i32| policy == DeletionPolicy::Delete && view.observed.objects.claim(*ordinal).is_none();
    let absent = |ordinal| Manifest::absent::<Secret>(&names::identity(names, ordinal)).data(policy);
    made.chain(departed(view, peers).filter(is_over).map(absent)).collect()
}

/// The volumes of the desired peers. Those of peers that have left are deleted under Delete; under Retain they are marked, so
/// that a later object need not bring them back.
fn volumes(view: &EmbeddedView<'_>, peers: i32) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let live = |ordinal| view.observed.objects.claim(ordinal);
    let claim = |ordinal: i32, left: bool| {
        let mut claim = volume::claim(&names.volume(ordinal), &view.provider.storage);
        let is_marked = live(ordinal).is_some_and(|claim| has_left(claim).is_some());
        if left || is_marked {
            claim.metadata.labels = Some(BTreeMap::from([(LEFT.to_owned(), left.to_string())]));
        }
        if left {
            // The controller changes nothing else of it.
            claim.spec = None;
        }
        Manifest::new(&claim).existing().data(policy)
    };
    let kept = (0..peers).map(|ordinal| claim(ordinal, false));
    let departed = departed(view, peers).filter(|ordinal| live(*ordinal).is_some());
    let departed = departed.map(|ordinal| match policy {
        DeletionPolicy::Delete => Manifest::absent::<PersistentVolumeClaim>(&names.volume(ordinal)).data(policy),
        DeletionPolicy::Retain => claim(ordinal, true),
    });
    kept.chain(departed).collect()
}

/// Peers that have left for good: no pin has its only copy there.
fn departed(view: &EmbeddedView<'_>, peers: i32) -> impl Iterator<Item = i32> {
    let is_settled = view.observed.pinset.latest().is_some_and(Survey::is_settled);
    let objects = &view.observed.objects;
    let is_clear = is_settled && !objects.pods.iter().chain(&objects.surplus).any(|pod| pod.ordinal >= peers);
    (peers..MOST_PEERS).filter(move |_| is_clear)
}

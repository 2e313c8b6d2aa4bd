//! The bill of materials, in the order of applying.

mod network_policy;
#[cfg(test)]
mod prepare_kubo;
mod secret;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use temporal_stack_common::{
    api::{DeletionPolicy, IpfsCluster},
    manifest::Manifest,
    volume, workload,
};

pub(crate) use stateful_set::{SERVES, selector};

use crate::{
    Defaults, identity,
    names::{self, MOST_PEERS},
    observe::{Embedded, LEFT, Observed, Source},
    scale,
    survey::Survey,
};

/// What is wanted in the cluster.
pub(crate) fn desire(object: &IpfsCluster, observed: &Observed, defaults: &Defaults) -> Vec<Manifest> {
    match &observed.source {
        Source::External(access) => {
            access.iter().map(|access| Manifest::new(&secret::external_binding(object, access))).collect()
        }
        Source::Embedded(embedded) => peers(object, embedded, defaults),
    }
}

fn peers(object: &IpfsCluster, embedded: &Embedded, defaults: &Defaults) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let provider = &embedded.provider;
    let there = scale::there(object, embedded);
    let name = |number| names::shared(object, number);
    let mut manifests = embedded.shared.manifests(name, embedded.pods.iter().map(|pod| pod.shared), policy);
    manifests.extend(identities(object, embedded, there));
    manifests.extend(volumes(object, embedded, there));
    manifests.push(Manifest::new(&service::pods(object)));
    manifests.push(Manifest::new(&service::clients(object, embedded)));
    if let Some(gateway) = &provider.gateway {
        manifests.push(Manifest::new(&service::gateway(object, gateway)));
    }
    if let Some(exposure) = &provider.swarm {
        let swarm = |ordinal| Manifest::new(&service::swarm(object, embedded, exposure, ordinal));
        manifests.extend((0..there).map(swarm));
    }
    manifests.push(Manifest::new(&network_policy::policy(object, embedded, defaults)));
    // Those that are still to leave are not to be evicted at once either.
    if there > 1 {
        let budget = workload::one_at_a_time(names::set(object), selector(object));
        manifests.push(Manifest::new(&budget));
    }
    // Who the peers are must be known before one starts: each is told of the others. Those that are there stay meanwhile.
    let known = (0..there).take_while(|ordinal| embedded.identity(*ordinal).is_some()).count();
    let known = i32::try_from(known).unwrap_or(MOST_PEERS);
    if known == there || embedded.replicas.is_some() || embedded.listed > 0 {
        manifests.push(Manifest::new(&secret::peers(object, embedded, there)));
        let replicas = scale::replicas(object, embedded).min(known.max(embedded.replicas.unwrap_or_default()));
        let set = stateful_set::peers(object, embedded, replicas, defaults);
        manifests.push(Manifest::new(&set).remade_on(workload::IMMUTABLE));
    }
    manifests.extend(embedded.pods.iter().map(|pod| {
        let serves = (pod.ordinal < object.spec.replicas).to_string();
        Manifest::labels::<Pod>(&names::pod(object, pod.ordinal), BTreeMap::from([(SERVES.to_owned(), serves)]))
    }));
    manifests.push(Manifest::new(&secret::binding(object, provider.gateway.is_some())));
    manifests
}

/// The identities of the peers that there are to be; those of peers that have left go after their volumes.
fn identities(object: &IpfsCluster, embedded: &Embedded, there: i32) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let made =
        (0..there).map(|ordinal| Manifest::new(&secret::identity(object, ordinal)).once(&identity::DRAWN).data(policy));
    let is_over = |ordinal: &i32| policy == DeletionPolicy::Delete && embedded.claim(*ordinal).is_none();
    let left = left(embedded, there).filter(is_over);
    made.chain(left.map(|ordinal| Manifest::absent::<Secret>(&names::identity(object, ordinal)).data(policy))).collect()
}

/// The volumes of the peers that there are to be. Those of peers that have left go under Delete; under Retain they are marked, so
/// that a later object knows that it need not bring them back.
fn volumes(object: &IpfsCluster, embedded: &Embedded, there: i32) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let storage = &embedded.provider.storage;
    let claim = |ordinal: i32, has_left: bool| {
        let mut claim = volume::claim(&names::volume(object, ordinal), storage);
        let has_mark = embedded.claim(ordinal).is_some_and(|claim| claim.has_left.is_some());
        if has_left || has_mark {
            claim.metadata.labels = Some(BTreeMap::from([(LEFT.to_owned(), has_left.to_string())]));
        }
        if has_left {
            // Nothing else of it is the controller's to change.
            claim.spec = None;
        }
        Manifest::new(&claim).existing().data(policy)
    };
    let kept = (0..there).map(|ordinal| claim(ordinal, false));
    let left = left(embedded, there).filter(|ordinal| embedded.claim(*ordinal).is_some());
    let left = left.map(|ordinal| match policy {
        DeletionPolicy::Delete => {
            Manifest::absent::<PersistentVolumeClaim>(&names::volume(object, ordinal)).data(policy)
        }
        DeletionPolicy::Retain => claim(ordinal, true),
    });
    kept.chain(left).collect()
}

/// Peers that have left for good: when nothing can be missed any more that only they have.
fn left(embedded: &Embedded, there: i32) -> impl Iterator<Item = i32> {
    let is_clear =
        !embedded.pods.iter().any(|pod| pod.ordinal >= there) && embedded.survey.any().is_some_and(Survey::is_settled);
    (there..MOST_PEERS).filter(move |_| is_clear)
}

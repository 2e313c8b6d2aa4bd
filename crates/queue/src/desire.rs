//! The bill of materials, in the order of applying.

mod config_map;
mod secret;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use temporal_stack_common::{
    api::{DeletionPolicy, MessageQueue},
    login,
    manifest::{Draw, Manifest},
    volume, workload,
};

pub(crate) use config_map::members_of;

use crate::{
    Defaults,
    names::{self, MOST_NODES},
    observe::{Embedded, Observed, Source},
    scale,
};

/// What is wanted in the cluster.
pub(crate) fn desire(object: &MessageQueue, observed: &Observed, defaults: &Defaults) -> Vec<Manifest> {
    match &observed.source {
        Source::External(access) => {
            access.iter().map(|access| Manifest::new(&secret::external_binding(object, access))).collect()
        }
        Source::Embedded(embedded) => embedded_cluster(object, observed, embedded, defaults),
    }
}

fn embedded_cluster(
    object: &MessageQueue,
    observed: &Observed,
    embedded: &Embedded,
    defaults: &Defaults,
) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let replicas = scale::replicas(object, embedded);
    let cookie = |number| names::cookie(object, number);
    let mut manifests = embedded.cookies.manifests(cookie, embedded.must_stop(), policy);
    manifests.push(Manifest::new(&secret::administrator(object)).once(&[Draw::Letters(login::PASSWORD)]).data(policy));
    manifests.push(Manifest::new(&config_map::config(object, embedded)));
    // Data, because they say which volumes belong together.
    let members = members(embedded).map(|members| Manifest::new(&config_map::members(object, &members)).data(policy));
    manifests.extend(members);
    manifests.extend(volumes(object, embedded, replicas));
    manifests.push(Manifest::new(&service::pods(object)));
    manifests.push(Manifest::new(&service::clients(object)));
    // Those that are still to leave are not to be evicted at once either.
    if embedded.provider.replicas.max(replicas) > 1 {
        manifests.push(Manifest::new(&workload::one_at_a_time(names::set(object), stateful_set::selector(object))));
    }
    let brokers = stateful_set::brokers(object, embedded, replicas, defaults);
    manifests.push(Manifest::new(&brokers).remade_on(workload::IMMUTABLE));
    manifests.extend(logins(object, observed, embedded));
    manifests.push(match secret::binding(object, observed) {
        Some(binding) => Manifest::new(&binding),
        // Its name is needed later: better to know now that somebody else has it.
        None => Manifest::new(&secret::reserved_binding(object)).existing(),
    });
    manifests
}

/// The members as the cluster names them; while it cannot be asked, as it named them last.
fn members(embedded: &Embedded) -> Option<Vec<String>> {
    match embedded.known() {
        Some(known) => Some(known.nodes.iter().map(|node| node.name.clone()).collect()),
        None => embedded.members.clone(),
    }
}

/// The volumes of the nodes that there are to be; those of nodes that have left go under Delete, when their pods have gone.
fn volumes(object: &MessageQueue, embedded: &Embedded, replicas: i32) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let used = replicas.max(embedded.provider.replicas);
    let kept = (0..used).map(|ordinal| {
        let claim = volume::claim(&names::volume(object, ordinal), &embedded.provider.storage);
        Manifest::new(&claim).existing().data(policy)
    });
    let is_left = |ordinal: &i32| {
        let pod = names::pod(object, *ordinal);
        policy == DeletionPolicy::Delete
            && embedded.known().is_some()
            && !embedded.pods.iter().any(|there| there.name == pod)
    };
    let left = (used..MOST_NODES).filter(is_left);
    kept.chain(left.map(|ordinal| Manifest::absent::<PersistentVolumeClaim>(&names::volume(object, ordinal)))).collect()
}

fn logins(object: &MessageQueue, observed: &Observed, embedded: &Embedded) -> Vec<Manifest> {
    let bound = observed.bound.as_ref();
    let base = &observed.virtual_host;
    let wanted = login::Wanted { base, user: None, password: None, rotation: embedded.rotation.as_deref() };
    let next = login::next(wanted, embedded.newest(), bound);
    let active = observed.active_login().map(|login| login.number);
    login::manifests(&names::set(object), &embedded.logins, bound, active, next, object.spec.deletion_policy)
}

//! The bill of materials, in the order of applying.

mod config_map;
mod network_policy;
#[cfg(test)]
mod prepare;
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

pub(crate) use config_map::{decided, members_of};

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
    let mut manifests = embedded.cookies.manifests(cookie, embedded.pods.iter().map(|pod| pod.cookie), policy);
    manifests.push(Manifest::new(&secret::administrator(object)).once(&[Draw::Letters(login::PASSWORD)]).data(policy));
    let set = format!("StatefulSet/{}", names::set(object));
    manifests.push(Manifest::new(&config_map::config(object, embedded)).read_by([set]));
    // Data, because they say which volumes belong together.
    let members =
        members(object, embedded).map(|members| Manifest::new(&config_map::members(object, &members)).data(policy));
    manifests.extend(members);
    manifests.extend(volumes(object, embedded, replicas));
    manifests.push(Manifest::new(&service::pods(object)));
    manifests.push(Manifest::new(&service::clients(object)));
    manifests.push(Manifest::new(&network_policy::policy(object, defaults)));
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

/// The members as the cluster names them; while it cannot be asked, as it named them last. Where that is lost or was not restored,
/// and there are volumes before the set is made, each of those may have been a member: a blank node must found nothing beside them.
fn members(object: &MessageQueue, embedded: &Embedded) -> Option<Vec<String>> {
    match embedded.known() {
        Some(known) => Some(known.nodes.iter().map(|node| node.name.clone()).collect()),
        None => embedded.members.clone().or_else(|| {
            let is_restored = embedded.replicas.is_none() && !embedded.volumes.is_empty();
            is_restored.then(|| embedded.volumes.iter().map(|ordinal| names::node(object, *ordinal)).collect())
        }),
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
    kept.chain(
        left.map(|ordinal| Manifest::absent::<PersistentVolumeClaim>(&names::volume(object, ordinal)).data(policy)),
    )
    .collect()
}

fn logins(object: &MessageQueue, observed: &Observed, embedded: &Embedded) -> Vec<Manifest> {
    let bound = observed.bound.as_ref();
    let base = &observed.virtual_host;
    let wanted = login::Wanted { base, user: None, password: None, rotation: embedded.rotation.as_deref() };
    let next = login::next(wanted, embedded.newest(), bound);
    let active = observed.active_login().map(|login| login.number);
    login::manifests(&names::set(object), &embedded.logins, bound, active, next, object.spec.deletion_policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{known, node, of_size, unmade, well};

    fn made(members: Option<Vec<String>>) -> Vec<String> {
        members.unwrap_or_default()
    }

    #[test]
    fn restored_volumes_without_the_list_of_members_are_listed() {
        let object = of_size(3);
        let restored = Embedded { volumes: vec![1, 2], ..unmade(&object) };
        assert_eq!(made(members(&object, &restored)), [node(1), node(2)]);
        assert_eq!(members(&object, &unmade(&object)), None, "a new cluster has no volumes before its set");
        let starting = Embedded { replicas: Some(3), volumes: vec![0, 1, 2], ..unmade(&object) };
        assert_eq!(members(&object, &starting), None, "its first node founds it");
    }

    #[test]
    fn volumes_beyond_the_replicas_are_deleted_only_as_recorded_data() {
        let object = crate::fixture::object(&serde_json::json!({"deletionPolicy": "Delete"}));
        let mut embedded = well(&object, 1);
        known(&mut embedded).leaving.clear();
        let absent: Vec<Manifest> = volumes(&object, &embedded, 1)
            .into_iter()
            .filter(|manifest| matches!(manifest.making, temporal_stack_common::manifest::Making::Absent))
            .collect();
        assert_eq!(absent.len(), 4);
        let data = temporal_stack_common::manifest::Lifetime::Data(DeletionPolicy::Delete);
        assert!(absent.iter().all(|manifest| manifest.lifetime == data));
    }
}

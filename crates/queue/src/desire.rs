//! The bill of materials, in the order of applying.

mod config_map;
mod network_policy;
#[cfg(test)]
mod prepare_tests;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ResourceRequirements};
use temporal_stack_common::{
    address::Endpoint,
    api::{DeletionPolicy, Resources},
    login,
    manifest::Manifest,
    provider::Provider,
    volume,
    workload::{self, DefaultResources, Pods},
};

use crate::{
    Defaults,
    decide::view::{EmbeddedView, View},
    names::{self, ADMINISTRATOR, AMQP, BINDING, MOST_NODES, Names, selector},
    observed,
};

/// The default resources of a node.
const DEFAULT_RESOURCES: DefaultResources = DefaultResources { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };

/// The desired objects.
pub(crate) fn desire(view: &View<'_>, defaults: &Defaults) -> Vec<Manifest> {
    match &view.provider {
        Provider::External(access) => BINDING.external(&view.names.binding, access),
        Provider::Embedded(embedded) => embedded_cluster(view, embedded, defaults),
    }
}

fn embedded_cluster(view: &View<'_>, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let (provider, observed) = (&embedded.provider, embedded.observed);
    let cookie = |number| names::cookie(names, number);
    let pods = Pods::new(names.base.clone(), selector(names), &view.object.spec.pods);
    let mut manifests = embedded.cookies.shared.manifests(cookie, observed.pod_cookies(), policy);
    manifests.extend(pods.account());
    manifests.push(login::administrator(names::administrator(names), ADMINISTRATOR, policy));
    let set = format!("StatefulSet/{}", names.base);
    manifests.push(Manifest::new(&config_map::config(names, provider)).read_by([set]));
    // Data, because they say which volumes belong together.
    let members = members(names, observed);
    manifests.extend(members.map(|members| Manifest::new(&config_map::members(names, &members)).data(policy)));
    manifests.extend(volumes(names, embedded, policy));
    manifests.push(Manifest::new(&service::pods(names)));
    manifests.push(Manifest::new(&service::clients(names)));
    manifests.push(Manifest::new(&network_policy::policy(view, defaults)));
    // Nodes that have not left yet must not be evicted at the same time either.
    if provider.replicas.max(embedded.scale.replicas) > 1 {
        manifests.push(Manifest::new(&workload::one_at_a_time(names.base.clone(), selector(names))));
    }
    manifests
        .push(Manifest::new(&stateful_set::brokers(view, embedded, &pods, defaults)).remade_on(workload::IMMUTABLE));
    manifests.extend(embedded.rotation.manifests(policy));
    let access = embedded.application(Endpoint { host: names.host(&names.base), port: AMQP });
    manifests.push(embedded.rotation.binding(&names.binding, BINDING, "rabbitmq", access.as_ref()));
    manifests
}

/// The members that the cluster reports; while it does not answer, those that it reported last. If that list is lost or was not
/// restored, and volumes exist before the set, each of them may belong to a member: an empty node must not found a second
/// cluster.
fn members(names: &Names, observed: &observed::Embedded) -> Option<Vec<String>> {
    if let Some(known) = observed.broker.known() {
        return Some(known.nodes.iter().map(|node| node.name.clone()).collect());
    }
    observed.members.clone().or_else(|| {
        let ordinals = (0..).zip(&observed.volumes);
        let volumes = ordinals.filter(|(_, claim)| claim.as_ref().is_some_and(volume::is_bound));
        let nodes: Vec<String> = volumes.map(|(ordinal, _)| names::node(names, ordinal)).collect();
        (observed.replicas.is_none() && !nodes.is_empty()).then_some(nodes)
    })
}

/// The volumes of the nodes that must exist; those of nodes that have left are deleted under Delete, after their pods.
fn volumes(names: &Names, embedded: &EmbeddedView<'_>, policy: DeletionPolicy) -> Vec<Manifest> {
    let used = embedded.scale.replicas.max(embedded.provider.replicas);
    let kept = (0..used).map(|ordinal| {
        let claim = volume::claim(&names.volume(ordinal), &embedded.provider.storage);
        Manifest::new(&claim).existing().data(policy)
    });
    let observed = embedded.observed;
    let is_outgrown = |ordinal: &i32| {
        policy == DeletionPolicy::Delete && observed.broker.known().is_some() && !observed.has_pod(&names.pod(*ordinal))
    };
    let outgrown = (used..MOST_NODES).filter(is_outgrown);
    let outgrown =
        outgrown.map(|ordinal| Manifest::absent::<PersistentVolumeClaim>(&names.volume(ordinal)).data(policy));
    kept.chain(outgrown).collect()
}

/// The resources of a node.
fn resources(wanted: &Resources) -> ResourceRequirements {
    workload::resources(wanted, DEFAULT_RESOURCES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use temporal_stack_common::manifest::{Lifetime, Mode};

    use super::*;
    use crate::fixture::{claim, cluster, healthy, manifests, names, node, object};

    #[test]
    fn restored_volumes_are_listed_as_members() {
        let volumes = |ordinals: &[i32]| (0..5).map(|ordinal| ordinals.contains(&ordinal).then(claim)).collect();
        let members = |embedded: &observed::Embedded| members(&names(), embedded);
        let restored = observed::Embedded { volumes: volumes(&[1, 2]), ..Default::default() };
        assert_eq!(members(&restored), Some(vec![node(1), node(2)]));
        let new = observed::Embedded::default();
        assert_eq!(members(&new), None, "a new cluster has no volumes before its set");
        let starting = observed::Embedded { replicas: Some(3), volumes: volumes(&[0, 1, 2]), ..Default::default() };
        assert_eq!(members(&starting), None, "its first node founds it");
    }

    #[test]
    fn outgrown_volumes_are_deleted_only_as_recorded_data() {
        let object = object(&json!({"deletionPolicy": "Delete"}));
        let manifests = manifests(&object, &cluster(healthy(&object, 1)));
        let is_absent = |manifest: &&Manifest| matches!(manifest.mode, Mode::Absent);
        let absent: Vec<&Manifest> = manifests.iter().filter(is_absent).collect();
        assert_eq!(absent.len(), 4);
        assert!(absent.iter().all(|manifest| manifest.resource.kind == "PersistentVolumeClaim"));
        assert!(absent.iter().all(|manifest| manifest.lifetime == Lifetime::Data(DeletionPolicy::Delete)));
    }
}

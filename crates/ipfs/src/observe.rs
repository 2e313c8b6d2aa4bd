//! How the observed state of a pass is gathered. Reads only.

mod peers;
mod pinset;

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::{IpfsCluster, annotation},
    cache::Children,
    given,
    http::Client,
    number,
    provider::{External, Provider},
    readiness,
    shared::{self, Made},
    volume,
    watches::{Child, Configuration, Relation, Sources, Watches},
    workload,
    world::{ReadError, World},
};

use crate::{
    identity::Identity,
    names::{self, CLUSTER_SECRET, CONFIG, MOST_PEERS, NETWORK, Names, SERVES, SWARM_KEY, config_map, network_name},
    observed::{Embedded, Objects, Observed, PeerPod},
    settings::Settings,
    survey::Memory,
};

/// The watches of the controller.
pub(crate) fn watches() -> Watches<IpfsCluster> {
    Watches {
        children: vec![
            Child::owned::<Secret>(),
            Child::owned::<Service>(),
            Child::owned::<ServiceAccount>(),
            Child::owned::<NetworkPolicy>(),
            Child::owned::<PodDisruptionBudget>(),
            Child::owned::<StatefulSet>(),
            Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: true }),
            Child::new::<Pod>(Relation::Restarted { labelled: true }),
        ],
        sources: Sources { config_maps: &[CONFIG], secrets: &[] },
        configuration: |object| {
            Configuration::new(object.spec.provider.external.is_some(), object.spec.config.config_map.as_deref())
        },
        ..Watches::default()
    }
}

/// Gathers the observed state.
pub(crate) async fn observe(object: &IpfsCluster, world: &World<'_>, client: &Client) -> Result<Observed, ReadError> {
    let names = Names::new(object);
    let config = world.config_map(config_map(object)).await?.map(given::texts_of_map);
    let provider = match &object.spec.provider.external {
        Some(external) => Provider::External(External::observe(external, world).await?),
        None => Provider::Embedded(Box::new(embedded(object, &names, config.as_ref(), world, client).await?)),
    };
    let binding: Option<Secret> = world.children.find(&names.binding);
    let is_bound = binding.is_some_and(|binding| binding.data.is_some());
    Ok(Observed { config, default_source: world.default_source.clone(), is_bound, provider })
}

async fn embedded(
    object: &IpfsCluster,
    names: &Names,
    config: Option<&BTreeMap<String, String>>,
    world: &World<'_>,
    client: &Client,
) -> Result<Embedded, ReadError> {
    let wanted = object.spec.replicas;
    let objects = objects(object, names, world.children);
    let storage = object.spec.provider.kubo.as_ref().map(|provider| provider.storage.clone()).unwrap_or_default();
    let offer = volume::observe(&storage, objects.wanted_volumes(wanted), world).await?;
    let memory = world.memo::<Memory>();
    // The view makes the remarks, which name the source.
    let (settings, _) = Settings::read(object, CONFIG, config);
    let peers = peers::ask(client, &objects.pods, &settings.allocate_by(), &memory).await;
    let pinset = pinset::survey(wanted, &objects, &peers, client, &memory).await;
    Ok(Embedded { objects, offer, peers, pinset })
}

fn objects(object: &IpfsCluster, names: &Names, children: &Children) -> Objects {
    let set: Option<StatefulSet> = children.find(&names.base);
    let peers: Option<Secret> = children.find(&names::peers(names));
    let (identities, unreadable) = identities(names, children);
    let pods = |pods| peer_pods(pods, names, set.as_ref());
    let (pods, surplus) =
        (pods(children.pods_of(&names.base, MOST_PEERS)), pods(children.surplus_of(&names.base, MOST_PEERS)));
    let replicas = set.and_then(|set| set.spec?.replicas);
    Objects {
        shared: shared_secrets(object, names, children),
        shared_in_use: shared::in_use(children, &names.base),
        identities,
        unreadable,
        restart: workload::restart_asked(object, children, &names.base),
        replicas: replicas.map(|replicas| number::replicas(replicas, MOST_PEERS)),
        listed: peers.as_ref().map_or(0, count_listed),
        service: workload::service_ip(children, &names.base),
        volumes: (0..MOST_PEERS).map(|ordinal| children.find(&names.volume(ordinal))).collect(),
        pods,
        surplus,
    }
}

/// A secret that was restored without its annotations counts as created for the present permission and network.
fn shared_secrets(object: &IpfsCluster, names: &Names, children: &Children) -> Vec<Made> {
    let permission = object.annotations().get(annotation::FULL_RESTART).map(String::as_str);
    let notes = [(NETWORK, network_name(object.spec.network))];
    let keys = [CLUSTER_SECRET, SWARM_KEY];
    shared::series(children, |number| names::shared(names, number), &keys, permission, &notes)
}

/// The existing identities, by ordinal, and the keys that cannot be read. Copies under another name are ignored.
fn identities(names: &Names, children: &Children) -> (Vec<Identity>, Vec<(String, &'static str)>) {
    let (mut identities, mut unreadable) = (Vec::new(), Vec::new());
    for ordinal in 0..MOST_PEERS {
        let name = names::identity(names, ordinal);
        let Some(secret) = children.find::<Secret>(&name) else { continue };
        match Identity::read(ordinal, &secret) {
            Ok(identity) => identities.push(identity),
            Err(key) => unreadable.push((name, key)),
        }
    }
    (identities, unreadable)
}

fn peer_pods(pods: Vec<Pod>, names: &Names, set: Option<&StatefulSet>) -> Vec<PeerPod> {
    let newest = set.and_then(|set| set.status.as_ref()?.update_revision.clone());
    let pod = |pod: Pod| {
        let ordinal = number::ordinal(&pod.name_any(), &names.base, MOST_PEERS)?;
        let status = pod.status.clone().unwrap_or_default();
        let restarts = status.container_statuses.iter().flatten().map(|container| container.restart_count);
        let restarts: i32 = restarts.fold(0, i32::saturating_add);
        Some(PeerPod {
            ordinal,
            is_ready: readiness::is_ready(&pod),
            is_serving: pod.labels().get(SERVES).is_some_and(|is_serving| is_serving == "true"),
            is_outdated: newest.is_some() && pod.labels().get("controller-revision-hash") != newest.as_ref(),
            shared: shared::of_pod(&pod),
            ip: status.pod_ip,
            incarnation: format!("{} {restarts}", pod.uid().unwrap_or_default()),
        })
    };
    let mut pods: Vec<PeerPod> = pods.into_iter().filter_map(pod).collect();
    pods.sort_by_key(|pod| pod.ordinal);
    pods
}

/// How many peers a Secret lists: it has one configuration of Kubo for each.
fn count_listed(secret: &Secret) -> i32 {
    let kubos = secret.data.iter().flatten().filter(|(key, _)| key.ends_with(".kubo.json"));
    i32::try_from(kubos.count()).unwrap_or(MOST_PEERS).min(MOST_PEERS)
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::testkit::cached;

    use super::*;
    use crate::fixture;

    #[test]
    fn copy_of_an_identity_under_another_name_is_ignored() {
        let names = ["copy", "temporal-ipfscluster-identity-1", "temporal-ipfscluster-identity-2000000000"];
        let secret = |name| {
            let object = serde_json::json!({"metadata": {"name": name}, "data": fixture::identity_data()});
            ("Secret", object)
        };
        let children = cached(&names.map(secret));
        let (identities, unreadable) = identities(&Names::new(&fixture::of_size(1)), &children);
        assert_eq!(identities.iter().map(|identity| identity.ordinal).collect::<Vec<_>>(), [1]);
        assert_eq!(unreadable, []);
    }
}

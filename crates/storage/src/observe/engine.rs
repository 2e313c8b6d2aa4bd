//! Reads an engine that the controller runs, and what belongs to it in the cluster.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{Resource, ResourceExt};
use temporal_stack_common::{
    address::Endpoint,
    api::{ObjectStorage, annotation},
    login::{self, Bound, Login},
    number, readiness,
    s3::{Failure, Key},
    shared::{self, Made},
    volume, workload,
    world::{ReadError, World},
};
use tokio::time::Instant;

use super::survey;
use crate::{
    access::{self, Store},
    engine::{Engine, Health, Kind},
    names::{self, KEY_ID, KEY_SECRET, LAYOUT, MOST_SERVERS, Names, PORT},
    observed::{Embedded, EnginePod, Memory},
};

/// How many servers are asked about the drives until one answers.
const ASKED: usize = 4;
/// After how long no further server is asked about them: while one hangs, the others may take long, too.
const ASKING: Duration = Duration::from_secs(30);

/// Reads it. `buckets` are the ones to look at, and whether each is wanted.
pub(super) async fn observe(
    object: &ObjectStorage,
    kind: &Kind,
    names: &Names,
    buckets: &BTreeMap<String, bool>,
    bound: &BTreeMap<String, Bound>,
    world: &World<'_>,
) -> Result<Embedded, ReadError> {
    let children = world.children;
    let volumes: Vec<Option<PersistentVolumeClaim>> =
        kind.claims(names).iter().map(|claim| children.find(claim)).collect();
    let offer = volume::observe(kind.storage(), &volumes, world).await?;
    let permission = object.annotations().get(annotation::FULL_RESTART).map(String::as_str);
    let notes = [(LAYOUT, kind.layout())];
    let notes = notes.each_ref().map(|(key, layout)| (*key, layout.as_str()));
    let roots =
        shared::series(children, |number| names::root(names, number), &[KEY_ID, KEY_SECRET], permission, &notes);
    let set: Option<StatefulSet> = children.find(&names.base);
    let read = |pods: Vec<Pod>| pods.iter().map(|pod| engine_pod(pod, set.as_ref())).collect::<Vec<_>>();
    let pods = read(children.pods_of(&names.base, MOST_SERVERS));
    let surplus = read(children.surplus_of(&names.base, MOST_SERVERS));
    let root_in_use = shared::in_use(children, &names.base);
    let logins: BTreeMap<String, Vec<Login>> =
        buckets.keys().map(|bucket| (bucket.clone(), logins_of(object, names, bucket, bound, world))).collect();
    let stores = stores(kind, &pods, &roots, root_in_use);
    let ready = stores.iter().filter(|(pod, _)| pod.is_ready).map(|(_, store)| store.clone());
    let ready: Vec<Store> = ready.collect();
    let memory = world.memo::<Memory>();
    // At the same time: when a server is lost, each may take long, and the drives may have healed before the other has ended.
    let (health, may_stop, survey) = tokio::join!(
        ask_for_drives(kind, &stores),
        may_stop(kind, &stores),
        survey::embedded(kind, &ready, buckets, &logins, bound, &memory.lasting),
    );
    Ok(Embedded {
        health,
        may_stop,
        survey,
        restart: workload::restart_asked(object, children, &names.base),
        replicas: set.and_then(|set| set.spec?.replicas).map(|replicas| number::replicas(replicas, MOST_SERVERS)),
        service: workload::service_ip(children, &names.base).map(|host| Endpoint { host, port: PORT }),
        roots,
        root_in_use,
        logins,
        pods,
        surplus,
        volumes,
        offer,
    })
}

fn logins_of(
    object: &ObjectStorage,
    names: &Names,
    bucket: &str,
    bound: &BTreeMap<String, Bound>,
    world: &World<'_>,
) -> Vec<Login> {
    login::read_all(world.children, object.meta(), &names::logins(names, bucket), bound.get(bucket))
}

/// Asks the servers about the drives, until one answers. A server that is not ready may still know which drives it lacks.
async fn ask_for_drives(kind: &Kind, stores: &[(EnginePod, Store)]) -> Option<Result<Health, Failure>> {
    let (mut health, started) = (None, Instant::now());
    for (_, store) in stores.iter().take(ASKED) {
        health = Some(kind.health(store).await);
        if matches!(health, Some(Ok(_))) || started.elapsed() >= ASKING {
            break;
        }
    }
    health
}

/// Each pod that has an address, as root: those that are ready first.
fn stores(kind: &Kind, pods: &[EnginePod], roots: &[Made], in_use: Option<u32>) -> Vec<(EnginePod, Store)> {
    let mut pods = pods.to_vec();
    pods.sort_by_key(|pod| !pod.is_ready);
    let store = |pod: EnginePod| {
        let key = root_key(roots, pod.root.or(in_use))?;
        let store = access::root(pod.ip.as_deref()?, key, kind.has_port_for_administration());
        Some((pod, store))
    };
    pods.into_iter().filter_map(store).collect()
}

/// The root credential of this number, else the newest.
fn root_key(roots: &[Made], number: Option<u32>) -> Option<Key> {
    let root = roots.iter().find(|root| Some(root.number) == number).or(roots.last())?;
    Some(Key { id: root.text(KEY_ID)?.to_owned(), secret: root.text(KEY_SECRET)?.to_owned() })
}

/// Whether each ready server that is outdated may stop; `None` if there is none, or one does not answer.
async fn may_stop(kind: &Kind, stores: &[(EnginePod, Store)]) -> Option<bool> {
    let mut answer = None;
    for (_, store) in stores.iter().filter(|(pod, _)| pod.is_ready && pod.is_outdated) {
        match kind.may_stop(store).await {
            Ok(true) => answer = Some(true),
            Ok(false) => return Some(false),
            Err(_) => return None,
        }
    }
    answer
}

fn engine_pod(pod: &Pod, set: Option<&StatefulSet>) -> EnginePod {
    let newest = set.and_then(|set| set.status.as_ref()?.update_revision.as_ref());
    let revision = pod.labels().get("controller-revision-hash");
    EnginePod {
        name: pod.name_any(),
        is_ready: readiness::is_ready(pod),
        ready_seconds: readiness::ready_seconds(pod),
        is_outdated: newest.is_some() && revision != newest,
        root: shared::of_pod(pod),
        ip: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
    }
}

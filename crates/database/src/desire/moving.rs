//! The objects of a move: its record, the Job with what it needs, what stays meanwhile, and what goes.

pub(super) mod job;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use temporal_stack_common::{
    api::DeletionPolicy,
    manifest::{Lifetime, Manifest},
    names::Names,
    workload::Pods,
};

use super::{binding, network_policy, server};
use crate::{
    Defaults,
    cloud_native_pg::Cluster,
    decide::{
        moving::view::{Stage, View as MoveView},
        view::View,
    },
    moving::{Mark, Part, ProviderName},
    names::{
        HIBERNATED, HIBERNATION, HIBERNATION_OFF, HIBERNATION_ON, OPERATOR, administrator, cluster_administrator,
        cluster_child, move_name, move_selector, server_account,
    },
};

/// The desired objects during a move.
pub(super) fn desire(view: &View<'_>, moving: &MoveView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let mut manifests = match &moving.record {
        Some(record) => vec![Manifest::new(&record.secret(move_name(names))).data(policy).guarded()],
        None => gone::<Secret>(&move_name(names), moving.observed.record_mark, policy).into_iter().collect(),
    };
    let (from, to) = (moving.way.from, moving.way.to);
    match moving.stage {
        Stage::Blocked | Stage::Failed => {}
        Stage::Preparing | Stage::Rehearsing | Stage::Copying => {
            manifests.extend(kept(names, moving, from));
            manifests.extend(server(view, defaults));
            if moving.has_job() {
                manifests.extend(job_parts(view, moving, defaults));
            }
            manifests.extend(kept_binding(names, moving));
        }
        Stage::Switching => {
            manifests.extend(kept(names, moving, from));
            manifests.extend(server(view, defaults));
            manifests.extend(moving.is_analysing().then(|| job_parts(view, moving, defaults)).into_iter().flatten());
            manifests.extend(binding(view));
        }
        Stage::Leaving => {
            manifests.extend(left(names, moving, policy, view.object.metadata.uid.as_deref()));
            manifests.extend(server(view, defaults));
            manifests.extend(moving.is_analysing().then(|| job_parts(view, moving, defaults)).into_iter().flatten());
            manifests.extend(binding(view));
        }
        Stage::Returning if moving.is_back => {
            manifests.extend(server(view, defaults));
            manifests.extend(binding(view));
            manifests.extend(removed(names, moving, policy));
        }
        Stage::Returning => {
            manifests.extend(kept(names, moving, from));
            manifests.extend(kept_binding(names, moving));
            manifests.extend(removed(names, moving, policy));
        }
        Stage::Ending => {
            manifests.extend(kept(names, moving, from));
            manifests.extend(kept(names, moving, to));
            manifests.extend(kept_binding(names, moving));
        }
    }
    manifests
}

/// The children of a provider that a change of the spec would prune. They stay as they are.
fn kept(names: &Names, moving: &MoveView<'_>, provider: ProviderName) -> Vec<Manifest> {
    let all = match provider {
        ProviderName::Postgres => vec![
            unchanged::<StatefulSet>(&names.base),
            unchanged::<Service>(&names.base),
            unchanged::<Service>(&names.pod_service()),
            unchanged::<ServiceAccount>(&names.base),
            unchanged::<ServiceAccount>(&server_account(names)),
            unchanged::<NetworkPolicy>(&names.base),
        ],
        ProviderName::CloudNativePg => {
            vec![unchanged::<NetworkPolicy>(&cluster_child(names)), unchanged::<ServiceAccount>(&cluster_child(names))]
        }
        ProviderName::External => Vec::new(),
    };
    let exists = |manifest: &Manifest| moving.observed.existing.contains(&manifest.reference());
    let woken = moving.observed.cluster.iter().filter(|cluster| {
        // The end of an earlier object has stopped it.
        let stopped_for = cluster.annotations().get(HIBERNATED).is_some_and(|uid| !uid.is_empty());
        provider == ProviderName::CloudNativePg && provider == moving.way.from && stopped_for
    });
    all.into_iter().filter(exists).chain(woken.map(|cluster| with_hibernation(cluster, HIBERNATION_OFF, ""))).collect()
}

fn kept_binding(names: &Names, moving: &MoveView<'_>) -> Option<Manifest> {
    moving.observed.binding.as_ref().map(|_| unchanged::<Secret>(&names.binding))
}

/// An object that exists, and stays as it is.
fn unchanged<K>(name: &str) -> Manifest
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Default + Serialize,
{
    Manifest::new(&named::<K>(name)).once(&[])
}

fn named<K: Resource + Default>(name: &str) -> K {
    let mut object = K::default();
    *object.meta_mut() = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    object
}

/// The target of a move that returns: what is older than the record is not of this move. A volume goes after its pod.
fn removed(names: &Names, moving: &MoveView<'_>, policy: DeletionPolicy) -> Vec<Manifest> {
    let of_this_move = |part: &Part| !part.is_older;
    match moving.way.to {
        ProviderName::Postgres => embedded_data(names, moving, policy, of_this_move),
        ProviderName::CloudNativePg => cluster_data(names, moving, policy, of_this_move),
        ProviderName::External => Vec::new(),
    }
}

/// The source of a move that has ended. Without a policy that deletes them, its data stay.
fn left(names: &Names, moving: &MoveView<'_>, policy: DeletionPolicy, uid: Option<&str>) -> Vec<Manifest> {
    match (moving.way.from, moving.deletes_source) {
        (ProviderName::Postgres, true) => embedded_data(names, moving, policy, |_| true),
        (ProviderName::CloudNativePg, true) => cluster_data(names, moving, policy, |_| true),
        (ProviderName::CloudNativePg, false) => {
            let hibernated = |cluster| with_hibernation(cluster, HIBERNATION_ON, uid.unwrap_or_default());
            moving.observed.cluster.iter().map(hibernated).collect()
        }
        (ProviderName::Postgres, false) | (ProviderName::External, _) => Vec::new(),
    }
}

fn embedded_data(
    names: &Names,
    moving: &MoveView<'_>,
    policy: DeletionPolicy,
    goes: fn(&Part) -> bool,
) -> Vec<Manifest> {
    let parts = &moving.observed.embedded;
    let (claim, secret) = (names.volume(0), administrator(names));
    let mark = |part: Option<Part>| part.filter(goes).map(|part| part.mark);
    // A pod that is ending still uses its volume.
    let claim_mark = if parts.set || parts.pod { mark(parts.claim).map(|_| Mark::Other) } else { mark(parts.claim) };
    [
        gone::<PersistentVolumeClaim>(&claim, claim_mark, policy),
        gone::<Secret>(&secret, mark(parts.administrator), policy),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cluster_data(
    names: &Names,
    moving: &MoveView<'_>,
    policy: DeletionPolicy,
    goes: fn(&Part) -> bool,
) -> Vec<Manifest> {
    let found = moving.observed;
    let account = cluster_child(names);
    let mark = |part: Option<Part>| part.filter(goes).map(|part| part.mark);
    let has_account = found.existing.contains(&format!("ServiceAccount/{account}"));
    [
        gone::<Cluster>(&names.base, mark(found.cluster_part), policy),
        gone::<Secret>(&cluster_administrator(names), mark(found.cluster_administrator), policy),
        has_account.then(|| Manifest::absent::<ServiceAccount>(&account)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Data that must go. Only those with the mark of this object are deleted, so they get it first.
fn gone<K>(name: &str, mark: Option<Mark>, policy: DeletionPolicy) -> Option<Manifest>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match mark? {
        Mark::Own => Some(Manifest::absent::<K>(name)),
        Mark::Other => {
            let mut manifest = Manifest::absent::<K>(name).once(&[]);
            manifest.lifetime = Lifetime::Data(policy);
            Some(manifest)
        }
    }
}

/// A `Cluster` with the spec that it has, whose servers are stopped or started. The UID shows that this was not the user's wish.
fn with_hibernation(cluster: &Cluster, value: &str, uid: &str) -> Manifest {
    let mut changed = Cluster::new(&cluster.name_any(), cluster.spec.clone());
    let annotations = [(HIBERNATION, value), (HIBERNATED, uid)];
    let annotations = annotations.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    changed.metadata.annotations = Some(annotations.collect());
    Manifest::new(&changed).data(DeletionPolicy::Retain).operated_by(OPERATOR)
}

fn job_parts(view: &View<'_>, moving: &MoveView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let names = &view.names;
    let pods = Pods::new(move_name(names), move_selector(names), &view.object.spec.pods);
    let mut manifests: Vec<Manifest> = pods.account().into_iter().collect();
    let sides = [moving.way.from, moving.way.to];
    let policies = sides.into_iter().filter_map(|side| network_policy::for_move(view, side, defaults));
    manifests.extend(policies.map(|policy| Manifest::new(&policy)));
    manifests.push(Manifest::new(&network_policy::of_move(view, defaults)));
    manifests.push(Manifest::new(&job::job(view, moving, &pods, defaults)).once(&[]));
    manifests
}

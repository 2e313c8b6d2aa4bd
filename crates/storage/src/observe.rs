//! How the observed state of a pass is gathered. Reads only.

mod engine;
mod rook;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::ObjectStorage,
    binding,
    login::{self, Bound},
    provider,
    watches::{Child, Configuration, Relation, Sources, Watches},
    world::{ReadError, World},
};

use crate::{
    access,
    engine::Kind,
    names::{self, BUCKET, KEY_ID, MOST_BUCKETS, Names},
    observed::{External, Memory, Observed, Provider, Survey},
};

/// The watches besides those of the objects themselves.
pub(crate) fn watches() -> Watches<ObjectStorage> {
    let mut children = vec![
        Child::owned::<Secret>(),
        Child::owned::<Service>(),
        Child::owned::<ServiceAccount>(),
        Child::owned::<NetworkPolicy>(),
        Child::owned::<PodDisruptionBudget>(),
        Child::owned::<StatefulSet>(),
        Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: false }),
        Child::new::<Pod>(Relation::Restarted { labelled: false }),
    ];
    children.extend(rook::children());
    Watches {
        children,
        sources: Sources::default(),
        configuration: |_| Configuration::Nothing,
        elsewhere: rook::elsewhere(),
        ..Watches::default()
    }
}

/// Gathers the observed state.
pub(crate) async fn observe(object: &ObjectStorage, world: &World<'_>) -> Result<Observed, ReadError> {
    let names = Names::new(object);
    let claims = world.children.all::<PersistentVolumeClaim>().iter().map(ResourceExt::name_any).collect();
    let series: Vec<String> = login::series(world.children, &names.base).into_iter().collect();
    let buckets = buckets(object, &series);
    let bound: BTreeMap<String, Bound> =
        buckets.keys().filter_map(|name| Some((name.clone(), bound(&names, name, world)?))).collect();
    let provider = if let Some(external) = &object.spec.provider.external {
        let source = provider::External::observe(external, world).await?;
        let survey = match access::read(&source.name, source.secret.as_ref()).read {
            Ok(store) => survey::external(&store, &buckets).await,
            Err(_) => Survey::Unasked,
        };
        Provider::External(Box::new(External { source, survey }))
    } else if let Some(rook) = &object.spec.provider.rook {
        Provider::Rook(Box::new(rook::observe(object, rook, &buckets, world).await?))
    } else {
        let kind = Kind::new(object);
        Provider::Embedded(Box::new(engine::observe(object, &kind, &names, &buckets, &bound, world).await?))
    };
    let endpoints = buckets.keys().filter_map(|name| Some((name.clone(), endpoint(&names, name, world)?))).collect();
    let memory = world.memo::<Memory>();
    memory.refusals.retain(|bucket| buckets.contains_key(bucket) || provider.has_granted(bucket));
    memory.lasting.retain(|bucket| buckets.contains_key(bucket));
    memory.loose.retain(|bucket| buckets.contains_key(bucket));
    let (refused, loose) = (memory.refusals.all(), memory.loose.due());
    Ok(Observed { bound, endpoints, series, claims, refused, loose, provider })
}

/// The buckets to look at, and whether each is wanted: those of the spec, those of the status, and those that have logins.
fn buckets(object: &ObjectStorage, series: &[String]) -> BTreeMap<String, bool> {
    let wanted = object.spec.buckets.iter().map(|bucket| (bucket.name.clone(), true));
    let recorded = object.status.iter().flat_map(|status| &status.buckets).map(|bucket| &bucket.name);
    let others: BTreeSet<String> = recorded.chain(series).cloned().collect();
    let mut buckets: BTreeMap<String, bool> = wanted.take(MOST_BUCKETS).collect();
    for name in others.into_iter().take(MOST_BUCKETS) {
        buckets.entry(name).or_insert(false);
    }
    buckets
}

/// The endpoint in a bucket's binding.
fn endpoint(names: &Names, bucket: &str, world: &World<'_>) -> Option<String> {
    let binding: Secret = world.children.find(&names::bucket_binding(names, bucket))?;
    binding::text(&binding, access::ENDPOINT).map(str::to_owned)
}

/// The content of a bucket's binding.
fn bound(names: &Names, bucket: &str, world: &World<'_>) -> Option<Bound> {
    Bound::read_keys(world.children, &names::bucket_binding(names, bucket), KEY_ID, BUCKET)
}

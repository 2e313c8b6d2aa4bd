//! The bill of materials, in the order of applying. A step that is not reached keeps what is there as it is.

mod deployment;
mod job;
mod krab;
mod network_policy;
mod pod;
mod secret;
mod service;
#[cfg(test)]
mod snapshot;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::Secret,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::Serialize;
use temporal_stack_common::{api::Temporal, manifest::Manifest, volume, workload};

pub(crate) use job::{account_name, migration_name};
pub(crate) use pod::ROLE;
pub(crate) use secret::{FOR_NAMES, JWT, KEYSTORE, KRAB, RENEWAL};

use crate::{
    Defaults, certificate, environment, names,
    observe::{Observed, State, Tls},
    order::{self, Step},
    role::{Role, WORKERS},
};

/// What is wanted in the cluster.
pub(crate) fn desire(object: &Temporal, observed: &Observed, defaults: &Defaults) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let (step, _) = order::first_open(object, observed);
    let mut manifests = vec![Manifest::new(&secret::keys(object)).once(&secret::DRAWN).data(policy)];
    manifests.push(Manifest::new(&service::api(object, observed)));
    manifests.push(Manifest::new(&service::krab(object)));
    manifests.extend(network_policy::policies(object, defaults).iter().map(Manifest::new));
    if let Tls::Made(made) = &observed.tls {
        manifests.push(Manifest::new(&secret::certificate_keys(object)).once(&certificate::DRAWN).data(policy));
        let certificate = secret::certificate(object, observed, made.as_ref());
        manifests.extend(certificate.iter().map(Manifest::new));
    }
    manifests.extend(environments(object, observed));
    let claim = volume::claim(&names::volume(object), &object.spec.krab.storage);
    manifests.push(Manifest::new(&claim).existing().data(policy));
    manifests.extend(unfinished(object, observed, step).map(|name| kept::<Job>(name)));
    if step >= Step::Migration {
        manifests.push(Manifest::new(&job::migration(object, observed, defaults)).once(&[]));
    }
    if step >= Step::Krab {
        manifests.push(Manifest::new(&krab::set(object, observed)).remade_on(workload::IMMUTABLE));
    } else {
        manifests.extend(kept_if_there::<StatefulSet>(&names::krab(object), observed));
    }
    let parts = WORKERS.into_iter().map(|role| (role, Step::Workers)).chain([(Role::Api, Step::Api)]);
    for (role, its_step) in parts {
        if step >= its_step {
            manifests.push(Manifest::new(&deployment::deployment(role, object, observed, defaults)));
        } else {
            manifests.extend(kept_if_there::<Deployment>(&names::child(object, role.name()), observed));
        }
    }
    let several = WORKERS.into_iter().chain([Role::Api]).filter(|role| role.replicas(object) > 1);
    for role in several {
        let name = names::child(object, role.name());
        manifests.push(Manifest::new(&workload::one_at_a_time(name, pod::selector(object, role.name()))));
    }
    manifests.extend(object.spec.ingress.iter().map(|ingress| Manifest::new(&service::ingress(object, ingress))));
    if step >= Step::Krab {
        manifests.extend(job::accounts(object, observed, defaults).iter().map(|job| Manifest::new(job).once(&[])));
    }
    manifests.push(Manifest::new(&secret::binding(object, observed)));
    manifests
}

/// The Jobs that are not to be decided about yet.
fn unfinished<'a>(object: &'a Temporal, observed: &'a Observed, step: Step) -> impl Iterator<Item = &'a String> {
    let is_open = move |name: &&String| step < Step::Migration || (step < Step::Krab && job::is_account(object, name));
    observed.jobs.iter().filter(is_open)
}

/// The environments, as far as they are known; else what there is, where something reads it.
fn environments(object: &Temporal, observed: &Observed) -> Vec<Manifest> {
    let clients = (names::environment(object), environment::of_clients(object, observed));
    let krab = (names::krab_environment(object), environment::of_krab(observed));
    let is_there = |name: &String| observed.secrets.contains(name);
    let readers = |name: &String| {
        let roles = WORKERS.into_iter().chain([Role::Api]).filter(|_| *name == names::environment(object));
        roles.map(|role| format!("Deployment/{}", names::child(object, role.name()))).collect::<Vec<_>>()
    };
    let manifest = |(name, variables): (String, Option<_>)| match variables {
        Some(variables) => {
            let readers = readers(&name);
            Some(Manifest::new(&secret::environment(name, variables)).read_by(readers))
        }
        None => is_there(&name).then(|| kept::<Secret>(&name)),
    };
    [clients, krab].into_iter().filter_map(manifest).collect()
}

/// What is there stays as it is.
fn kept<K>(name: &str) -> Manifest
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Default + Serialize,
{
    let mut object = K::default();
    *object.meta_mut() = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    Manifest::new(&object).once(&[])
}

fn kept_if_there<K>(name: &str, observed: &Observed) -> Option<Manifest>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Default + Serialize,
{
    (observed.state_of(name) != State::Absent).then(|| kept::<K>(name))
}

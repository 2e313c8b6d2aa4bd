//! The bill of materials, in the order of applying. Objects of steps that are not reached are kept unchanged.

mod deployment;
mod environment;
mod job;
mod krab;
mod network_policy;
mod pod;
mod probe;
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
use temporal_stack_common::{
    manifest::{Draw, Manifest, secret as generated},
    volume, workload,
};

use crate::{
    decide::{certificate, order::Step, tls::Tls, view::View},
    names::{JWT_KEY, KRAB_AUTH_KEY, KRAB_PASSWORD},
    role::{ROLES, Role},
};

/// The desired objects if this step is the first incomplete one.
pub(crate) fn desire(view: &View<'_>, step: Step) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.spec.deletion_policy);
    let keys = [Draw::Letters(JWT_KEY), Draw::Letters(KRAB_AUTH_KEY), Draw::Letters(KRAB_PASSWORD)];
    let mut manifests = vec![
        Manifest::new(&generated(names.keys.clone(), &[])).once(&keys).data(policy),
        Manifest::new(&service::clients(view)),
        Manifest::new(&service::krab(names)),
    ];
    manifests.extend(pod::accounts(view));
    manifests.extend(network_policy::policies(view).iter().map(Manifest::new));
    if let Ok(Tls::Generated(issued)) = &view.tls {
        let keys = generated(names.certificate_keys.clone(), &[]);
        manifests.push(Manifest::new(&keys).once(&certificate::GENERATED).data(policy));
        manifests.extend(issued.iter().map(|issued| Manifest::new(&secret::certificate(names, issued))));
    }
    manifests.extend(environments(view));
    let claim = volume::claim(&names.krab_volume, &view.spec.krab.storage);
    manifests.push(Manifest::new(&claim).existing().data(policy));
    manifests.extend(undecided_jobs(view, step).map(|name| kept::<Job>(name)));
    if step >= Step::Migration {
        manifests.push(Manifest::new(&job::migration(view)).once(&[]));
    }
    if step >= Step::Krab {
        manifests.push(Manifest::new(&krab::set(view)).remade_on(workload::IMMUTABLE));
    } else {
        manifests.extend(view.observed.krab.as_ref().map(|_| kept::<StatefulSet>(&names.krab)));
    }
    manifests.extend(ROLES.into_iter().filter_map(|role| deployment(view, step, role)));
    for role in ROLES.into_iter().filter(|role| role.replicas(view.spec) > 1) {
        let budget = workload::one_at_a_time(names.child(role.name()), names.pods(role.name()));
        manifests.push(Manifest::new(&budget));
    }
    manifests.extend(view.spec.ingress.iter().map(|ingress| Manifest::new(&service::ingress(names, ingress))));
    if step >= Step::Krab {
        let due = view.admins.iter().filter(|admin| admin.needs_job());
        manifests.extend(due.map(|admin| Manifest::new(&job::account(view, admin)).once(&[])));
    }
    manifests.push(Manifest::new(&secret::binding(view)));
    manifests
}

fn deployment(view: &View<'_>, step: Step, role: Role) -> Option<Manifest> {
    let name = view.names.child(role.name());
    if step >= Step::for_role(role) {
        return Some(Manifest::new(&deployment::deployment(view, role)));
    }
    view.observed.deployments.contains_key(&name).then(|| kept::<Deployment>(&name))
}

/// The existing Jobs about which nothing is decided before their step.
fn undecided_jobs<'a>(view: &View<'a>, step: Step) -> impl Iterator<Item = &'a String> {
    let names = view.names.clone();
    let is_undecided = move |name: &&String| step < Step::Migration || (step < Step::Krab && names.is_account(name));
    view.observed.jobs.keys().filter(is_undecided)
}

/// The environments if all of their variables are known; else the existing ones are kept.
fn environments(view: &View<'_>) -> impl Iterator<Item = Manifest> {
    let names = &view.names;
    let readers = ROLES.map(|role| format!("Deployment/{}", names.child(role.name()))).to_vec();
    let clients = (&names.environment, environment::clients(view), readers);
    let krab = (&names.krab_environment, environment::krab(view), Vec::new());
    [clients, krab].into_iter().filter_map(|(name, variables, readers)| match variables {
        Some(variables) => Some(Manifest::new(&secret::environment(name, variables)).read_by(readers)),
        None => view.observed.secrets.contains_key(name).then(|| kept::<Secret>(name)),
    })
}

/// An object that is kept unchanged.
fn kept<K>(name: &str) -> Manifest
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Default + Serialize,
{
    let mut object = K::default();
    *object.meta_mut() = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    Manifest::new(&object).once(&[])
}

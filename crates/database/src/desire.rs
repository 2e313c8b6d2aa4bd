//! The bill of materials, in the order of applying.

#[cfg(test)]
mod initialise;
mod network_policy;
mod secret;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use temporal_stack_common::{
    api::PostgresDatabase,
    login,
    manifest::{Draw, Manifest},
    volume, workload,
};

use crate::{
    Defaults, names,
    observe::{Embedded, Observed, Source},
};

/// What is wanted in the cluster.
pub(crate) fn desire(object: &PostgresDatabase, observed: &Observed, defaults: &Defaults) -> Vec<Manifest> {
    match &observed.source {
        Source::External(access) => {
            access.iter().map(|access| Manifest::new(&secret::external_binding(object, access))).collect()
        }
        Source::Embedded(embedded) => embedded_server(object, observed, embedded, defaults),
    }
}

fn embedded_server(
    object: &PostgresDatabase,
    observed: &Observed,
    embedded: &Embedded,
    defaults: &Defaults,
) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let mut manifests = vec![
        Manifest::new(&secret::administrator(object)).once(&[Draw::Letters(login::PASSWORD)]).data(policy),
        Manifest::new(&volume::claim(&names::volume(object), &embedded.provider.storage)).existing().data(policy),
        Manifest::new(&service::pods(object)),
        Manifest::new(&service::clients(object)),
        Manifest::new(&network_policy::policy(object, defaults)),
        Manifest::new(&stateful_set::server(object, embedded, defaults)).remade_on(workload::IMMUTABLE),
    ];
    manifests.extend(logins(object, observed, embedded));
    manifests.push(match secret::binding(object, observed) {
        Some(binding) => Manifest::new(&binding),
        // Its name is needed later: better to know now that somebody else has it.
        None => Manifest::new(&secret::reserved_binding(object)).existing(),
    });
    manifests
}

fn logins(object: &PostgresDatabase, observed: &Observed, embedded: &Embedded) -> Vec<Manifest> {
    let bound = observed.bound.as_ref();
    let next = login::next(observed.settings.wanted(embedded.rotation.as_deref()), embedded.newest(), bound);
    let active = observed.active_login().map(|login| login.number);
    login::manifests(&names::server(object), &embedded.logins, bound, active, next, object.spec.deletion_policy)
}

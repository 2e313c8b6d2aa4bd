//! The bill of materials, in the order of applying.

mod secret;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;
mod volume_claim;

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{api::PostgresDatabase, manifest::Manifest};

use crate::{
    Defaults, login, names,
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
        Manifest::new(&secret::administrator(object)).once(&[names::PASSWORD]).data(policy),
        Manifest::new(&volume_claim::existing(object, embedded)).existing().data(policy),
        Manifest::new(&service::pods(object)),
        Manifest::new(&service::clients(object)),
        Manifest::new(&stateful_set::server(object, embedded, defaults)).remade_on(stateful_set::IMMUTABLE),
    ];
    manifests.extend(logins(object, observed, embedded));
    manifests.push(match secret::binding(object, observed) {
        Some(binding) => Manifest::new(&binding),
        // Its name is needed later: better to know now that somebody else has it.
        None => Manifest::new(&secret::reserved_binding(object)).existing(),
    });
    manifests
}

/// The next login if one is wanted, the newest and the active one; those before them have had their time.
fn logins(object: &PostgresDatabase, observed: &Observed, embedded: &Embedded) -> Vec<Manifest> {
    let policy = object.spec.deletion_policy;
    let active = observed.active_login().map(|login| login.number);
    let bound = observed.bound.as_ref().and_then(|bound| bound.number);
    let mut manifests: Vec<Manifest> = embedded
        .logins
        .iter()
        .map(|login| {
            // What the binding holds stays until the binding holds something newer.
            let is_past =
                active.is_some_and(|active| login.number < active) && bound.is_some_and(|bound| login.number < bound);
            if is_past {
                Manifest::absent::<Secret>(&names::login(object, login.number))
            } else {
                Manifest::new(&secret::login(object, login)).once(&[]).data(policy)
            }
        })
        .collect();
    // Generated logins take turns, so the next is made when the newest has reached the binding; what the user names is theirs.
    let newest = embedded.newest();
    let settled = newest.is_none_or(|newest| active == Some(newest.number));
    let next = login::next(&observed.settings, newest, observed.bound.as_ref(), embedded.rotation.as_deref());
    if let Some(next) = next.filter(|next| settled || next.named) {
        let drawn: &[&'static str] = if next.password.is_some() { &[] } else { &[names::PASSWORD] };
        manifests.push(Manifest::new(&secret::next_login(object, &next)).once(drawn).data(policy));
    }
    manifests
}

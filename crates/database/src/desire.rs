//! The bill of materials, in the order of applying.

#[cfg(test)]
mod initialise_tests;
mod network_policy;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use temporal_stack_common::{
    address::Endpoint,
    login,
    manifest::Manifest,
    provider::Provider,
    volume,
    workload::{self, Pods},
};

use crate::{
    Defaults,
    decide::view::{EmbeddedView, View},
    names::{ADMINISTRATOR, BINDING, PORT, administrator, selector},
};

/// The desired objects.
pub(crate) fn desire(view: &View<'_>, defaults: &Defaults) -> Vec<Manifest> {
    match &view.provider {
        Provider::External(access) => BINDING.external(&view.names.binding, access),
        Provider::Embedded(embedded) => embedded_server(view, embedded, defaults),
    }
}

fn embedded_server(view: &View<'_>, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let pods = Pods::new(names.base.clone(), selector(names), &view.object.spec.pods);
    let mut manifests = vec![login::administrator(administrator(names), ADMINISTRATOR, policy)];
    manifests.extend(pods.account());
    manifests.extend([
        Manifest::new(&volume::claim(&names.volume(0), &embedded.provider.storage)).existing().data(policy),
        Manifest::new(&service::pods(names)),
        Manifest::new(&service::clients(names)),
        Manifest::new(&network_policy::policy(view, defaults)),
        Manifest::new(&stateful_set::server(view, embedded, &pods, defaults)).remade_on(workload::IMMUTABLE),
    ]);
    manifests.extend(embedded.rotation.manifests(policy));
    let access = embedded.application(Endpoint { host: names.host(&names.base), port: PORT });
    manifests.push(embedded.rotation.binding(&names.binding, BINDING, "postgres", access.as_ref()));
    manifests
}

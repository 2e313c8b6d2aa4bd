//! The bill of materials, in the order of applying.

mod cloud_native_pg;
#[cfg(test)]
mod initialise_tests;
mod network_policy;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use temporal_stack_common::{
    address::Endpoint,
    login,
    manifest::Manifest,
    volume,
    workload::{self, Pods},
};

use crate::{
    Defaults,
    cloud_native_pg::ClusterSpec,
    decide::{
        cloud_native_pg::View as ClusterView,
        view::{EmbeddedView, Runner, ServerView, View},
    },
    names::{
        ADMINISTRATOR, BINDING, OPERATOR, PORT, PROVIDER, READ_HOST, RELOAD_LABEL, SUPERUSER, administrator,
        cluster_administrator, primary_service, read_service, selector,
    },
    observed::Provider,
};

/// The desired objects.
pub(crate) fn desire(view: &View<'_>, defaults: &Defaults) -> Vec<Manifest> {
    match &view.provider {
        Provider::External(access) => BINDING.external(&view.names.binding, access),
        Provider::Administered(server) => match &server.runner {
            Runner::Embedded(embedded) => embedded_server(view, server, embedded, defaults),
            Runner::CloudNativePg(cluster) => delegated_server(view, server, cluster, defaults),
        },
    }
}

/// The spec of the cluster of CloudNativePG.
pub(crate) fn cluster_spec(view: &View<'_>, cluster: &ClusterView<'_>) -> ClusterSpec {
    cloud_native_pg::spec(view, cluster)
}

fn embedded_server(
    view: &View<'_>,
    server: &ServerView<'_>,
    embedded: &EmbeddedView<'_>,
    defaults: &Defaults,
) -> Vec<Manifest> {
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
    manifests.extend(server.rotation.manifests(policy));
    let access = server.application(Endpoint { host: names.host(&names.base), port: PORT });
    manifests.push(server.rotation.binding(&names.binding, BINDING, "postgres", access.as_ref()));
    manifests
}

/// The cluster is data, because its volumes go with it.
fn delegated_server(
    view: &View<'_>,
    server: &ServerView<'_>,
    cluster: &ClusterView<'_>,
    defaults: &Defaults,
) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let mut superuser = login::administrator(cluster_administrator(names), SUPERUSER, policy);
    // Without the label CloudNativePG does not take up another password.
    superuser.object["metadata"]["labels"][RELOAD_LABEL] = "true".into();
    let mut manifests = vec![
        superuser,
        Manifest::new(&network_policy::of_cluster(view, defaults)),
        Manifest::new(&cloud_native_pg::cluster(view, cluster)).data(policy).operated_by(OPERATOR),
    ];
    manifests.extend(server.rotation.manifests(policy));
    let access = server.application(Endpoint { host: names.host(&primary_service(names)), port: PORT });
    let binding = access.map(|access| with_read_host(BINDING.bind(&names.binding, PROVIDER, &access), view));
    manifests.push(server.rotation.bind(&names.binding, binding));
    manifests
}

/// A binding with a second host, for queries that only read.
fn with_read_host(mut binding: Secret, view: &View<'_>) -> Secret {
    let host = view.names.host(&read_service(&view.names));
    binding.data.get_or_insert_default().insert(READ_HOST.to_owned(), ByteString(host.into_bytes()));
    binding
}

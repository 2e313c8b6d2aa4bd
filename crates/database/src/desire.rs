//! The bill of materials, in the order of applying.

mod cloud_native_pg;
#[cfg(test)]
mod initialise_tests;
mod moving;
#[cfg(test)]
mod moving_tests;
mod network_policy;
mod service;
#[cfg(test)]
mod snapshot;
mod stateful_set;
mod version;

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
        view::{EmbeddedView, Runner, View},
    },
    names::{
        ADMINISTRATOR, BINDING, OPERATOR, PORT, PROVIDER, READ_HOST, RELOAD_LABEL, SUPERUSER, administrator,
        cluster_administrator, primary_service, read_service, selector,
    },
    observed::{Provider, Template},
};

/// The desired objects.
pub(crate) fn desire(view: &View<'_>, defaults: &Defaults) -> Vec<Manifest> {
    if let Some(moving) = &view.moving {
        return moving::desire(view, moving, defaults);
    }
    let mut manifests = server(view, defaults);
    manifests.extend(binding(view));
    manifests
}

/// The server that the spec names, if the controller administers it, and its logins.
fn server(view: &View<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let Provider::Administered(server) = &view.provider else { return Vec::new() };
    let mut manifests = match &server.runner {
        Runner::Embedded(embedded) => embedded_server(view, embedded, defaults),
        Runner::CloudNativePg(cluster) => delegated_server(view, cluster, defaults),
    };
    manifests.extend(server.rotation.manifests(view.object.spec.deletion_policy));
    manifests
}

/// The binding to it.
fn binding(view: &View<'_>) -> Vec<Manifest> {
    let names = &view.names;
    let server = match &view.provider {
        Provider::External(access) => return BINDING.external(&names.binding, access),
        Provider::Administered(server) => server,
    };
    let service = match server.runner {
        Runner::Embedded(_) => names.base.clone(),
        Runner::CloudNativePg(_) => primary_service(names),
    };
    let access = server.application(Endpoint { host: names.host(&service), port: PORT });
    let binding = access.map(|access| match server.runner {
        Runner::Embedded(_) => BINDING.bind(&names.binding, "postgres", &access),
        Runner::CloudNativePg(_) => with_read_host(BINDING.bind(&names.binding, PROVIDER, &access), view),
    });
    vec![server.rotation.bind(&names.binding, binding)]
}

/// The spec of the cluster of CloudNativePG.
pub(crate) fn cluster_spec(view: &View<'_>, cluster: &ClusterView<'_>) -> ClusterSpec {
    cloud_native_pg::spec(view, cluster)
}

/// What the pod template of an embedded server says about restarts.
pub(crate) fn server_template(view: &View<'_>, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Template {
    let pods = Pods::new(embedded.account.clone(), selector(&view.names), &view.object.spec.pods);
    stateful_set::restarts(embedded, &pods, defaults)
}

/// The Job that reports the version of an image.
pub(crate) fn version_job(view: &View<'_>, embedded: &EmbeddedView<'_>, image: &str) -> Manifest {
    Manifest::new(&version::job(view, embedded, image)).once(&[])
}

fn embedded_server(view: &View<'_>, embedded: &EmbeddedView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let pods = Pods::new(embedded.account.clone(), selector(names), &view.object.spec.pods);
    let mut manifests = vec![login::administrator(administrator(names), ADMINISTRATOR, policy)];
    manifests.extend(pods.account());
    manifests.extend([
        Manifest::new(&volume::claim(&names.volume(0), &embedded.provider.storage)).existing().data(policy),
        Manifest::new(&service::pods(names)),
        Manifest::new(&service::clients(names)),
        Manifest::new(&network_policy::policy(view, defaults)),
        Manifest::new(&stateful_set::server(view, embedded, &pods, defaults)).remade_on(workload::IMMUTABLE),
    ]);
    manifests
}

/// The cluster is data, because its volumes go with it.
fn delegated_server(view: &View<'_>, cluster: &ClusterView<'_>, defaults: &Defaults) -> Vec<Manifest> {
    let (names, policy) = (&view.names, view.object.spec.deletion_policy);
    let mut superuser = login::administrator(cluster_administrator(names), SUPERUSER, policy);
    // Without the label CloudNativePG does not take up another password.
    superuser.object["metadata"]["labels"][RELOAD_LABEL] = "true".into();
    let mut manifests = vec![superuser, Manifest::new(&network_policy::of_cluster(view, defaults))];
    manifests.extend(cloud_native_pg::account(view, cluster).map(|account| Manifest::new(&account).data(policy)));
    // A cluster that is not set up yet would be set up before it stops.
    if cluster.cluster().is_some() || !view.must_sleep() {
        manifests.push(Manifest::new(&cloud_native_pg::cluster(view, cluster)).data(policy).operated_by(OPERATOR));
    }
    manifests
}

/// A binding with a second host, for queries that only read.
fn with_read_host(mut binding: Secret, view: &View<'_>) -> Secret {
    let host = view.names.host(&read_service(&view.names));
    binding.data.get_or_insert_default().insert(READ_HOST.to_owned(), ByteString(host.into_bytes()));
    binding
}

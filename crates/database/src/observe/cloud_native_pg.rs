//! How the state of a cluster that CloudNativePG runs is gathered. Reads only.

use k8s_openapi::{api::core::v1::Service, jiff::Timestamp};
use kube::ResourceExt;
use temporal_stack_common::{
    address::Endpoint,
    names::Names,
    world::{Admission, ReadError, World},
};

use super::read_server;
use crate::{
    cloud_native_pg::{Cluster, GROUP, Memory, Observed},
    names::{OPERATOR, PORT, SUPERUSER, primary_service},
    observed::{Administered, Runner, Server},
};

/// Gathers it. `before` is what is known of every server.
pub(super) async fn observe(
    names: &Names,
    before: Administered,
    database: &str,
    world: &World<'_>,
) -> Result<Administered, ReadError> {
    let now = Timestamp::now();
    if !world.children.has_kind::<Cluster>() {
        let versions = world.versions_of(GROUP).await.map_err(reading(GROUP))?;
        let observed = Observed { is_served: false, versions, now, ..Observed::default() };
        return Ok(Administered { runner: Runner::CloudNativePg(Box::new(observed)), ..before });
    }
    let cluster: Option<Cluster> = world.children.find(&names.base);
    let (known_for, operators) =
        cluster.as_ref().map(|cluster| world.memo::<Memory>().look(cluster)).unwrap_or_default();
    let admission = match &cluster {
        Some(cluster) if cluster.metadata.deletion_timestamp.is_none() => {
            let name = cluster.name_any();
            world.admission::<Cluster>(&name, OPERATOR).await.map_err(reading(&format!("Cluster/{name}")))?
        }
        _ => Admission::Unknown,
    };
    let service = primary(names, cluster.as_ref(), world).await?;
    let server = match (&before.administrator, &service) {
        (Some(password), Some(endpoint)) => {
            read_server(endpoint.clone(), (SUPERUSER, password), database, &before.logins).await.into()
        }
        _ => Server::Absent,
    };
    let observed = Observed { is_served: true, versions: Vec::new(), cluster, known_for, operators, admission, now };
    Ok(Administered { service, server, runner: Runner::CloudNativePg(Box::new(observed)), ..before })
}

/// The address of the Service of the primary, once there is one.
pub(super) async fn primary(
    names: &Names,
    cluster: Option<&Cluster>,
    world: &World<'_>,
) -> Result<Option<Endpoint>, ReadError> {
    let has_primary = cluster
        .and_then(|cluster| cluster.status.as_ref())
        .is_some_and(|status| !status.current_primary.is_empty() && status.ready_instances > 0);
    if !has_primary {
        return Ok(None);
    }
    let name = primary_service(names);
    let service: Option<Service> = world.get(&name).await.map_err(reading(&format!("Service/{name}")))?;
    let host = service.and_then(|service| service.spec?.cluster_ip).filter(|ip| ip != "None" && !ip.is_empty());
    Ok(host.map(|host| Endpoint { host, port: PORT }))
}

fn reading(what: &str) -> impl FnOnce(kube::Error) -> ReadError {
    let what = what.to_owned();
    |source| ReadError { what, source }
}

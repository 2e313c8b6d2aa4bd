//! How the observed state of a pass is gathered. Reads only.

mod cloud_native_pg;
mod moving;
pub(crate) mod version;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use kube::{Resource, ResourceExt};
use temporal_stack_common::{
    address::Endpoint,
    api::PostgresDatabase,
    given,
    login::{self, Bound, Login},
    names::Names,
    provider::External,
    readiness, volume,
    watches::{Child, Configuration, Relation, Sources, Watches},
    workload,
    world::{ReadError, World},
};

use crate::{
    access,
    cloud_native_pg::Cluster,
    moving::{Move, ProviderName},
    names::{ADMINISTRATOR, CONFIG, DATABASE, PORT, administrator, cluster_administrator, config_map, owner_role},
    observed::{Administered, Embedded, Known, Observed, Provider, Runner, Server, Traces},
    postgres::{self, Failure},
    settings::{self, InUse},
};

/// The watches besides those of the objects themselves.
pub(crate) fn watches() -> Watches<PostgresDatabase> {
    Watches {
        children: vec![
            Child::owned::<Secret>(),
            Child::owned::<Service>(),
            Child::owned::<ServiceAccount>(),
            Child::owned::<NetworkPolicy>(),
            Child::owned::<StatefulSet>(),
            Child::owned::<Job>(),
            Child::owned::<Cluster>(),
            Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: true }),
            Child::new::<Pod>(Relation::Restarted { labelled: false }),
        ],
        sources: Sources { config_maps: &[CONFIG], secrets: &[] },
        configuration: |object| {
            Configuration::new(object.spec.provider.external.is_some(), object.spec.config.config_map.as_deref())
        },
        ..Watches::default()
    }
}

/// Gathers the observed state.
pub(crate) async fn observe(object: &PostgresDatabase, world: &World<'_>) -> Result<Observed, ReadError> {
    let names = Names::new(object);
    let is_delegated = object.spec.provider.cloud_native_pg.is_some();
    let map = world.config_map(config_map(object)).await?;
    let config = map.map(|map| settings::read(&given::texts_of_map(map), is_delegated));
    let bound = Bound::read(world.children, &names.binding, DATABASE);
    let logins = login::read_all(world.children, object.meta(), &names.base, bound.as_ref());
    let database = settings::database_of(object, config.as_ref(), InUse::new(bound.as_ref(), &logins));
    let provider = if let Some(external) = &object.spec.provider.external {
        Provider::External(External::observe(external, world).await?)
    } else {
        Provider::Administered(Box::new(administered(object, &names, logins, &database, world).await?))
    };
    let (default_source, traces) = (world.default_source.clone(), traces(&names, world));
    let (record, wanted) = (moving::record(&names, world.children), ProviderName::of_spec(object));
    let moving = match Move::find(record.as_ref(), traces.bound, wanted) {
        Some(way) => {
            let wanted = (wanted, database.as_str(), provider.administered());
            Some(Box::new(moving::observe((&names, object.meta().uid.as_deref()), way, record, wanted, world).await?))
        }
        None => None,
    };
    Ok(Observed { config, default_source, bound, traces, moving, provider })
}

fn traces(names: &Names, world: &World<'_>) -> Traces {
    let claim: Option<PersistentVolumeClaim> = world.children.find(&names.volume(0));
    let cluster: Option<Cluster> = world.children.find(&names.base);
    let binding: Option<Secret> = world.children.find(&names.binding);
    Traces {
        claim: claim.map(|claim| claim.name_any()),
        cluster: cluster.map(|cluster| cluster.name_any()),
        bound: binding.and_then(|binding| ProviderName::of_binding(&binding, names)),
        account: world.children.find::<ServiceAccount>(&names.base).is_some(),
    }
}

async fn administered(
    object: &PostgresDatabase,
    names: &Names,
    logins: Vec<Login>,
    database: &str,
    world: &World<'_>,
) -> Result<Administered, ReadError> {
    let password = match &object.spec.password {
        Some(reference) => world.secret(&reference.secret_name).await?,
        None => None,
    };
    let is_delegated = object.spec.provider.cloud_native_pg.is_some();
    let secret = if is_delegated { cluster_administrator(names) } else { administrator(names) };
    let administrator = login::administrator_password(world.children, &secret);
    let before = Administered { password, administrator, logins, ..Administered::default() };
    if is_delegated {
        return cloud_native_pg::observe(names, before, database, world).await;
    }
    let storage = object.spec.provider.postgres.clone().unwrap_or_default().storage;
    let claims = [world.children.find(&names.volume(0))];
    let offer = volume::observe(&storage, &claims, world).await?;
    let [volume] = claims;
    let pods = world.children.pods_of(&names.base, 1);
    let server = match &before.administrator {
        Some(password) => ask(&pods, password, database, &before.logins).await,
        None => Server::Absent,
    };
    let service = workload::service_ip(world.children, &names.base);
    let restart = workload::restart_asked(object, world.children, &names.base);
    let set: Option<StatefulSet> = world.children.find(&names.base);
    let has_set = set.is_some();
    let live =
        set.as_ref().and_then(version::template_of_set).or_else(|| pods.first().and_then(version::template_of_pod));
    let account = set.and_then(|set| set.spec?.template.spec?.service_account_name);
    let has_failed = pods.first().is_some_and(version::has_failed);
    let reports = version::reports(names, object.meta().uid.as_deref(), world).await;
    let embedded = Embedded { volume, offer, restart, account, live, has_set, has_failed, reports };
    Ok(Administered {
        service: service.map(|host| Endpoint { host, port: PORT }),
        server,
        runner: Runner::Embedded(Box::new(embedded)),
        ..before
    })
}

/// Reads the state of the server, by the address of the pod, because its Service has no endpoints until the pod is ready.
async fn ask(pods: &[Pod], password: &str, database: &str, logins: &[Login]) -> Server {
    let Some(endpoint) = ready_pod(pods) else { return Server::Absent };
    read_server(endpoint, (ADMINISTRATOR, password), database, logins).await.into()
}

/// The address of the pod, once it is ready.
fn ready_pod(pods: &[Pod]) -> Option<Endpoint> {
    let ready = pods.iter().find(|pod| readiness::is_ready(pod))?;
    Some(Endpoint { host: ready.status.as_ref()?.pod_ip.clone()?, port: PORT })
}

/// Reads the state of a server as its administrator, of this name and password.
async fn read_server(
    endpoint: Endpoint,
    (username, password): (&str, &str),
    database: &str,
    logins: &[Login],
) -> Result<Known, Failure> {
    let session = postgres::administer(&access::administrator(&endpoint, username, password)).await?;
    let owner = owner_role(database);
    let mut wanted: Vec<&str> = logins.iter().map(|login| login.username.as_str()).collect();
    wanted.push(&owner);
    let roles = session.roles(&wanted, database).await?;
    let (database_owner, is_open) = session.database(database).await?.unzip();
    Ok(Known {
        version: session.version().await?,
        has_owner: roles.iter().any(|role| role.name == owner),
        owner_can_log_in: roles.iter().any(|role| role.name == owner && role.can_log_in),
        database_owner,
        is_open: is_open.unwrap_or(true),
        roles,
        endpoint,
    })
}

//! How the observed state of a pass is gathered. Reads only.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use kube::Resource;
use temporal_stack_common::{
    address::Endpoint,
    api::PostgresDatabase,
    given,
    login::{self, Bound, Login},
    names::Names,
    provider::{External, Provider},
    readiness, volume,
    watches::{Child, Configuration, Relation, Sources, Watches},
    workload,
    world::{ReadError, World},
};

use crate::{
    access,
    names::{CONFIG, DATABASE, PORT, administrator, config_map, owner_role},
    observed::{Embedded, Known, Observed, Server},
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
            Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: false }),
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
    let config = world.config_map(config_map(object)).await?.map(|map| settings::read(&given::texts_of_map(map)));
    let bound = Bound::read(world.children, &names.binding, DATABASE);
    let provider = if let Some(external) = &object.spec.provider.external {
        Provider::External(External::observe(external, world).await?)
    } else {
        let logins = login::read_all(world.children, object.meta(), &names.base, bound.as_ref());
        let in_use = InUse::new(bound.as_ref(), &logins);
        let database = settings::database_of(object, config.as_ref(), in_use);
        Provider::Embedded(Box::new(embedded(object, &names, logins, &database, world).await?))
    };
    Ok(Observed { config, default_source: world.default_source.clone(), bound, provider })
}

async fn embedded(
    object: &PostgresDatabase,
    names: &Names,
    logins: Vec<Login>,
    database: &str,
    world: &World<'_>,
) -> Result<Embedded, ReadError> {
    let password = match &object.spec.password {
        Some(reference) => world.secret(&reference.secret_name).await?,
        None => None,
    };
    let storage = object.spec.provider.postgres.clone().unwrap_or_default().storage;
    let claims = [world.children.find(&names.volume(0))];
    let offer = volume::observe(&storage, &claims, world).await?;
    let [volume] = claims;
    let administrator = login::administrator_password(world.children, &administrator(names));
    let server = match &administrator {
        Some(password) => ask(&world.children.pods_of(&names.base, 1), password, database, &logins).await,
        None => Server::Absent,
    };
    let service = workload::service_ip(world.children, &names.base);
    Ok(Embedded {
        password,
        volume,
        offer,
        administrator,
        logins,
        restart: workload::restart_asked(object, world.children, &names.base),
        service: service.map(|host| Endpoint { host, port: PORT }),
        server,
    })
}

/// Reads the state of the server, by the address of the pod, because its Service has no endpoints until the pod is ready.
async fn ask(pods: &[Pod], password: &str, database: &str, logins: &[Login]) -> Server {
    let ready = pods.iter().find(|pod| readiness::is_ready(pod));
    let Some(host) = ready.and_then(|pod| pod.status.as_ref()?.pod_ip.clone()) else { return Server::Absent };
    read_server(Endpoint { host, port: PORT }, password, database, logins).await.into()
}

async fn read_server(endpoint: Endpoint, password: &str, database: &str, logins: &[Login]) -> Result<Known, Failure> {
    let session = postgres::connect(&access::administrator(&endpoint, password)).await?;
    let owner = owner_role(database);
    let mut wanted: Vec<&str> = logins.iter().map(|login| login.username.as_str()).collect();
    wanted.push(&owner);
    let roles = session.roles(&wanted, database).await?;
    Ok(Known {
        version: session.version().await?,
        has_owner: roles.iter().any(|role| role.name == owner),
        database_owner: session.owner_of(database).await?,
        roles,
        endpoint,
    })
}

//! How the observed state of a pass is gathered. Reads only.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, ReplicaSet, StatefulSet},
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    jiff::Timestamp,
};
use kube::{Resource, ResourceExt, api::ApiResource};
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    api::{
        BindingReference, IpfsCluster, Kind, MessageQueue, PostgresDatabase, Reference, Status, Temporal, TemporalSpec,
    },
    cache::Children,
    failure::chain,
    given,
    neighbour::Neighbour,
    readiness::job_trouble,
    volume,
    watches::{Child, Configuration, Relation, Sources, Watches},
    workload,
    world::{ReadError, World},
};

use crate::{
    access::{self, Dependencies},
    names::{CONFIG, Names, PROGRAMS},
    observed::{Asked, Observed, Queue, References, Referred, Run, Tables},
    postgres, rabbit,
    settings::{self, Settings},
};

/// How many Jobs are looked at: one has the tables of an image, and each administrator has one.
const MOST_JOBS: usize = 100;

/// The watches besides those of the objects themselves.
pub(crate) fn watches() -> Watches<Temporal> {
    Watches {
        children: vec![
            Child::owned::<Secret>(),
            Child::owned::<Service>(),
            Child::owned::<ServiceAccount>(),
            Child::owned::<NetworkPolicy>(),
            Child::owned::<PodDisruptionBudget>(),
            Child::owned::<Job>(),
            Child::owned::<StatefulSet>(),
            Child::owned::<Deployment>(),
            Child::owned::<Ingress>(),
            Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: false }),
            // It leads from a pod to its Deployment.
            Child::new::<ReplicaSet>(Relation::Watched),
            Child::new::<Pod>(Relation::Restarted { labelled: false }),
        ],
        sources: Sources { config_maps: &[CONFIG], secrets: &[] },
        configuration: |object| Configuration::new(false, object.spec.config.config_map.as_deref()),
        neighbours: vec![
            ApiResource::erase::<PostgresDatabase>(&()),
            ApiResource::erase::<MessageQueue>(&()),
            ApiResource::erase::<IpfsCluster>(&()),
        ],
        ..Watches::default()
    }
}

/// Gathers the observed state.
pub(crate) async fn observe(object: &Temporal, world: &World<'_>) -> Result<Observed, ReadError> {
    let (names, spec, children) = (Names::new(object), &object.spec, world.children);
    let name = settings::config_map(spec);
    let config = world.config_map(name).await?.map(given::texts_of_map);
    let settings = Settings::read(spec, config.as_ref(), &world.default_source);
    let references = read_references(spec, world).await?;
    let named = read_named(spec, &settings, world).await?;
    let dependencies = Dependencies::new(spec, &names.namespace, &settings, &references);
    let claims = [children.find(&names.krab_volume)];
    let offer = volume::observe(&spec.krab.storage, &claims, world).await;
    let [volume] = claims;
    let service_ip = |name: &str| workload::service_ip(children, name).filter(|ip| ip.parse::<IpAddr>().is_ok());
    Ok(Observed {
        now: Timestamp::now(),
        tables: ask_database(&dependencies, spec, &named).await,
        queues: ask_broker(&dependencies).await,
        secrets: index(children),
        jobs: read_jobs(world, object.meta().uid.as_deref().unwrap_or_default()).await,
        deployments: index(children),
        krab: children.find(&names.krab),
        pods: children.all(),
        volume,
        offer: offer?,
        restart: workload::restart_asked(object, children, &names.krab),
        api_ip: service_ip(&names.api),
        krab_ip: service_ip(&names.krab),
        default_source: world.default_source.clone(),
        config,
        references,
        named,
    })
}

async fn read_references(spec: &TemporalSpec, world: &World<'_>) -> Result<References, ReadError> {
    let database = |object: &PostgresDatabase| object.status.as_ref()?.binding.clone();
    let queue = |object: &MessageQueue| object.status.as_ref()?.binding.clone();
    let ipfs = |object: &IpfsCluster| object.status.as_ref()?.binding.clone();
    Ok(References {
        database: read_referred(spec.database.as_ref(), database, world).await?,
        queue: read_referred(spec.queue.as_ref(), queue, world).await?,
        ipfs: read_referred(spec.ipfs.as_ref(), ipfs, world).await?,
    })
}

/// The object that a field of the spec refers to, and its binding.
async fn read_referred<K: Kind>(
    reference: Option<&Reference>,
    binding_of: fn(&K) -> Option<BindingReference>,
    world: &World<'_>,
) -> Result<Option<Neighbour<Referred>>, ReadError> {
    let Some(Reference { name }) = reference else { return Ok(None) };
    Ok(Some(match world.neighbour::<K>(name) {
        Neighbour::NoKind => Neighbour::NoKind,
        Neighbour::Missing => Neighbour::Missing,
        Neighbour::Unparsable(why) => Neighbour::Unparsable(why),
        Neighbour::There(object) => Neighbour::There(Box::new(Referred {
            generation: object.meta().generation,
            conditions: object.status().map(|status| status.conditions().to_vec()).unwrap_or_default(),
            binding: match binding_of(&object) {
                Some(binding) => world.secret(&binding.name).await?,
                None => None,
            },
        })),
    }))
}

/// The Secrets that the spec names: of administrators, and of the certificate where there is TLS.
async fn read_named(
    spec: &TemporalSpec,
    settings: &Settings,
    world: &World<'_>,
) -> Result<BTreeMap<String, Option<Secret>>, ReadError> {
    let certificate = spec.tls.as_ref().and_then(|tls| tls.secret_name.as_ref());
    let certificate = certificate.filter(|_| settings.certificate_paths().is_some());
    let mut secrets = BTreeMap::new();
    for name in spec.admins.iter().map(|admin| &admin.secret_name).chain(certificate) {
        secrets.insert(name.clone(), world.secret(name).await?);
    }
    Ok(secrets)
}

/// The content of the database. A database that is not Ready is not read.
async fn ask_database(
    dependencies: &Dependencies,
    spec: &TemporalSpec,
    named: &BTreeMap<String, Option<Secret>>,
) -> Option<Asked<Tables>> {
    let database = dependencies.database.ready()?;
    let secret_of = |name: &String| named.get(name).and_then(Option::as_ref);
    let admins = spec.admins.iter().map(|admin| access::read_admin(&admin.secret_name, secret_of(&admin.secret_name)));
    let admins: Vec<String> = admins.filter_map(Result::ok).collect();
    Some(postgres::read(database, &admins).await.map_err(|failure| chain(&failure)))
}

/// The queues of the broker. A broker that is not Ready is not read.
async fn ask_broker(dependencies: &Dependencies) -> Option<Asked<Vec<Queue>>> {
    let broker = dependencies.queue.ready()?;
    Some(rabbit::read(broker).await.map_err(|failure| chain(&failure)))
}

/// The Jobs that the object with that UID owns, with the trouble of each. Others may have its labels, in any number.
async fn read_jobs(world: &World<'_>, owner: &str) -> BTreeMap<String, Run> {
    let mut jobs = BTreeMap::new();
    let is_owned = |job: &Job| job.owner_references().iter().any(|reference| reference.uid == owner);
    for job in world.children.all::<Job>().into_iter().filter(is_owned).take(MOST_JOBS) {
        let is_done = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or_default() > 0;
        let trouble = if is_done { None } else { job_trouble(&job, world, PROGRAMS).await };
        jobs.insert(job.name_any(), Run { is_done, trouble });
    }
    jobs
}

/// Children by name.
fn index<K>(children: &Children) -> BTreeMap<String, K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    children.all::<K>().into_iter().map(|child| (child.name_any(), child)).collect()
}

//! What a pass knows: gathered here, reads only.

mod revive;
mod tls;

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::Timestamp,
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal},
    binding::text,
    cache::Children,
    component::Progress,
    condition::{Reason, reason},
    driver,
    failure::chain,
    given, network,
    readiness::job_trouble,
    volume, workload,
    world::World,
};

pub(crate) use revive::REVIVED;
pub(crate) use tls::{Tls, for_names};

use self::revive::Circumstances;
use crate::{
    Defaults, Error,
    access::{self, Broker, Database, Ipfs},
    broker::{self, Queue},
    dependency::{Dependency, referred},
    desire,
    names::{self, MOST_NAME},
    role::{PROGRAMS, Role, WORKERS},
    settings::{self, Settings, key},
    tables::{self, Found},
};

/// What was asked of a product: the answer, or why there is none.
pub(crate) type Asked<T> = Result<T, String>;

/// What a pass knows.
#[derive(Debug)]
pub struct Observed {
    /// What the user set.
    pub(crate) settings: Settings,
    /// Something that the user must mend first.
    pub(crate) obstacle: Option<Progress>,
    /// What Temporal needs.
    pub(crate) database: Dependency<Database>,
    pub(crate) queue: Dependency<Broker>,
    pub(crate) ipfs: Dependency<Ipfs>,
    /// The keys that were drawn.
    pub(crate) keys: Option<Keys>,
    /// How the API speaks TLS.
    pub(crate) tls: Tls,
    /// The image of Temporal.
    pub(crate) image: String,
    /// The migration for this image.
    pub(crate) migration: Option<Run>,
    /// The tables and the accounts.
    pub(crate) tables: Asked<Found>,
    /// The queues that are there.
    pub(crate) queues: Asked<Vec<Queue>>,
    /// Whom the spec wants as administrators.
    pub(crate) admins: Vec<Admin>,
    /// The Jobs that are there.
    pub(crate) jobs: Vec<String>,
    /// The children that run something, by name: what each still lacks.
    pub(crate) running: BTreeMap<String, Option<String>>,
    /// The pods for whose sake the parts were made anew last, or are to be now.
    pub(crate) revived: BTreeMap<Role, String>,
    /// The user's newest request for a restart.
    pub(crate) restart: Option<String>,
    /// The address of the API's Service.
    pub(crate) api_ip: Option<String>,
    /// The address of the key server's Service.
    pub(crate) krab_ip: Option<String>,
    /// The Secrets that are there.
    pub(crate) secrets: Vec<String>,
}

/// The keys that were drawn. `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// With which the API signs tokens.
    pub(crate) jwt: String,
    /// Which the key server wants to hear.
    pub(crate) krab: String,
    /// With which the key server's store is encrypted.
    pub(crate) keystore: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// How a Deployment or a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State<'a> {
    /// It is not there.
    Absent,
    /// It is there, and lacks something.
    Lacks(&'a str),
    /// All of its pods are ready, and of its newest template.
    Well,
}

/// A run of the program that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Whether it has ended well.
    pub(crate) is_done: bool,
    /// What keeps it from that.
    pub(crate) trouble: Option<String>,
}

/// An account with all rights that the spec wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    /// The Secret that describes it.
    pub(crate) secret: String,
    /// Its name; else what is wrong with the Secret.
    pub(crate) username: Result<String, (Reason, String)>,
    /// The run that makes it.
    pub(crate) run: Option<Run>,
}

impl Observed {
    /// How a Deployment or a set is.
    pub(crate) fn state_of(&self, name: &str) -> State<'_> {
        match self.running.get(name) {
            None => State::Absent,
            Some(None) => State::Well,
            Some(Some(lack)) => State::Lacks(lack),
        }
    }
}

/// Gathers what the pass needs to know.
pub(crate) async fn observe(object: &Temporal, world: &World<'_>, defaults: &Defaults) -> Result<Observed, Error> {
    let name = settings::config_map(object);
    let config_map: Option<ConfigMap> = world.config_map(name).await.map_err(read(format!("ConfigMap/{name}")))?;
    let written = config_map.map(given::texts_of_map);
    let mut settings = Settings::read(object, written.as_ref());
    settings.claimed(&world.claim, written.is_some());

    let spec = &object.spec;
    let bound = |binding: Option<&temporal_stack_common::api::BindingReference>| binding.map(|b| b.name.clone());
    let database = match &spec.database {
        Some(reference) => {
            let binding = |object: &PostgresDatabase| bound(object.status.as_ref()?.binding.as_ref());
            referred("spec.database", reference, world, binding, access::database).await?
        }
        None => Dependency::of_user(access::users_database(&settings)),
    };
    let queue = match &spec.queue {
        Some(reference) => {
            let binding = |object: &MessageQueue| bound(object.status.as_ref()?.binding.as_ref());
            referred("spec.queue", reference, world, binding, |_, secret| Ok(access::broker(secret))).await?
        }
        None => Dependency::of_user(access::users_broker(&settings)),
    };
    let ipfs = match &spec.ipfs {
        Some(reference) => {
            let binding = |object: &IpfsCluster| bound(object.status.as_ref()?.binding.as_ref());
            referred("spec.ipfs", reference, world, binding, |_, secret| Ok(access::ipfs(secret))).await?
        }
        None => Dependency::of_user(access::users_ipfs(&settings)),
    };
    decide(object, &mut settings, &database, &queue);

    let children = world.children;
    let image = spec.image.clone().unwrap_or_else(|| defaults.temporal_image.clone());
    let restart = workload::restart_asked(object, children, &names::krab(object));
    let api_ip = service_ip(children, &names::api(object));
    let tls = tls::tls(object, &settings, api_ip.as_deref(), world).await?;
    let migration = desire::migration_name(object, &image, database.access.as_ref(), restart.as_deref());
    let migration = run(world, &migration).await;
    let admins = admins(object, world).await?;
    let wanted: Vec<String> = admins.iter().filter_map(|admin| admin.username.clone().ok()).collect();
    let tables = match &database.access {
        Some(access) if database.is_ready() => tables::look(access, &wanted).await.map_err(|failure| chain(&failure)),
        _ => Err("the database is not Ready".to_owned()),
    };
    let queues = match &queue.access {
        Some(access) if queue.is_ready() => broker::queues(access).await.map_err(|failure| chain(&failure)),
        _ => Err("the message queue is not Ready".to_owned()),
    };
    let circumstances = Circumstances {
        // Of what the user keeps well it is not known: always.
        ready_since: [database.since, queue.since, ipfs.since]
            .into_iter()
            .max()
            .flatten()
            .or(Some(Timestamp::UNIX_EPOCH)),
        queues: queues.as_deref().unwrap_or_default(),
        now: Timestamp::now(),
    };
    let is_whole = database.is_ready() && queue.is_ready() && ipfs.is_ready();
    Ok(Observed {
        revived: revive::revived(object, children, circumstances.if_whole(is_whole)),
        obstacle: obstacle(object, world).await?,
        keys: keys(object, children),
        tls,
        image,
        migration,
        tables,
        queues,
        admins,
        jobs: children.all::<Job>().iter().map(ResourceExt::name_any).collect(),
        running: running(object, children),
        restart,
        krab_ip: service_ip(children, &names::krab(object)),
        api_ip,
        secrets: children.all::<Secret>().iter().map(ResourceExt::name_any).collect(),
        settings,
        database,
        queue,
        ipfs,
    })
}

/// Takes back what the user's variables say of something that the spec decides.
fn decide(object: &Temporal, settings: &mut Settings, database: &Dependency<Database>, queue: &Dependency<Broker>) {
    if object.spec.database.is_some() {
        let access = database.access.as_ref();
        let port = access.map(|access| access.port.to_string());
        let by = "spec.database";
        settings.decide(key::DATABASE_URL, access.map(|access| access.host.as_str()), by);
        settings.decide(key::DATABASE_PORT, port.as_deref(), by);
        settings.decide(key::DATABASE_USERNAME, access.map(|access| access.username.as_str()), by);
        settings.decide(key::DATABASE_PASSWORD, access.map(|access| access.password.as_str()), by);
    }
    if object.spec.queue.is_some() {
        settings.decide(key::RABBITMQ_URL, queue.access.as_ref().map(|access| access.uri.as_str()), "spec.queue");
    }
    if object.spec.ipfs.is_some() {
        let by = "spec.ipfs, through the bridge beside each pod";
        let (rpc, rest) = (names::RPC.to_string(), names::REST.to_string());
        for (key, value) in [
            (key::IPFS_HOST, "127.0.0.1"),
            (key::IPFS_PORT, rpc.as_str()),
            (key::CLUSTER_HOST, "127.0.0.1"),
            (key::CLUSTER_PORT, rest.as_str()),
        ] {
            settings.decide(key, Some(value), by);
        }
    }
}

async fn obstacle(object: &Temporal, world: &World<'_>) -> Result<Option<Progress>, Error> {
    if let Some(message) = workload::wrong_with_name(&object.name_any(), MOST_NAME) {
        return Ok(Some(Progress::Stalled { reason: reason::INVALID_SPEC, message }));
    }
    if let Some(message) = network::wrong_with_access(&object.spec.access) {
        return Ok(Some(Progress::Stalled { reason: reason::INVALID_SPEC, message }));
    }
    let claim = world.children.find::<PersistentVolumeClaim>(&names::volume(object));
    if let Some(obstacle) = lost_keys(object, world.children, claim.is_some()).or_else(|| strange_names(object)) {
        return Ok(Some(obstacle));
    }
    let storage = &object.spec.krab.storage;
    let obstacle = volume::obstacle_to_any("spec.krab.storage", storage, &[claim], world).await;
    obstacle.map_err(read("the StorageClasses".to_owned()))
}

/// Other keys than those that the volume was written with would make it unreadable.
fn lost_keys(object: &Temporal, children: &Children, has_volume: bool) -> Option<Progress> {
    let name = names::keys(object);
    let volume = names::volume(object);
    let (reason, what) = match children.find::<Secret>(&name) {
        None if has_volume => (reason::SECRET_MISSING, "is gone".to_owned()),
        Some(secret) => {
            let lost =
                [desire::JWT, desire::KRAB, desire::KEYSTORE].into_iter().find(|key| text(&secret, key).is_none())?;
            (reason::SECRET_INCOMPLETE, format!("has lost its key {lost}"))
        }
        None => return None,
    };
    let message = format!(
        "Secret/{name} {what}, and PersistentVolumeClaim/{volume} cannot be read without it; restore it, or delete what is left of both, and the pod of the key server, to begin without the keys of users"
    );
    Some(Progress::Stalled { reason, message })
}

/// Names that no certificate can have.
fn strange_names(object: &Temporal) -> Option<Progress> {
    let of_tls = object.spec.tls.iter().flat_map(|tls| tls.names.iter().map(|name| ("spec.tls.names", name)));
    let of_ingress = object.spec.ingress.iter().map(|ingress| ("spec.ingress.host", &ingress.host));
    let is_name = |name: &str| access::is_host(name.strip_prefix("*.").unwrap_or(name));
    let (field, name) = of_tls.chain(of_ingress).find(|(_, name)| !is_name(name))?;
    let message = format!("{field}: {name:?} is no name or address of a host; correct it");
    Some(Progress::Stalled { reason: reason::INVALID_SPEC, message })
}

fn keys(object: &Temporal, children: &Children) -> Option<Keys> {
    let secret: Secret = children.find(&names::keys(object))?;
    let part = |key| text(&secret, key).map(str::to_owned);
    Some(Keys { jwt: part(desire::JWT)?, krab: part(desire::KRAB)?, keystore: part(desire::KEYSTORE)? })
}

async fn admins(object: &Temporal, world: &World<'_>) -> Result<Vec<Admin>, Error> {
    let mut admins = Vec::new();
    for admin in &object.spec.admins {
        let name = &admin.secret_name;
        let secret = world.secret(name).await.map_err(read(format!("Secret/{name}")))?;
        let keys = "the keys username, password and email";
        let described = given::read("spec.admins", name, secret.as_ref(), keys, |given| {
            // The Job reads the Secret by itself.
            let (password, email) = (given.verbatim("password"), given.verbatim("email"));
            given.verbatim("username").filter(|_| password.is_some() && email.is_some())
        });
        let username = described.read.map_err(|progress| match progress {
            Progress::Waiting { reason, message } | Progress::Stalled { reason, message } => (reason, message),
            Progress::Settled => (reason::PREPARING, String::new()),
        });
        let run = run(world, &desire::account_name(object, name)).await;
        admins.push(Admin { secret: name.clone(), username, run });
    }
    Ok(admins)
}

/// A Job that exists, and what keeps it from its work.
async fn run(world: &World<'_>, name: &str) -> Option<Run> {
    let job: Job = world.children.find(name)?;
    let is_done = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or_default() > 0;
    let trouble = if is_done { None } else { job_trouble(&job, world, PROGRAMS).await };
    Some(Run { is_done, trouble })
}

fn running(object: &Temporal, children: &Children) -> BTreeMap<String, Option<String>> {
    let deployments = WORKERS.into_iter().chain([Role::Api]).filter_map(|role| {
        let name = names::child(object, role.name());
        let deployment: Deployment = children.find(&name)?;
        Some((name, driver::deployment_lacks(&deployment)))
    });
    let krab = names::krab(object);
    let set: Option<StatefulSet> = children.find(&krab);
    deployments.chain(set.map(|set| (krab, driver::stateful_set_lacks(&set)))).collect()
}

fn service_ip(children: &Children, name: &str) -> Option<String> {
    let service: Service = children.find(name)?;
    workload::service_ip(&service).filter(|ip| ip.parse::<IpAddr>().is_ok())
}

pub(crate) fn read(what: String) -> impl FnOnce(kube::Error) -> Error {
    |source| Error::Read { what, source }
}

/// When an object was made, which is not in the future.
pub(crate) fn made(meta: &ObjectMeta) -> std::time::SystemTime {
    let seconds = meta.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
    let since_1970 = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let made = std::time::SystemTime::UNIX_EPOCH.checked_add(since_1970);
    let now = std::time::SystemTime::now();
    made.map_or(now, |made| made.min(now))
}

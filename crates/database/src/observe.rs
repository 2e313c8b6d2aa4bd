//! What a pass knows: gathered here, reads only.

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt;
use temporal_stack_common::{
    api::{PostgresDatabase, PostgresProvider, annotation},
    binding,
    claim::Claim,
    component::Progress,
    driver,
    given::{self, Outcome},
    login::{self, Bound, Login, PASSWORD},
    volume, workload,
    world::World,
};

use crate::{
    Error,
    external::{self, Access},
    names::{self, ADMINISTRATOR, PORT},
    postgres::{self, Address, Failure, Role},
    settings::{self, InUse, Settings},
};

/// Where the storage is in the spec.
const STORAGE: &str = "spec.provider.postgres.storage";

/// What a pass knows.
#[derive(Debug)]
pub struct Observed {
    /// What the database and its login are to be.
    pub(crate) settings: Settings,
    /// Something that the user must mend first.
    pub(crate) obstacle: Option<Progress>,
    /// What the provider is about.
    pub(crate) source: Source,
    /// What the binding says now.
    pub(crate) bound: Option<Bound>,
}

/// What the provider is about.
#[derive(Debug)]
pub(crate) enum Source {
    /// A server of the controller's own.
    Embedded(Box<Embedded>),
    /// Somebody else's; absent while its Secret is not usable.
    External(Option<Access>),
}

/// A server of the controller's own.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// The spec of the provider.
    pub(crate) provider: PostgresProvider,
    /// The logins that have been made, oldest first.
    pub(crate) logins: Vec<Login>,
    /// The user's newest request for rotation.
    pub(crate) rotation: Option<String>,
    /// The user's newest request for a restart.
    pub(crate) restart: Option<String>,
    /// Where applications reach it: the address of its Service, not its name, so that no name server is in the way.
    pub(crate) service: Option<Address>,
    /// The server itself.
    pub(crate) server: Server,
}

/// What the server said.
#[derive(Debug)]
pub(crate) enum Server {
    /// Its pod is not ready.
    Absent,
    /// It could not be asked.
    Silent(Failure),
    /// It answered.
    Known(Box<Known>),
}

/// A server that answered the administrator.
pub(crate) struct Known {
    /// Where it is.
    pub(crate) address: Address,
    /// The administrator's password.
    pub(crate) password: String,
    /// Its version.
    pub(crate) version: String,
    /// Whether the role that owns the database is there.
    pub(crate) has_owner: bool,
    /// Who owns the database, if it is there.
    pub(crate) database_owner: Option<String>,
    /// The roles of the logins that have been made.
    pub(crate) roles: Vec<Role>,
    /// Numbers of the logins whose password the server accepts.
    pub(crate) accepted: Vec<u32>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("address", &self.address).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Embedded {
    /// The login that was made last.
    pub(crate) fn newest(&self) -> Option<&Login> {
        self.logins.last()
    }

    /// What the server said, if it could be asked.
    pub(crate) fn known(&self) -> Option<&Known> {
        match &self.server {
            Server::Known(known) => Some(known),
            Server::Absent | Server::Silent(_) => None,
        }
    }
}

impl Known {
    /// Whether a login can be used: it is accepted, powerless, and acts as the owner of the database.
    pub(crate) fn has(&self, login: &Login) -> bool {
        self.accepted.contains(&login.number)
            && self.role(login).is_some_and(|role| role.plain_login && role.member && role.acts_as_owner)
    }

    /// The role of a login.
    pub(crate) fn role(&self, login: &Login) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == login.username)
    }
}

impl Observed {
    /// The login that the binding is to hold: the newest that the server has; while the server cannot be asked, the one
    /// that it holds.
    pub(crate) fn active_login(&self) -> Option<&Login> {
        let Source::Embedded(embedded) = &self.source else { return None };
        let has = embedded.known().map(|known| |login: &Login| known.has(login));
        login::active(&embedded.logins, self.bound.as_ref(), has)
    }

    /// The database that the binding is to lead to: the one that is wanted once it is there.
    pub(crate) fn active_database(&self) -> Option<&str> {
        let Source::Embedded(embedded) = &self.source else { return None };
        match &embedded.server {
            Server::Known(known) if known.database_owner.is_some() => Some(&self.settings.database),
            _ => self.bound.as_ref().map(|bound| bound.place.as_str()),
        }
    }

    /// The server's version, as far as it is known.
    pub(crate) fn server_version(&self, object: &PostgresDatabase) -> Option<String> {
        match &self.source {
            Source::Embedded(embedded) => match &embedded.server {
                Server::Known(known) => Some(known.version.clone()),
                _ => object.status.as_ref().and_then(|status| status.server_version.clone()),
            },
            Source::External(_) => None,
        }
    }
}

/// Gathers what a pass needs to know.
pub(crate) async fn observe(object: &PostgresDatabase, world: &World<'_>) -> Result<Observed, Error> {
    let read = |what: String| move |source| Error::Read { what, source };
    let config_map = settings::config_map(object);
    let written = world.config_map(config_map).await.map_err(read(format!("ConfigMap/{config_map}")))?;
    let binding = world.children.find(&names::binding(object));
    let bound = binding.and_then(|binding| Bound::read(&binding, "database"));
    let rotation = object.annotations().get(annotation::ROTATE).cloned();
    let logins = login::row(world.children, &names::server(object), rotation.as_deref());
    let in_use = InUse {
        database: bound.as_ref().filter(|bound| bound.number.is_some()).map(|bound| bound.place.as_str()),
        user: logins.last().filter(|login| login.named).map(|login| login.username.as_str()),
    };
    let written = written.map(given::texts_of_map);

    if let Some(external) = &object.spec.provider.external {
        let name = &external.secret_name;
        let secret = world.secret(name).await.map_err(read(format!("Secret/{name}")))?;
        let unused = settings::unused(object, written.is_some());
        let unused: Vec<&str> = unused.iter().map(String::as_str).collect();
        let (access, obstacle, honoured) = external::access(name, secret.as_ref()).into_parts(name, &unused);
        let settings = Settings { honoured, ..settings::settings(object, None, None, in_use, &Claim::Ours) };
        return Ok(Observed { settings, obstacle, source: Source::External(access), bound });
    }

    let mut settings = settings::settings(object, written.as_ref(), None, in_use, &world.claim);
    let password_obstacle = match password_of_spec(object, world).await? {
        Some(outcome) => settings.take_password(outcome),
        None => None,
    };
    let provider = object.spec.provider.postgres.clone().unwrap_or_default();
    let claim = world.children.find(&names::volume(object));
    let volume = volume::obstacle_to_any(STORAGE, &provider.storage, &[claim], world).await;
    let obstacle = password_obstacle.or(volume.map_err(read("StorageClasses".to_owned()))?);
    let administrator: Option<Secret> = world.children.find(&names::administrator(object));
    let server = match administrator.as_ref().and_then(|secret| binding::text(secret, PASSWORD)) {
        Some(password) => ask(&world.children.all(), password, &settings.database, &logins).await,
        None => Server::Absent,
    };
    let embedded = Embedded {
        provider,
        logins,
        rotation,
        restart: workload::restart_asked(object, world.children, &names::server(object)),
        service: world.children.find(&names::server(object)).as_ref().and_then(service_address),
        server,
    };
    Ok(Observed { settings, obstacle, source: Source::Embedded(Box::new(embedded)), bound })
}

/// The password that the spec refers to.
async fn password_of_spec(object: &PostgresDatabase, world: &World<'_>) -> Result<Option<Outcome<String>>, Error> {
    let Some(reference) = &object.spec.password else { return Ok(None) };
    let (name, key) = (&reference.secret_name, &reference.key);
    let read = |source| Error::Read { what: format!("Secret/{name}"), source };
    let secret = world.secret(name).await.map_err(read)?;
    let keys = format!("the key {key}");
    let outcome = given::read("spec.password.secretName", name, secret.as_ref(), &keys, |given| given.exactly(key));
    Ok(Some(outcome))
}

/// Asks the server what it has. The pod is asked by its own address, because its Service leads nowhere until it is ready.
async fn ask(pods: &[Pod], password: &str, database: &str, logins: &[Login]) -> Server {
    let ready = pods.iter().find(|pod| driver::pod_is_ready(pod));
    let Some(ip) = ready.and_then(|pod| pod.status.as_ref()?.pod_ip.clone()) else { return Server::Absent };
    let address = Address { host: ip, port: PORT };
    match known(address, password, database, logins).await {
        Ok(known) => Server::Known(Box::new(known)),
        Err(failure) => Server::Silent(failure),
    }
}

async fn known(address: Address, password: &str, database: &str, logins: &[Login]) -> Result<Known, Failure> {
    let session = postgres::connect(&address, ADMINISTRATOR, password, postgres::MAINTENANCE).await?;
    let owner = names::owner_role(database);
    let mut wanted: Vec<&str> = logins.iter().map(|login| login.username.as_str()).collect();
    wanted.push(&owner);
    let roles = session.roles(&wanted, database).await?;
    let mut accepted = Vec::new();
    for login in logins {
        // Where there is no role, there is no need to try its password.
        let is_there = roles.iter().any(|role| role.name == login.username);
        if is_there && postgres::accepts(&address, &login.username, &login.password).await? {
            accepted.push(login.number);
        }
    }
    Ok(Known {
        version: session.version().await?,
        has_owner: roles.iter().any(|role| role.name == owner),
        database_owner: session.owner_of(database).await?,
        roles,
        accepted,
        password: password.to_owned(),
        address,
    })
}

fn service_address(service: &Service) -> Option<Address> {
    Some(Address { host: workload::service_ip(service)?, port: PORT })
}

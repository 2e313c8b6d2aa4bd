//! The view that all decisions start from: the object with its settings, and its existing children.

use temporal_stack_common::{
    address::Endpoint,
    api::{PostgresDatabase, PostgresProvider},
    component::Stalled,
    default_source::DefaultSource,
    given,
    login::{self, Access, Bound, Rotation},
    names::Names,
    provider::External,
    volume,
};

use super::{cloud_native_pg, moving::view::View as MoveView, rotation};
use crate::{
    access,
    moving::ProviderName,
    names::{ADMINISTRATOR, STORAGE, SUPERUSER, config_map, server_account},
    observed::{self, Administered, Observed, Provider, Server, Traces},
    settings::{Config, InUse, Settings, unused},
};

/// An object with its settings, and its existing children.
pub(crate) struct View<'a> {
    pub(crate) object: &'a PostgresDatabase,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    /// The content of the binding.
    pub(crate) bound: Option<&'a Bound>,
    /// What shows which provider has data.
    pub(crate) traces: &'a Traces,
    /// The server, or how an application uses a database elsewhere.
    pub(crate) provider: Provider<ServerView<'a>, Result<Access, Stalled>>,
    /// The move of the data to another provider, if one is recorded or asked for.
    pub(crate) moving: Option<Box<MoveView<'a>>>,
}

/// A server that the controller administers.
pub(crate) struct ServerView<'a> {
    pub(crate) server: &'a Server,
    pub(crate) service: Option<&'a Endpoint>,
    /// The logins, and which one comes next.
    pub(crate) rotation: Rotation<'a>,
    /// The database that the binding must lead to: the one that is wanted once it exists.
    pub(crate) database: Option<String>,
    /// The administrator's password.
    pub(super) administrator: Option<&'a str>,
    /// Who runs it.
    pub(crate) runner: Runner<'a>,
}

/// Who runs a server.
pub(crate) enum Runner<'a> {
    /// The controller.
    Embedded(Box<EmbeddedView<'a>>),
    /// CloudNativePG.
    CloudNativePg(Box<cloud_native_pg::View<'a>>),
}

/// A server that the controller runs.
pub(crate) struct EmbeddedView<'a> {
    pub(crate) provider: PostgresProvider,
    pub(crate) restart: Option<&'a String>,
    /// Its ServiceAccount, unless the user names one.
    pub(crate) account: String,
    pub(super) observed: &'a observed::Embedded,
    /// Why the volume is not possible.
    pub(super) volume: Option<Stalled>,
}

impl<'a> View<'a> {
    /// The view without a move.
    pub(crate) fn new(object: &'a PostgresDatabase, observed: &'a Observed) -> Self {
        let names = Names::new(object);
        let (bound, traces) = (observed.bound.as_ref(), &observed.traces);
        let config = Config {
            name: config_map(object),
            reading: observed.config.as_ref(),
            default_source: &observed.default_source,
        };
        match &observed.provider {
            Provider::External(External { name, secret }) => {
                let unused = unused(object, config);
                let (access, honoured) = access::read(name, secret.as_ref()).into_result(name, &unused);
                let config = Config { reading: None, default_source: &DefaultSource::Ours, ..config };
                let settings = Settings::new(object, config, InUse::default(), None);
                let settings = Settings { honoured, ..settings };
                Self { object, names, settings, bound, traces, provider: Provider::External(access), moving: None }
            }
            Provider::Administered(server) => {
                let in_use = InUse::new(bound, &server.logins);
                let password = password_of_spec(object, server);
                let settings = Settings::new(object, config, in_use, password).with_extensions(object, &names);
                let view = ServerView::new((object, &names), server, &settings, (bound, traces));
                let provider = Provider::Administered(Box::new(view));
                Self { object, names, settings, bound, traces, provider, moving: None }
            }
        }
    }

    /// The content of the binding, unless it leads to another provider than that of the spec.
    pub(crate) fn own_bound(&self) -> Option<&'a Bound> {
        let wanted = ProviderName::of_spec(self.object);
        self.bound.filter(|_| self.traces.bound.is_none_or(|bound| bound == wanted))
    }

    /// Whether a cluster of CloudNativePG must stop. A move that has begun ends before.
    pub(crate) fn must_sleep(&self) -> bool {
        self.object.spec.suspend && self.moving.is_none()
    }

    /// How an application uses the database.
    pub(super) fn application(&self) -> Option<Access> {
        match &self.provider {
            Provider::Administered(server) => server.application(server.service?.clone()),
            Provider::External(access) => access.as_ref().ok().cloned(),
        }
    }
}

impl<'a> ServerView<'a> {
    fn new(
        (object, names): (&'a PostgresDatabase, &Names),
        observed: &'a Administered,
        settings: &Settings,
        (bound, traces): (Option<&'a Bound>, &Traces),
    ) -> Self {
        let request = login::rotation_request(&object.metadata);
        let database = match observed.server.known() {
            Some(known) if known.database_owner.is_some() => Some(settings.database.clone()),
            _ => bound.map(|bound| bound.scope.clone()),
        };
        let runner = match &observed.runner {
            observed::Runner::Embedded(embedded) => {
                Runner::Embedded(Box::new(EmbeddedView::new(object, names, embedded, traces)))
            }
            observed::Runner::CloudNativePg(found) => {
                Runner::CloudNativePg(Box::new(cloud_native_pg::View::new(object, names, found)))
            }
        };
        Self {
            server: &observed.server,
            service: observed.service.as_ref(),
            rotation: rotation::rotation(&names.base, &settings.wanted(request), observed, bound),
            database,
            administrator: observed.administrator.as_deref(),
            runner,
        }
    }

    /// How an application uses the database at an endpoint; `None` until a login works.
    pub(crate) fn application(&self, endpoint: Endpoint) -> Option<Access> {
        self.rotation.access(endpoint, self.database.as_ref())
    }

    /// The cluster, if CloudNativePG runs the server.
    pub(crate) fn cluster(&self) -> Option<&cloud_native_pg::View<'a>> {
        match &self.runner {
            Runner::CloudNativePg(cluster) => Some(cluster),
            Runner::Embedded(_) => None,
        }
    }

    /// The name of the administrator.
    pub(super) fn administrator_name(&self) -> &'static str {
        match self.runner {
            Runner::Embedded(_) => ADMINISTRATOR,
            Runner::CloudNativePg(_) => SUPERUSER,
        }
    }
}

impl<'a> EmbeddedView<'a> {
    fn new(object: &'a PostgresDatabase, names: &Names, observed: &'a observed::Embedded, traces: &Traces) -> Self {
        let provider = object.spec.provider.postgres.clone().unwrap_or_default();
        let claims = [observed.volume.clone()];
        Self {
            volume: volume::obstacle_to_any(STORAGE, &provider.storage, &claims, &observed.offer),
            provider,
            restart: observed.restart.as_ref(),
            account: account(names, observed.account.as_deref(), traces),
            observed,
        }
    }
}

/// The ServiceAccount of the server: the one that it has, because another one would restart it. CloudNativePG gives its own the name
/// of the cluster, so a server beside one has another.
fn account(names: &Names, has: Option<&str>, traces: &Traces) -> String {
    let (usual, other) = (names.base.clone(), server_account(names));
    match has {
        Some(has) if has == other => other,
        Some(has) if has == usual => usual,
        _ if traces.cluster.is_some() => other,
        _ => usual,
    }
}

/// The password in the Secret that the spec names.
fn password_of_spec(object: &PostgresDatabase, server: &Administered) -> Option<given::Outcome<String>> {
    let reference = object.spec.password.as_ref()?;
    let (name, key) = (&reference.secret_name, &reference.key);
    let (secret, keys) = (server.password.as_ref(), format!("the key {key}"));
    Some(given::read("spec.password.secretName", name, secret, &keys, |given| given.exactly(key)))
}

//! The view that all decisions start from: the object with its settings, and its existing children.

use temporal_stack_common::{
    address::Endpoint,
    api::{PostgresDatabase, PostgresProvider},
    component::Stalled,
    default_source::DefaultSource,
    given,
    login::{self, Access, Bound, Rotation},
    names::Names,
    provider::{External, Provider},
    volume,
};

use super::rotation;
use crate::{
    access,
    names::{STORAGE, config_map},
    observed::{self, Observed, Server},
    settings::{Config, InUse, Settings, unused},
};

/// An object with its settings, and its existing children.
pub(crate) struct View<'a> {
    pub(crate) object: &'a PostgresDatabase,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    /// The content of the binding.
    pub(crate) bound: Option<&'a Bound>,
    /// The server, or how an application uses a database elsewhere.
    pub(crate) provider: Provider<EmbeddedView<'a>, Result<Access, Stalled>>,
}

/// A server that the controller runs.
pub(crate) struct EmbeddedView<'a> {
    pub(crate) provider: PostgresProvider,
    pub(crate) server: &'a Server,
    pub(crate) service: Option<&'a Endpoint>,
    pub(crate) restart: Option<&'a String>,
    /// The logins, and which one comes next.
    pub(crate) rotation: Rotation<'a>,
    /// The database that the binding must lead to: the one that is wanted once it exists.
    pub(crate) database: Option<String>,
    /// The administrator's password.
    pub(super) administrator: Option<&'a str>,
    /// Why the volume is not possible.
    pub(super) volume: Option<Stalled>,
}

impl<'a> View<'a> {
    pub(crate) fn new(object: &'a PostgresDatabase, observed: &'a Observed) -> Self {
        let names = Names::new(object);
        let bound = observed.bound.as_ref();
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
                Self { object, names, settings, bound, provider: Provider::External(access) }
            }
            Provider::Embedded(embedded) => {
                let in_use = InUse::new(bound, &embedded.logins);
                let password = password_of_spec(object, embedded);
                let settings = Settings::new(object, config, in_use, password).with_extensions(object, &names);
                let embedded = EmbeddedView::new(object, &names, embedded, &settings, bound);
                Self { object, names, settings, bound, provider: Provider::Embedded(Box::new(embedded)) }
            }
        }
    }

    /// How an application uses the database.
    pub(super) fn application(&self) -> Option<Access> {
        self.provider.access(|embedded| embedded.application(embedded.service?.clone()))
    }
}

impl<'a> EmbeddedView<'a> {
    fn new(
        object: &'a PostgresDatabase,
        names: &Names,
        observed: &'a observed::Embedded,
        settings: &Settings,
        bound: Option<&'a Bound>,
    ) -> Self {
        let provider = object.spec.provider.postgres.clone().unwrap_or_default();
        let request = login::rotation_request(&object.metadata);
        let claims = [observed.volume.clone()];
        let database = match observed.server.known() {
            Some(known) if known.database_owner.is_some() => Some(settings.database.clone()),
            _ => bound.map(|bound| bound.scope.clone()),
        };
        Self {
            volume: volume::obstacle_to_any(STORAGE, &provider.storage, &claims, &observed.offer),
            provider,
            server: &observed.server,
            service: observed.service.as_ref(),
            restart: observed.restart.as_ref(),
            rotation: rotation::rotation(&names.base, &settings.wanted(request), observed, bound),
            database,
            administrator: observed.administrator.as_deref(),
        }
    }

    /// How an application uses the database at an endpoint; `None` until a login works.
    pub(crate) fn application(&self, endpoint: Endpoint) -> Option<Access> {
        self.rotation.access(endpoint, self.database.as_ref())
    }
}

/// The password in the Secret that the spec names.
fn password_of_spec(object: &PostgresDatabase, embedded: &observed::Embedded) -> Option<given::Outcome<String>> {
    let reference = object.spec.password.as_ref()?;
    let (name, key) = (&reference.secret_name, &reference.key);
    let (secret, keys) = (embedded.password.as_ref(), format!("the key {key}"));
    Some(given::read("spec.password.secretName", name, secret, &keys, |given| given.exactly(key)))
}

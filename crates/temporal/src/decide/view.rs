//! The view: an object with its settings, and its existing children, by purpose.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    api::{Temporal, TemporalSpec},
    binding::{authority, text},
    component::Stalled,
};

use super::{
    accounts::{self, Admin},
    revive,
    tls::{self, Tls},
};
use crate::{
    Defaults,
    access::{Database, Dependencies},
    names::{API, JWT_KEY, KRAB_AUTH_KEY, KRAB_PASSWORD, Names, REST, RPC},
    observed::Observed,
    role::Role,
    settings::{Settings, key},
};

/// An object with its settings, and its existing children.
pub(crate) struct View<'a> {
    pub(crate) object: &'a Temporal,
    pub(crate) spec: &'a TemporalSpec,
    pub(crate) names: Names,
    pub(crate) defaults: &'a Defaults,
    pub(crate) observed: &'a Observed,
    /// The user's variables, without those that the spec sets.
    pub(crate) settings: Settings,
    pub(crate) dependencies: Dependencies,
    /// The image of Temporal.
    pub(crate) image: &'a str,
    /// The Job that creates the tables of this image.
    pub(crate) migration: String,
    /// The generated keys.
    pub(crate) keys: Option<Keys<'a>>,
    /// How the API serves TLS, or why it cannot.
    pub(crate) tls: Result<Tls, Stalled>,
    pub(crate) admins: Vec<Admin<'a>>,
    /// For each part: how often its pods were replaced because one was stuck, and the last such pod.
    pub(crate) revived: BTreeMap<Role, String>,
}

/// The generated keys.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    /// The key with which the API signs tokens.
    pub(crate) jwt: &'a str,
    /// The key with which clients authenticate to the key server.
    pub(crate) krab_auth: &'a str,
    /// The password with which the key server encrypts its store.
    pub(crate) krab_password: &'a str,
}

impl<'a> Keys<'a> {
    fn read(secret: &'a Secret) -> Option<Self> {
        Some(Self {
            jwt: text(secret, JWT_KEY)?,
            krab_auth: text(secret, KRAB_AUTH_KEY)?,
            krab_password: text(secret, KRAB_PASSWORD)?,
        })
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(object: &'a Temporal, observed: &'a Observed, defaults: &'a Defaults) -> Self {
        let (names, spec) = (Names::new(object), &object.spec);
        let settings = Settings::read(spec, observed.config.as_ref(), &observed.default_source);
        let dependencies = Dependencies::new(spec, &names.namespace, &settings, &observed.references);
        let settings = override_settings(settings, spec, &dependencies);
        let image = spec.image.as_deref().unwrap_or(&defaults.temporal_image);
        let server = dependencies.database.access.as_ref().map(|Database { endpoint, .. }| endpoint);
        let server = server.map(|endpoint| (endpoint.host.as_str(), endpoint.port));
        Self {
            migration: names.migration(image, server, observed.restart.as_deref()),
            keys: observed.secrets.get(&names.keys).and_then(Keys::read),
            tls: match settings.certificate_paths() {
                Some(_) => tls::decide(&names, spec, observed),
                None => Ok(Tls::Off),
            },
            admins: accounts::judge_all(&names, spec, observed),
            revived: revive::revive(&names, observed, dependencies.ready_since()),
            object,
            spec,
            names,
            defaults,
            observed,
            settings,
            dependencies,
            image,
        }
    }

    /// Whether the API serves TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.settings.certificate_paths().is_some()
    }

    /// Where the API answers within the cluster.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", authority(&self.names.host(&self.names.api), API))
    }
}

/// Removes the user's variables that the spec also sets.
fn override_settings(mut settings: Settings, spec: &TemporalSpec, dependencies: &Dependencies) -> Settings {
    if spec.database.is_some() {
        let access = dependencies.database.access.as_ref();
        let port = access.map(|access| access.endpoint.port.to_string());
        for (key, value) in [
            (key::DATABASE_URL, access.map(|access| access.endpoint.host.as_str())),
            (key::DATABASE_PORT, port.as_deref()),
            (key::DATABASE_USERNAME, access.map(|access| access.username.as_str())),
            (key::DATABASE_PASSWORD, access.map(|access| access.password.as_str())),
        ] {
            settings = settings.overridden(key, value, "spec.database");
        }
    }
    if spec.queue.is_some() {
        let uri = dependencies.queue.access.as_ref().map(|access| access.uri.as_str());
        settings = settings.overridden(key::RABBITMQ_URL, uri, "spec.queue");
    }
    if spec.ipfs.is_some() {
        let (rpc, rest) = (RPC.to_string(), REST.to_string());
        for (key, value) in [
            (key::IPFS_HOST, "127.0.0.1"),
            (key::IPFS_PORT, rpc.as_str()),
            (key::CLUSTER_HOST, "127.0.0.1"),
            (key::CLUSTER_PORT, rest.as_str()),
        ] {
            settings = settings.overridden(key, Some(value), "spec.ipfs, through the bridge in each pod");
        }
    }
    settings
}

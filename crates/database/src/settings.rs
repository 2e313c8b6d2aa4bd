//! The settings of the database and its login: from the spec first, then the ConfigMap, then the values in use, then the defaults.

use std::{collections::BTreeMap, fmt};

use kube::ResourceExt;
use temporal_stack_common::{
    api::PostgresDatabase,
    component::Stalled,
    condition::{CONFIG_HONOURED, Statement},
    config::{self, Key, Reading, Ruling},
    default_source::DefaultSource,
    given::{self, Outcome},
    login::{Bound, Login, Wanted},
    message::kubectl,
    names::Names,
};

use crate::{
    names::{ADMINISTRATOR, SCRATCH, administrator, is_reserved_by_cluster},
    reason,
};

const DATABASE: &str = "POSTGRES_DB";
const USER: &str = "POSTGRES_USER";
const PASSWORD: &str = "POSTGRES_PASSWORD";
/// The parameter with the libraries that the server loads at its start.
const PRELOADED: &str = "shared_preload_libraries";

/// The keys of the ConfigMap.
const TABLE: &[Key] =
    &[Key { name: DATABASE, rule: database }, Key { name: USER, rule: user }, Key { name: PASSWORD, rule: password }];
/// The same for a server that CloudNativePG runs.
const DELEGATED: &[Key] = &[
    Key { name: DATABASE, rule: database },
    Key { name: USER, rule: user_of_cluster },
    Key { name: PASSWORD, rule: password },
];

/// The settings of the database and its login. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The database.
    pub(crate) database: String,
    /// The login that the user named.
    pub(crate) user: Option<String>,
    /// The password from the user.
    pub(crate) password: Option<String>,
    /// Whether the user's configuration is used as written.
    pub(crate) honoured: Statement,
    /// Why the Secret that the spec names for the password cannot be used.
    pub(crate) stalled: Option<Stalled>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("database", &self.database).field("user", &self.user).finish_non_exhaustive()
    }
}

/// The user's ConfigMap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it says, if it exists and counts for this object.
    pub(crate) reading: Option<&'a Reading>,
    /// Whether the ConfigMap with the default name counts for this object.
    pub(crate) default_source: &'a DefaultSource,
}

/// The settings in use, which stay in use until others are named: a ConfigMap that is absent for a moment must not lead an
/// application to an empty database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InUse<'a> {
    /// The database of the binding.
    pub(crate) database: Option<&'a str>,
    /// The newest login, if the user named it.
    pub(crate) user: Option<&'a str>,
}

impl<'a> InUse<'a> {
    /// What the binding and the logins say.
    pub(crate) fn new(bound: Option<&'a Bound>, logins: &'a [Login]) -> Self {
        Self {
            database: bound.filter(|bound| bound.number.is_some()).map(|bound| bound.scope.as_str()),
            user: logins.last().filter(|login| login.named).map(|login| login.username.as_str()),
        }
    }
}

impl Settings {
    /// Decides by the object, its ConfigMap, what is in use, and the password of the Secret that the spec names.
    pub(crate) fn new(
        object: &PostgresDatabase,
        config: Config<'_>,
        in_use: InUse<'_>,
        password: Option<Outcome<String>>,
    ) -> Self {
        let of_config = |key| config.reading.and_then(|reading| reading.get(key)).map(str::to_owned);
        let is_free = |user: &String| object.spec.provider.cloud_native_pg.is_none() || !is_reserved_by_cluster(user);
        let (given, honoured, stalled) = take_password(password, honoured(config));
        let database = database_of(object, config.reading, in_use);
        let password = given.or_else(|| of_config(PASSWORD));
        // A password from the user needs a login.
        let user = object.spec.username.clone().or_else(|| of_config(USER).filter(is_free));
        let user = user
            .or_else(|| in_use.user.map(str::to_owned).filter(is_free))
            .or_else(|| password.is_some().then(|| database.clone()));
        Self { database, user, password, honoured, stalled }
    }

    /// The same with what the user must do for the extensions whose libraries a server of the controller loads.
    pub(crate) fn with_extensions(self, object: &PostgresDatabase, names: &Names) -> Self {
        let mut parameters = object.spec.provider.postgres.iter().flat_map(|postgres| postgres.parameters.keys());
        let Some(key) = parameters.find(|key| parameter(key) == PRELOADED) else { return self };
        let words = format!(
            "exec {} -c postgres -- psql -U {ADMINISTRATOR} -d {} -c 'CREATE EXTENSION NAME'",
            names.pod(0),
            self.database
        );
        let remark = format!(
            "spec.provider.postgres.parameters.{key} loads libraries and creates no extension, and the application's login may not create all of them; create yours as the administrator of Secret/{}: {}",
            administrator(names),
            kubectl(&names.namespace, &words)
        );
        Self { honoured: self.honoured.adapted(&remark), ..self }
    }

    /// The login that is wanted.
    pub(crate) fn wanted<'a>(&'a self, rotation: Option<&'a str>) -> Wanted<'a> {
        Wanted { base: Some(&self.database), user: self.user.as_deref(), password: self.password.as_deref(), rotation }
    }
}

/// The name of a parameter as PostgreSQL reads it: without case, and a hyphen is an underscore.
pub(crate) fn parameter(key: &str) -> String {
    key.trim().to_ascii_lowercase().replace('-', "_")
}

/// Reads the data of the ConfigMap, for a server that CloudNativePG runs or another one.
pub(crate) fn read(data: &BTreeMap<String, String>, is_delegated: bool) -> Reading {
    config::read(data, if is_delegated { DELEGATED } else { TABLE })
}

/// The database that is wanted.
pub(crate) fn database_of(object: &PostgresDatabase, config: Option<&Reading>, in_use: InUse<'_>) -> String {
    let of_config = config.and_then(|reading| reading.get(DATABASE));
    let named = object.spec.database.as_deref().or(of_config).or(in_use.database);
    named.map_or_else(|| object.name_any(), str::to_owned)
}

/// Whether the ConfigMap is used as written.
fn honoured(Config { name, reading, default_source }: Config<'_>) -> Statement {
    let source = format!("ConfigMap/{name}");
    let remark = default_source.remark(&source, "to use another ConfigMap, name it in spec.config.configMap");
    match (reading, remark) {
        (Some(reading), remark) => {
            let adapted = reading.adapted.iter().cloned().chain(remark).collect();
            Reading { adapted, ..reading.clone() }.statement(&source)
        }
        (None, Some(remark)) => Statement::holds(CONFIG_HONOURED, reason::ADAPTED, remark),
        (None, None) => {
            let message = format!("{source} does not exist; the spec, the values in use, and the defaults apply");
            Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, message)
        }
    }
}

/// The password of the Secret that the spec names, which is used before that of the ConfigMap, and whether it was accepted.
fn take_password(
    outcome: Option<Outcome<String>>,
    honoured: Statement,
) -> (Option<String>, Statement, Option<Stalled>) {
    let Some(Outcome { read, remarks }) = outcome else { return (None, honoured, None) };
    let honoured =
        remarks.iter().fold(honoured, |honoured, remark| honoured.adapted(&format!("spec.password: {remark}")));
    match read {
        Ok(password) => (Some(password), honoured, None),
        Err(stalled) => {
            let honoured = honoured.refused("spec.password cannot be used; see the condition Stalled");
            (None, honoured, Some(stalled))
        }
    }
}

/// The settings of the user that do not apply to an external database.
pub(crate) fn unused(object: &PostgresDatabase, config: Config<'_>) -> Vec<String> {
    let spec = &object.spec;
    let config_map = format!("ConfigMap/{}", config.name);
    let all = [
        (config.reading.is_some(), config_map.as_str()),
        (spec.database.is_some(), "spec.database"),
        (spec.username.is_some(), "spec.username"),
        (spec.password.is_some(), "spec.password"),
    ];
    all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, what)| what.to_owned()).collect()
}

/// The error in the name of a database, if any.
pub(crate) fn wrong_with_database(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("is empty"),
        "postgres" | "template0" | "template1" | SCRATCH => Some("names a database that the server keeps for itself"),
        _ if name.starts_with("pg_") => Some("begins with pg_, which PostgreSQL keeps for itself"),
        // The owner's role has the name with a suffix, and PostgreSQL cuts names after 63 bytes.
        _ if name.len() > 56 => Some("is longer than 56 bytes"),
        _ if given::clean(name).is_err() => Some("contains a line break or another control character"),
        _ => None,
    }
}

/// What is wrong with the name of a login, if anything.
pub(crate) fn wrong_with_user(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("is empty"),
        ADMINISTRATOR => Some("is the controller's own administrator"),
        "public" | "none" => Some("is an SQL keyword that no role may be called"),
        _ if name.starts_with("pg_") => Some("begins with pg_, which PostgreSQL keeps for itself"),
        _ if name.ends_with("_owner") => Some("ends with _owner, as the roles do that own databases"),
        _ if name.len() > 63 => Some("is longer than 63 bytes"),
        _ if given::clean(name).is_err() => Some("contains a line break or another control character"),
        _ => None,
    }
}

fn database(value: &str) -> Ruling {
    match wrong_with_database(value) {
        Some(wrong) => Ruling::Refused(format!("{wrong}; give another name")),
        None => Ruling::Honoured,
    }
}

fn user(value: &str) -> Ruling {
    match wrong_with_user(value) {
        Some(wrong) => Ruling::Refused(format!("{wrong}; give another name")),
        None if value == "postgres" => Ruling::Remarked(
            "is created as a plain login: it owns the database through a role and is not a superuser".to_owned(),
        ),
        None => Ruling::Honoured,
    }
}

/// Its own roles CloudNativePG gives to no application: without another name, logins are generated.
fn user_of_cluster(value: &str) -> Ruling {
    if is_reserved_by_cluster(value) {
        let remark =
            "is a role of CloudNativePG itself and is not used; the login gets another name, which is in the binding";
        return Ruling::Remarked(remark.to_owned());
    }
    user(value)
}

fn password(value: &str) -> Ruling {
    if value.is_empty() {
        return Ruling::Refused("is empty; set a password, or remove the key to have one generated".to_owned());
    }
    Ruling::Remarked(
        "is in a ConfigMap, where passwords do not belong; put it into a Secret and name that in spec.password"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests;

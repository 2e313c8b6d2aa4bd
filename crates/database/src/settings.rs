//! What the database and its login are to be: the spec first, then the ConfigMap, then the defaults.

use std::collections::BTreeMap;

use kube::ResourceExt;
use temporal_stack_common::{
    api::PostgresDatabase,
    claim::Claim,
    component::Progress,
    condition::{CONFIG_HONOURED, Statement, reason},
    config::{self, Key, Ruling},
    given::{self, Outcome},
    login::Wanted,
};

use crate::names::ADMINISTRATOR;

const DATABASE: &str = "POSTGRES_DB";
const USER: &str = "POSTGRES_USER";
const PASSWORD: &str = "POSTGRES_PASSWORD";

/// The keys of the ConfigMap.
const TABLE: &[Key] =
    &[Key { name: DATABASE, rule: database }, Key { name: USER, rule: user }, Key { name: PASSWORD, rule: password }];

/// What the database and its login are to be.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The database.
    pub(crate) database: String,
    /// The login that the user named.
    pub(crate) user: Option<String>,
    /// The password that the user gave it.
    pub(crate) password: Option<String>,
    /// What became of the ConfigMap.
    pub(crate) honoured: Statement,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("database", &self.database).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Settings {
    /// The login that is wanted.
    pub(crate) fn wanted<'a>(&'a self, rotation: Option<&'a str>) -> Wanted<'a> {
        Wanted { base: &self.database, user: self.user.as_deref(), password: self.password.as_deref(), rotation }
    }

    /// Takes the password of the Secret that the spec names, before that of the ConfigMap. What is wrong with the Secret is for the
    /// user to correct.
    pub(crate) fn take_password(&mut self, outcome: Outcome<String>) -> Option<Progress> {
        for remark in outcome.remarks {
            self.honoured = self.honoured.clone().adapted(&format!("spec.password: {remark}"));
        }
        match outcome.read {
            Ok(password) => {
                self.user.get_or_insert_with(|| self.database.clone());
                self.password = Some(password);
                None
            }
            Err(obstacle) => {
                self.honoured =
                    self.honoured.clone().refused("spec.password cannot be used; see the condition Stalled");
                Some(obstacle)
            }
        }
    }
}

/// The name of the ConfigMap that an object refers to.
pub(crate) fn config_map(object: &PostgresDatabase) -> &str {
    object.spec.config.config_map.as_deref().unwrap_or(crate::DEFAULT_CONFIG)
}

/// What is in use, and stays in use while nobody names anything else: a ConfigMap that is gone for a moment must not move an
/// application to an empty database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InUse<'a> {
    /// The database of the binding.
    pub(crate) database: Option<&'a str>,
    /// The newest login, if the user named it.
    pub(crate) user: Option<&'a str>,
}

/// Decides by the object, the data of its ConfigMap, the password that its spec refers to, and what is in use.
pub(crate) fn settings(
    object: &PostgresDatabase,
    config_map_data: Option<&BTreeMap<String, String>>,
    password_of_spec: Option<String>,
    in_use: InUse<'_>,
    claim: &Claim,
) -> Settings {
    let source = format!("ConfigMap/{}", config_map(object));
    let mut reading = config_map_data.map(|data| config::read(data, TABLE)).unwrap_or_default();
    let remark = claim.remark(&source, "to use a ConfigMap here, name it in spec.config.configMap");
    let honoured = if config_map_data.is_some() {
        reading.adapted.extend(remark);
        reading.statement(&source)
    } else if let Some(remark) = remark {
        Statement::holds(CONFIG_HONOURED, reason::ADAPTED, remark)
    } else {
        let message = format!("there is no {source}; the spec, what is in use, and the defaults are taken");
        Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, message)
    };
    let spec = &object.spec;
    let or_config = |field: &Option<String>, key| field.clone().or_else(|| reading.get(key).map(str::to_owned));
    let database = or_config(&spec.database, DATABASE).or_else(|| in_use.database.map(str::to_owned));
    let database = database.unwrap_or_else(|| object.name_any());
    let password = password_of_spec.or_else(|| reading.get(PASSWORD).map(str::to_owned));
    // A password of the user's needs a login to belong to.
    let user = or_config(&spec.username, USER)
        .or_else(|| in_use.user.map(str::to_owned))
        .or_else(|| password.is_some().then(|| database.clone()));
    Settings { database, user, password, honoured }
}

/// What the user has configured of a database that runs elsewhere: its Secret describes it, and this is not used.
pub(crate) fn unused(object: &PostgresDatabase, has_config_map: bool) -> Vec<String> {
    let spec = &object.spec;
    let config_map = format!("ConfigMap/{}", config_map(object));
    let all = [
        (has_config_map, config_map.as_str()),
        (spec.database.is_some(), "spec.database"),
        (spec.username.is_some(), "spec.username"),
        (spec.password.is_some(), "spec.password"),
    ];
    all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, what)| what.to_owned()).collect()
}

/// What is wrong with the name of a database, if anything.
pub(crate) fn wrong_with_database(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("is empty"),
        "postgres" | "template0" | "template1" => Some("names a database that the server keeps for itself"),
        _ if name.starts_with("pg_") => Some("begins with pg_, which PostgreSQL keeps for itself"),
        // The owner's role has the name with a suffix, and PostgreSQL cuts names after 63 bytes.
        _ if name.len() > 56 => Some("is longer than 56 bytes"),
        _ if given::clean(name).is_err() => Some("has a line break or another control character within"),
        _ => None,
    }
}

/// What is wrong with the name of a login, if anything.
pub(crate) fn wrong_with_user(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("is empty"),
        ADMINISTRATOR => Some("is the controller's own administrator"),
        "public" | "none" => Some("is a word of SQL that no role may have as its name"),
        _ if name.starts_with("pg_") => Some("begins with pg_, which PostgreSQL keeps for itself"),
        _ if name.ends_with("_owner") => Some("ends with _owner, as the roles do that own databases"),
        _ if name.len() > 63 => Some("is longer than 63 bytes"),
        _ if given::clean(name).is_err() => Some("has a line break or another control character within"),
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
            "is made as a plain login: it owns the database through a role, and is no superuser".to_owned(),
        ),
        None => Ruling::Honoured,
    }
}

fn password(value: &str) -> Ruling {
    if value.is_empty() {
        return Ruling::Refused("is empty; give a password, or leave the key out and one is generated".to_owned());
    }
    Ruling::Remarked(
        "stands in a ConfigMap, where passwords do not belong; put it into a Secret and name that in spec.password"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::PostgresDatabaseSpec;

    use super::*;

    fn with(config: &[(&str, &str)]) -> Settings {
        let data = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        settings(
            &PostgresDatabase::new("temporal", PostgresDatabaseSpec::default()),
            Some(&data),
            None,
            InUse::default(),
            &Claim::Ours,
        )
    }

    fn message(settings: &Settings) -> String {
        format!("{:?}", settings.honoured)
    }

    #[test]
    fn without_any_configuration_the_database_is_named_after_the_object() {
        let settings = settings(
            &PostgresDatabase::new("temporal", PostgresDatabaseSpec::default()),
            None,
            None,
            InUse::default(),
            &Claim::Ours,
        );
        assert_eq!((settings.database.as_str(), settings.user, settings.password), ("temporal", None, None));
    }

    #[test]
    fn what_is_in_use_stays_when_the_config_map_goes() {
        let object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
        let in_use = InUse { database: Some("orders"), user: Some("shop") };
        let settings = settings(&object, None, None, in_use, &Claim::Ours);
        assert_eq!((settings.database.as_str(), settings.user.as_deref()), ("orders", Some("shop")));
    }

    #[test]
    fn the_seed_is_adapted() {
        let settings =
            with(&[("POSTGRES_DB", "temporal"), ("POSTGRES_USER", "postgres"), ("POSTGRES_PASSWORD", "password123")]);
        assert_eq!(settings.database, "temporal");
        assert_eq!(settings.user.as_deref(), Some("postgres"));
        assert_eq!(settings.password.as_deref(), Some("password123"));
        let message = message(&settings);
        assert!(message.contains("Adapted") && message.contains("holds: true"), "{message}");
        assert!(message.contains("no superuser") && message.contains("stands in a ConfigMap"), "{message}");
        assert!(!message.contains("password123"), "{message}");
    }

    #[test]
    fn a_field_of_the_spec_beats_the_config_map() {
        let mut object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
        object.spec.database = Some("mine".to_owned());
        let data = BTreeMap::from([(DATABASE.to_owned(), "theirs".to_owned())]);
        assert_eq!(settings(&object, Some(&data), None, InUse::default(), &Claim::Ours).database, "mine");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_key() {
        for (key, value) in [
            (DATABASE, ""),
            (DATABASE, "a\0b"),
            (DATABASE, "template1"),
            (USER, "pg_me"),
            (USER, ADMINISTRATOR),
            (PASSWORD, ""),
        ] {
            let message = message(&with(&[(key, value)]));
            assert!(message.contains("Refused") && message.contains(key), "{message}");
        }
    }

    #[test]
    fn a_key_of_another_program_is_named() {
        let message = message(&with(&[("POSTGRES_DATABASE", "x")]));
        assert!(message.contains("POSTGRES_DATABASE is not a key of this component"), "{message}");
        assert!(message.contains("did you mean POSTGRES_DB?"), "{message}");
    }

    #[test]
    fn a_password_made_with_echo_loses_its_line_break_and_says_so() {
        let mut settings = with(&[]);
        let remarks = vec!["the key password ends with a line break, which is left out".to_owned()];
        assert!(settings.take_password(Outcome { read: Ok("hunter2".to_owned()), remarks }).is_none());
        assert_eq!((settings.user.as_deref(), settings.password.as_deref()), (Some("temporal"), Some("hunter2")));
        let message = message(&settings);
        assert!(message.contains("Adapted") && message.contains("line break"), "{message}");
    }

    #[test]
    fn the_config_map_of_another_object_is_not_used_and_says_so() {
        let object = PostgresDatabase::new("orders", PostgresDatabaseSpec::default());
        let claim = Claim::Theirs(Some("PostgresDatabase/users".to_owned()));
        let new = settings(&object, None, None, InUse::default(), &claim);
        assert_eq!((new.database.as_str(), &new.user, &new.password), ("orders", &None, &None));
        let message = message(&new);
        assert!(message.contains("Adapted") && message.contains("belongs to PostgresDatabase/users"), "{message}");
        let in_use = InUse { database: Some("users"), user: Some("users_app") };
        let kept = settings(&object, None, None, in_use, &claim);
        assert_eq!((kept.database.as_str(), kept.user.as_deref()), ("users", Some("users_app")));
    }

    #[test]
    fn a_password_without_a_user_belongs_to_a_login_of_the_databases_name() {
        assert_eq!(with(&[(PASSWORD, "x")]).user.as_deref(), Some("temporal"));
    }
}

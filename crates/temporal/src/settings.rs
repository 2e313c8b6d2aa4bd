//! The user's settings: variables of Temporal's environment, and the result for each.

mod table;

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::TemporalSpec,
    condition::Statement,
    config::{self, Reading},
    default_source::DefaultSource,
    message::capped,
};

use crate::names::{CONFIG, KEYSTORE, RTNS};

/// The longest value that a variable may have, in bytes: a program with a longer one does not start.
const LONGEST: usize = 64 * 1024;
/// How many adapted keys, and how many refused ones, are listed by name: a condition has room for 32 KiB of text.
const MOST_LISTED: usize = 40;

/// Names of variables that the controller sets or reads.
pub(crate) mod key {
    pub(crate) const CERTIFICATE: &str = "API_CONNECTION_CERTIFICATES_CERTPATH";
    pub(crate) const CERTIFICATE_KEY: &str = "API_CONNECTION_CERTIFICATES_KEYPATH";
    pub(crate) const LIMIT: &str = "API_CONNECTION_LIMIT";
    pub(crate) const SIZE_LIMIT: &str = "API_SIZELIMITINGIGABYTES";
    pub(crate) const REALM: &str = "API_JWT_REALM";
    pub(crate) const JWT_KEY: &str = "API_JWT_KEY";
    pub(crate) const LOG_DIR: &str = "LOGDIR";
    pub(crate) const DATABASE_URL: &str = "DATABASE_URL";
    pub(crate) const DATABASE_PORT: &str = "DATABASE_PORT";
    pub(crate) const DATABASE_USERNAME: &str = "DATABASE_USERNAME";
    pub(crate) const DATABASE_PASSWORD: &str = "DATABASE_PASSWORD";
    pub(crate) const RABBITMQ_URL: &str = "RABBITMQ_URL";
    pub(crate) const IPFS_HOST: &str = "IPFS_APICONNECTION_HOST";
    pub(crate) const IPFS_PORT: &str = "IPFS_APICONNECTION_PORT";
    pub(crate) const CLUSTER_HOST: &str = "IPFSCLUSTER_APICONNECTION_HOST";
    pub(crate) const CLUSTER_PORT: &str = "IPFSCLUSTER_APICONNECTION_PORT";
    pub(crate) const KEYSTORE: &str = "IPFS_KEYSTOREPATH";
    pub(crate) const KRAB_URL: &str = "SERVICES_KRAB_URL";
    pub(crate) const KRAB_KEY: &str = "SERVICES_KRAB_AUTHKEY";
    pub(crate) const KRAB_PASSWORD: &str = "SERVICES_KRAB_KEYSTOREPASSWORD";
    pub(crate) const RTNS: &str = "SERVICES_RTNS_DATASTOREPATH";
    pub(crate) const GIN_MODE: &str = "GIN_MODE";
}

/// The user's settings. `Debug` shows no value.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The variables that are passed on, by their effective names.
    pub(crate) variables: BTreeMap<&'static str, String>,
    /// The user's spellings of these names.
    spellings: BTreeMap<&'static str, String>,
    reading: Reading,
    source: String,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// The name of the ConfigMap that an object reads.
pub(crate) fn config_map(spec: &TemporalSpec) -> &str {
    spec.config.config_map.as_deref().unwrap_or(CONFIG)
}

impl Settings {
    /// Reads the data of the ConfigMap, if it exists and counts for this object.
    pub(crate) fn read(
        spec: &TemporalSpec,
        data: Option<&BTreeMap<String, String>>,
        default_source: &DefaultSource,
    ) -> Self {
        let source = format!("ConfigMap/{}", config_map(spec));
        let mut too_long = Vec::new();
        let mut usable = BTreeMap::new();
        for (name, value) in data.into_iter().flatten() {
            if value.len() > LONGEST {
                too_long.push(format!(
                    "{name} is not passed: a variable holds at most {} KiB of text; shorten it",
                    LONGEST / 1024
                ));
                continue;
            }
            usable.insert(spell(name), value.clone());
        }
        let mut reading = config::read(&usable, &table::TABLE);
        reading.refused.extend(too_long);
        let (mut variables, mut spellings) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in std::mem::take(&mut reading.values) {
            let field = table::FIELDS.iter().find(|field| [field.name, field.other].contains(&name));
            let winner = field.map_or(name, |field| field.name);
            // Of two spellings the first wins, unless it is empty, which is the same as absent.
            if value.is_empty() || (name != winner && variables.contains_key(winner)) {
                continue;
            }
            variables.insert(winner, value);
            spellings.insert(winner, name.to_owned());
        }
        let remark = default_source.remark(&source, "to use another ConfigMap, name it in spec.config.configMap");
        let remark = remark.filter(|_| data.is_some() || !default_source.is_readable());
        let mut settings = Self { variables, spellings, reading, source };
        settings.check_certificate_pair();
        settings.check_paths();
        // First, so that it is always listed.
        settings.reading.adapted.splice(0..0, remark);
        settings
    }

    /// The user's value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.variables.get(key).map(String::as_str)
    }

    /// Where the user set a variable: the source, and the name as it is spelled there.
    pub(crate) fn place(&self, key: &'static str) -> String {
        format!("{}: {}", self.source, self.spelling(key))
    }

    fn spelling(&self, key: &'static str) -> &str {
        self.spellings.get(key).map_or(key, String::as_str)
    }

    /// The settings without a variable that a field of the spec sets; reported if the user's value differs.
    #[must_use]
    pub(crate) fn overridden(mut self, key: &'static str, value: Option<&str>, by: &str) -> Self {
        if self.variables.remove(key).is_some_and(|given| Some(given.as_str()) != value) {
            let remark = format!("{} is overridden by {by}", self.spelling(key));
            self.reading.adapted.push(remark);
        }
        self
    }

    /// The paths at which the API reads certificate and key, if it should serve TLS.
    pub(crate) fn certificate_paths(&self) -> Option<(&str, &str)> {
        Some((self.get(key::CERTIFICATE)?, self.get(key::CERTIFICATE_KEY)?))
    }

    /// The condition `ConfigHonoured`.
    pub(crate) fn condition(&self) -> Statement {
        let Reading { refused, adapted, .. } = self.reading.clone();
        let (refused, adapted) = (capped(refused, MOST_LISTED), capped(adapted, MOST_LISTED));
        Reading { refused, adapted, ..Reading::default() }.statement(&self.source)
    }

    /// Refuses files and directories that would be mounted over each other.
    fn check_paths(&mut self) {
        let reserved = ["/tmp", KEYSTORE, RTNS];
        let path_of = |settings: &Self, key: &str| settings.get(key).map(|path| path.trim_end_matches('/').to_owned());
        if path_of(self, key::LOG_DIR).is_some_and(|path| reserved.contains(&path.as_str())) {
            self.variables.remove(key::LOG_DIR);
            self.reading.refused.push(format!("{} is a directory that is already in use; name another", key::LOG_DIR));
        }
        let logs = path_of(self, key::LOG_DIR);
        let (certificate, its_key) = (path_of(self, key::CERTIFICATE), path_of(self, key::CERTIFICATE_KEY));
        let is_taken = |path: &Option<String>| {
            path.as_deref().is_some_and(|path| reserved.contains(&path) || Some(path) == logs.as_deref())
        };
        if certificate.is_some() && (certificate == its_key || is_taken(&certificate) || is_taken(&its_key)) {
            self.variables.remove(key::CERTIFICATE);
            self.variables.remove(key::CERTIFICATE_KEY);
            self.reading.refused.push(format!(
                "{} and {} must be two different files, neither in place of a directory that is in use; until then the API serves no TLS",
                key::CERTIFICATE,
                key::CERTIFICATE_KEY
            ));
        }
    }

    /// A certificate needs its key, and the other way round.
    fn check_certificate_pair(&mut self) {
        for (path, other) in [(key::CERTIFICATE, key::CERTIFICATE_KEY), (key::CERTIFICATE_KEY, key::CERTIFICATE)] {
            if self.variables.contains_key(path) && !self.variables.contains_key(other) {
                self.variables.remove(path);
                self.reading
                    .adapted
                    .push(format!("{path} is not used: without {other} the API serves no TLS; set both, or neither"));
            }
        }
    }
}

/// Temporal reads names in upper and lower case.
fn spell(name: &str) -> String {
    let capitals = name.to_uppercase();
    let is_known = || table::TABLE.iter().any(|key| key.name == capitals);
    if name == name.to_lowercase() && is_known() { capitals } else { name.to_owned() }
}

#[cfg(test)]
mod tests;

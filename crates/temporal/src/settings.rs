//! What the user set: variables of Temporal's environment.

mod table;

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::Temporal,
    claim::Claim,
    condition::Statement,
    config::{self, Reading},
};

use crate::names;

/// The default name of the user's ConfigMap.
pub(crate) const CONFIG: &str = "temporal-config";
/// The longest value that a variable may have, in bytes: a program with a longer one does not start.
const LONGEST: usize = 64 * 1024;
/// How many keys are remarked, and how many refused ones, by name: a condition takes 32 KiB of text.
const MOST_TOLD: usize = 40;

/// Names of variables that the controller has something to say about.
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

/// What the user set. `Debug` shows no value.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// What is passed on, by the name that wins.
    pub(crate) variables: BTreeMap<&'static str, String>,
    /// How the user wrote these names.
    written: BTreeMap<&'static str, String>,
    reading: Reading,
    source: String,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// The name of the ConfigMap that an object refers to.
pub(crate) fn config_map(object: &Temporal) -> &str {
    object.spec.config.config_map.as_deref().unwrap_or(CONFIG)
}

impl Settings {
    /// Reads the data of the ConfigMap.
    pub(crate) fn read(object: &Temporal, data: Option<&BTreeMap<String, String>>) -> Self {
        let source = format!("ConfigMap/{}", config_map(object));
        let mut too_long = Vec::new();
        let mut usable = BTreeMap::new();
        for (name, value) in data.into_iter().flatten() {
            if value.len() > LONGEST {
                too_long.push(format!(
                    "{name} is not passed: a variable takes {} KiB of text at the most; shorten it",
                    LONGEST / 1024
                ));
                continue;
            }
            usable.insert(spelled(name), value.clone());
        }
        let mut reading = config::read(&usable, &table::TABLE);
        reading.refused.extend(too_long);
        let (mut variables, mut written) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in std::mem::take(&mut reading.values) {
            let field = table::FIELDS.iter().find(|field| [field.name, field.other].contains(&name));
            let winner = field.map_or(name, |field| field.name);
            // Of two spellings the first wins, unless it is empty, which is the same as absent.
            if value.is_empty() || (name != winner && variables.contains_key(winner)) {
                continue;
            }
            variables.insert(winner, value);
            written.insert(winner, name.to_owned());
        }
        let mut settings = Self { variables, written, reading, source };
        settings.pair_of_certificates();
        settings.places();
        settings
    }

    /// The value that the user gave.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.variables.get(key).map(String::as_str)
    }

    /// The name of a variable as the user wrote it.
    pub(crate) fn written(&self, key: &'static str) -> String {
        format!("{}: {}", self.source, self.written.get(key).map_or(key, String::as_str))
    }

    /// Says for which object of the namespace the ConfigMap counts, where it is not this one alone.
    pub(crate) fn claimed(&mut self, claim: &Claim, is_there: bool) {
        let remedy = "to use a ConfigMap here, name it in spec.config.configMap";
        let remark = claim.remark(&self.source, remedy).filter(|_| is_there || !claim.is_readable());
        // First, so that it is not among those that are only counted.
        self.reading.adapted.splice(0..0, remark);
    }

    /// Takes back what the user gave for something that is decided here; it is said when that is something else.
    pub(crate) fn decide(&mut self, key: &'static str, value: Option<&str>, by: &str) {
        let Some(given) = self.variables.remove(key) else { return };
        if Some(given.as_str()) != value {
            let name = self.written.get(key).map_or(key, String::as_str);
            self.reading.adapted.push(format!("{name} is decided by {by}"));
        }
    }

    /// Where certificate and key are to be, if the API is to speak TLS.
    pub(crate) fn certificate(&self) -> Option<(&str, &str)> {
        Some((self.get(key::CERTIFICATE)?, self.get(key::CERTIFICATE_KEY)?))
    }

    /// The condition `ConfigHonoured`.
    pub(crate) fn statement(&self) -> Statement {
        let mut told = self.reading.clone();
        for sentences in [&mut told.refused, &mut told.adapted] {
            let more = sentences.len().saturating_sub(MOST_TOLD);
            if more > 0 {
                sentences.truncate(MOST_TOLD);
                sentences.push(format!("and {more} more"));
            }
        }
        told.statement(&self.source)
    }

    /// Files and directories that would be in each other's place.
    fn places(&mut self) {
        let own = ["/tmp", names::KEYSTORE, names::RTNS];
        let place = |settings: &Self, key: &str| settings.get(key).map(|path| path.trim_end_matches('/').to_owned());
        if place(self, key::LOG_DIR).is_some_and(|path| own.contains(&path.as_str())) {
            self.variables.remove(key::LOG_DIR);
            self.reading
                .refused
                .push(format!("{} is a directory that something else is in; name another", key::LOG_DIR));
        }
        let logs = place(self, key::LOG_DIR);
        let (one, other) = (place(self, key::CERTIFICATE), place(self, key::CERTIFICATE_KEY));
        let is_taken = |path: &Option<String>| {
            path.as_deref().is_some_and(|path| own.contains(&path) || Some(path) == logs.as_deref())
        };
        if one.is_some() && (one == other || is_taken(&one) || is_taken(&other)) {
            self.variables.remove(key::CERTIFICATE);
            self.variables.remove(key::CERTIFICATE_KEY);
            self.reading.refused.push(format!(
                "{} and {} must be two files, and no directory that something else is in; until then the API speaks no TLS",
                key::CERTIFICATE,
                key::CERTIFICATE_KEY
            ));
        }
    }

    fn pair_of_certificates(&mut self) {
        for (one, other) in [(key::CERTIFICATE, key::CERTIFICATE_KEY), (key::CERTIFICATE_KEY, key::CERTIFICATE)] {
            if self.variables.contains_key(one) && !self.variables.contains_key(other) {
                self.variables.remove(one);
                self.reading
                    .adapted
                    .push(format!("{one} is alone, and without {other} the API speaks no TLS; set both, or none"));
            }
        }
    }
}

/// Temporal reads names in capitals and in small letters.
fn spelled(name: &str) -> String {
    let capitals = name.to_uppercase();
    let is_known = || table::TABLE.iter().any(|key| key.name == capitals);
    if name == name.to_lowercase() && is_known() { capitals } else { name.to_owned() }
}

#[cfg(test)]
mod tests;

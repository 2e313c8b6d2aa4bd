//! The record of a move: a Secret, because it has the login of a source that runs elsewhere.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use temporal_stack_common::{
    address::Endpoint,
    api::PostgresDatabase,
    binding::text,
    login::{self, Access, PASSWORD, USERNAME},
    manifest,
    names::Names,
};

use crate::names::{DATABASE, primary_service};

const FROM: &str = "from";
const TO: &str = "to";
const PHASE: &str = "phase";
const CLOSED: &str = "closed";
const FAILURE: &str = "failure";
const ATTEMPT: &str = "attempt";
const TARGET_DATABASE: &str = "target-database";
const HOST: &str = "host";
const PORT: &str = "port";

/// A provider, by its name in the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProviderName {
    /// A server that the controller runs.
    Postgres,
    /// Servers that CloudNativePG runs.
    CloudNativePg,
    /// A server elsewhere.
    External,
}

impl ProviderName {
    /// The provider that the spec names.
    pub(crate) fn of_spec(object: &PostgresDatabase) -> Self {
        let provider = &object.spec.provider;
        match (&provider.cloud_native_pg, &provider.external) {
            (Some(_), _) => Self::CloudNativePg,
            (None, Some(_)) => Self::External,
            (None, None) => Self::Postgres,
        }
    }

    /// The provider that a binding leads to. All parts must agree: a changed key is drift, and no other provider.
    pub(crate) fn of_binding(binding: &Secret, names: &Names) -> Option<Self> {
        let (host, is_login_ours) = (text(binding, HOST)?, login::number(binding).is_some());
        let provider = Self::parse(text(binding, "provider")?)?;
        let is_right = match provider {
            Self::Postgres => is_login_ours && host == names.host(&names.base),
            Self::CloudNativePg => is_login_ours && host == names.host(&primary_service(names)),
            Self::External => !is_login_ours,
        };
        is_right.then_some(provider)
    }

    /// Its name in the spec.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::CloudNativePg => crate::names::PROVIDER,
            Self::External => "external",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Postgres, Self::CloudNativePg, Self::External].into_iter().find(|provider| provider.as_str() == name)
    }
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The target is being set up beside the source, which serves.
    Preparing,
    /// The source takes no clients, and its data are copied and compared.
    Copying,
    /// The target serves.
    Switched,
    /// The source serves again, and the target is being removed.
    Returning,
    /// The source serves, and nothing else is left; the user must act.
    Failed,
}

impl Phase {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Preparing, "Preparing"),
        (Self::Copying, "Copying"),
        (Self::Switched, "Switched"),
        (Self::Returning, "Returning"),
        (Self::Failed, "Failed"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(phase, _)| *phase == self).map_or("", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(phase, _)| *phase)
    }
}

/// From which provider to which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// The provider that has the data.
    pub(crate) from: ProviderName,
    /// The provider that gets them.
    pub(crate) to: ProviderName,
}

impl Move {
    /// The move that is recorded, or that the spec asks for while the binding leads to another provider. Nothing is moved to a server
    /// elsewhere.
    pub(crate) fn find(record: Option<&Record>, bound: Option<ProviderName>, wanted: ProviderName) -> Option<Self> {
        if let Some(record) = record {
            return Some(record.way);
        }
        let from = bound.filter(|bound| *bound != wanted && wanted != ProviderName::External)?;
        Some(Self { from, to: wanted })
    }
}

/// The record of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// From which provider to which one.
    pub(crate) way: Move,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Whether the source may have been closed.
    pub(crate) is_closed: bool,
    /// Why it did not succeed.
    pub(crate) failure: Option<String>,
    /// What the user asked for when it failed: the same is not tried again.
    pub(crate) attempt: Option<String>,
    /// The database on the target. The spec may name another one meanwhile, which is empty.
    pub(crate) database: String,
    /// The access to a source that runs elsewhere.
    pub(crate) theirs: Option<Access>,
}

impl Record {
    /// Reads it. A Secret that is no record, or of a move that is not possible, counts as absent.
    pub(crate) fn read(secret: &Secret) -> Option<Self> {
        let provider = |key| ProviderName::parse(text(secret, key)?);
        let optional = |key| text(secret, key).map(str::to_owned);
        let way = Move { from: provider(FROM)?, to: provider(TO)? };
        if way.from == way.to || way.to == ProviderName::External {
            return None;
        }
        Some(Self {
            way,
            phase: Phase::parse(text(secret, PHASE)?)?,
            is_closed: text(secret, CLOSED).is_some(),
            failure: optional(FAILURE),
            attempt: optional(ATTEMPT),
            database: optional(TARGET_DATABASE)?,
            theirs: read_access(secret),
        })
    }

    /// The same in another phase.
    pub(crate) fn in_phase(&self, phase: Phase) -> Self {
        Self { phase, is_closed: self.is_closed || phase == Phase::Copying, ..self.clone() }
    }

    /// The Secret.
    pub(crate) fn secret(&self, name: String) -> Secret {
        let mut secret = manifest::secret(name, &[]);
        let mut texts = BTreeMap::from([
            (FROM, self.way.from.as_str().to_owned()),
            (TO, self.way.to.as_str().to_owned()),
            (PHASE, self.phase.as_str().to_owned()),
            (TARGET_DATABASE, self.database.clone()),
        ]);
        texts.extend(self.is_closed.then(|| (CLOSED, "true".to_owned())));
        texts.extend(self.failure.clone().map(|failure| (FAILURE, failure)));
        texts.extend(self.attempt.clone().map(|attempt| (ATTEMPT, attempt)));
        if let Some(Access { endpoint, username, password, scope }) = &self.theirs {
            texts.insert(HOST, endpoint.host.clone());
            texts.insert(PORT, endpoint.port.to_string());
            texts.insert(USERNAME, username.clone());
            texts.insert(PASSWORD, password.clone());
            texts.insert(DATABASE, scope.clone());
        }
        let data = texts.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
        secret.data = Some(data.collect());
        secret
    }
}

/// The access in a binding, or in a record.
pub(crate) fn read_access(secret: &Secret) -> Option<Access> {
    Some(Access {
        endpoint: Endpoint { host: text(secret, HOST)?.to_owned(), port: text(secret, PORT)?.parse().ok()? },
        username: text(secret, USERNAME)?.to_owned(),
        password: text(secret, PASSWORD)?.to_owned(),
        scope: text(secret, DATABASE)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{fixture::object, names::BINDING};

    fn access(host: &str) -> Access {
        let part = |text: &str| text.to_owned();
        let endpoint = Endpoint { host: part(host), port: 5432 };
        Access { endpoint, username: part("u"), password: part("s3cret"), scope: part("d") }
    }

    #[test]
    fn record_is_read_as_it_was_written() {
        let way = Move { from: ProviderName::External, to: ProviderName::CloudNativePg };
        for (phase, _) in Phase::ALL {
            let record = Record {
                way,
                phase,
                is_closed: phase != Phase::Preparing,
                failure: Some("why".to_owned()),
                attempt: Some("again".to_owned()),
                database: "temporal".to_owned(),
                theirs: Some(access("db")),
            };
            let secret = record.secret("r".to_owned());
            assert_eq!(Record::read(&secret), Some(record.clone()));
            assert!(!format!("{record:?}").contains("s3cret"));
        }
        assert_eq!(Record::read(&Secret::default()), None);
    }

    #[test]
    fn record_of_an_impossible_move_is_none() {
        use ProviderName::{External, Postgres};
        for (from, to) in [(Postgres, Postgres), (Postgres, External)] {
            let record = Record {
                way: Move { from, to },
                phase: Phase::Returning,
                is_closed: false,
                failure: None,
                attempt: None,
                database: "temporal".to_owned(),
                theirs: None,
            };
            assert_eq!(Record::read(&record.secret("r".to_owned())), None);
        }
    }

    #[test]
    fn binding_with_a_changed_part_leads_to_no_provider() {
        let names = Names::new(&object(&json!({})));
        let bound = |provider, host: &str, number: Option<u32>| {
            let mut binding = BINDING.bind("b", provider, &access(host));
            if let Some(number) = number {
                let label = BTreeMap::from([(login::NUMBER.to_owned(), number.to_string())]);
                binding.metadata.labels = Some(label);
            }
            ProviderName::of_binding(&binding, &names)
        };
        let (embedded, primary) = ("temporal-postgresdatabase.default.svc", "temporal-postgresdatabase-rw.default.svc");
        assert_eq!(bound("postgres", embedded, Some(1)), Some(ProviderName::Postgres));
        assert_eq!(bound("cloudNativePg", primary, Some(1)), Some(ProviderName::CloudNativePg));
        assert_eq!(bound("external", "db.example.com", None), Some(ProviderName::External));
        for (provider, host, number) in [
            ("external", embedded, Some(1)),
            ("cloudNativePg", embedded, Some(1)),
            ("postgres", "db.example.com", Some(1)),
            ("postgres", embedded, None),
            ("oracle", embedded, Some(1)),
        ] {
            assert_eq!(bound(provider, host, number), None, "{provider} {host} {number:?}");
        }
    }

    #[test]
    fn move_is_from_the_bound_provider_unless_another_is_recorded() {
        use ProviderName::{CloudNativePg, External, Postgres};
        let way = |from, to| Some(Move { from, to });
        assert_eq!(Move::find(None, Some(Postgres), CloudNativePg), way(Postgres, CloudNativePg));
        assert_eq!(Move::find(None, Some(External), Postgres), way(External, Postgres));
        for (bound, wanted) in [(None, CloudNativePg), (Some(Postgres), Postgres), (Some(Postgres), External)] {
            assert_eq!(Move::find(None, bound, wanted), None);
        }
        let recorded = Move { from: External, to: Postgres };
        let record = Record {
            way: recorded,
            phase: Phase::Copying,
            is_closed: true,
            failure: None,
            attempt: None,
            database: "temporal".to_owned(),
            theirs: None,
        };
        assert_eq!(Move::find(Some(&record), Some(Postgres), CloudNativePg), Some(recorded));
    }
}

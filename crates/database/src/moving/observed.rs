//! What is known of a move. Plain data.

use std::collections::BTreeSet;

use temporal_stack_common::{login::Access, provider::Answer};

use super::record::Record;
use crate::{cloud_native_pg::Cluster, postgres::Failure};

/// A change of the provider that is recorded, or that the spec asks for.
#[derive(Default)]
pub(crate) struct Observed {
    /// The record, once the move has begun.
    pub(crate) record: Option<Record>,
    /// Its mark.
    pub(crate) record_mark: Option<Mark>,
    /// The access in the binding: who serves.
    pub(crate) binding: Option<Access>,
    /// How the source is reached: by its administrator, or by the application's login if it runs elsewhere.
    pub(crate) access: Option<Access>,
    /// What the source answers.
    pub(crate) source: Answer<Source, Failure>,
    /// What the target answers, once it has the database.
    pub(crate) target: Answer<Target, Failure>,
    /// The Job.
    pub(crate) job: Option<Run>,
    /// What exists of a server that the controller runs.
    pub(crate) embedded: EmbeddedParts,
    /// The `Cluster`.
    pub(crate) cluster: Option<Cluster>,
    /// Whose it is.
    pub(crate) cluster_part: Option<Part>,
    /// The Secret of its administrator.
    pub(crate) cluster_administrator: Option<Part>,
    /// Children that a change of the provider would prune, as `Kind/name`.
    pub(crate) existing: BTreeSet<String>,
}

/// The server that has the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its version as a number: 170006.
    pub(crate) version: i32,
    /// The size of the database in bytes.
    pub(crate) size: i64,
    /// The extensions in the database.
    pub(crate) extensions: Vec<String>,
    /// The encoding and the locale of the database.
    pub(crate) locale: Locale,
    /// Transactions that wait for the second part of their commit.
    pub(crate) prepared: i64,
    /// Subscriptions in the database, and replication slots of subscribers to it.
    pub(crate) replication: i64,
    /// Whether new sessions of applications are refused, or may not write.
    pub(crate) is_closed: bool,
    /// Whether no session is left that may write.
    pub(crate) is_quiet: bool,
    /// Whether the login may close it.
    pub(crate) is_owned: bool,
    /// Roles whose sessions the login may not end.
    pub(crate) strangers: Vec<String>,
}

/// The server that gets the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its version as a number.
    pub(crate) version: i32,
    /// The extensions that it can offer.
    pub(crate) extensions: BTreeSet<String>,
    /// The encoding and the locale of the database.
    pub(crate) locale: Locale,
    /// Whether the database has nothing in it.
    pub(crate) is_empty: bool,
}

/// How a database reads and sorts texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locale {
    /// Its encoding.
    pub(crate) encoding: String,
    /// How it sorts.
    pub(crate) collate: String,
    /// What it takes for letters.
    pub(crate) ctype: String,
}

impl Locale {
    /// Whether texts are the same in both. Systems write `C.UTF-8` in several ways.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let plain = |name: &str| name.to_ascii_lowercase().replace('-', "");
        let all = |locale: &Self| [&locale.encoding, &locale.collate, &locale.ctype].map(|name| plain(name));
        all(self) == all(other)
    }
}

/// The Job that copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// How far it is.
    pub(crate) step: Step,
    /// Why its pod does not run, or why it failed.
    pub(crate) trouble: Option<String>,
    /// Whether its pod has ended.
    pub(crate) has_ended: bool,
}

/// How far the Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its pod is starting, or tries whether it can read and write.
    Rehearsing,
    /// The container that copies runs: it begins as soon as the source is closed.
    Copying,
    /// It compares.
    Comparing,
    /// It has found no difference. What it does afterwards may fail.
    Done,
    /// It has failed.
    Failed,
}

/// What exists of a server that the controller runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EmbeddedParts {
    /// Whether the set exists.
    pub(crate) set: bool,
    /// Whether a pod exists.
    pub(crate) pod: bool,
    /// The claim.
    pub(crate) claim: Option<Part>,
    /// The Secret of its administrator.
    pub(crate) administrator: Option<Part>,
}

/// Data that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whose they are.
    pub(crate) mark: Mark,
    /// Whether they were created before the record, by the clock of the API server: then they are not of this move's target.
    pub(crate) is_older: bool,
}

/// Whose data exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// They are marked as this object's.
    Own,
    /// They have no mark yet, or that of an earlier object.
    Other,
}

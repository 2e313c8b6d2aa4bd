//! What makes a move impossible. All of it is found while the source serves.

use postgres_protocol::escape::{escape_identifier, escape_literal};
use temporal_stack_common::{
    api::{PostgresDatabase, Storage},
    component::Stalled,
    failure::printable,
    manifest::bytes,
    message::{counted, kubectl, listed},
    provider::Answer,
};

use super::about;
use crate::{
    cloud_native_pg::Cluster,
    decide::view::View as Whole,
    moving::{Locale, Move, Observed, Part, Phase, ProviderName, Record, Source, Target},
    names::{PROVIDER, move_name, owner_role},
    reason,
};

/// How many names a message lists.
const LISTED: usize = 3;
/// A version as a number has the major version before its last four digits.
const MAJOR: i32 = 10_000;
/// A gibibyte.
const GIB: u64 = 1 << 30;

pub(super) fn blocked(way: Move, why: &str) -> Stalled {
    Stalled::new(reason::MOVE_BLOCKED, format!("{} not possible: {why}", about(way)))
}

/// Why the record cannot be followed: it does not fit to what exists, or the object has changed since.
pub(super) fn contradiction(
    whole: &Whole<'_>,
    found: &Observed,
    record: &Record,
    wanted: ProviderName,
) -> Option<Stalled> {
    let (names, way, bound) = (&whole.names, record.way, whole.traces.bound);
    let refuse = |why: &str| {
        let secret = move_name(names);
        let forget = kubectl(&names.namespace, &format!("delete secret {secret}"));
        blocked(way, &format!("Secret/{secret} is not the record of this move: {why}; delete it: {forget}"))
    };
    if let Some(other) = bound.filter(|bound| *bound != way.from) {
        return Some(refuse(&format!("the binding leads to {}", other.as_str())));
    }
    if bound.is_none() && wanted != way.from && wanted != way.to {
        return Some(refuse("it names another provider than the spec, and there is no binding"));
    }
    if bound == Some(ProviderName::External) && record.theirs != found.binding {
        return Some(refuse("the binding leads to another server"));
    }
    let is_older = |part: Option<Part>| part.is_some_and(|part| part.is_older);
    let goes_on = matches!(record.phase, Phase::Preparing | Phase::Copying | Phase::Returning);
    if goes_on && wanted == way.to {
        let older = match way.to {
            ProviderName::Postgres => {
                is_older(found.embedded.claim).then(|| format!("PersistentVolumeClaim/{}", names.volume(0)))
            }
            ProviderName::CloudNativePg => is_older(found.cluster_part).then(|| format!("Cluster/{}", names.base)),
            ProviderName::External => None,
        };
        if let Some(older) = older {
            return Some(refuse(&format!("{older} is older, and may have data")));
        }
    }
    let is_lost = match way.from {
        ProviderName::Postgres => !found.embedded.set,
        ProviderName::CloudNativePg => found.cluster.is_none(),
        ProviderName::External => false,
    };
    (is_lost && wanted != way.from && record.phase != Phase::Switched).then(|| not_running(way))
}

/// What has changed in the object so that nothing may go on.
pub(super) fn changed(whole: &Whole<'_>, record: &Record, wanted: ProviderName) -> Option<String> {
    let (before, now) = (&record.database, &whole.settings.database);
    let has_parts = wanted != ProviderName::External && record.phase != Phase::Failed;
    (has_parts && before != now)
        .then(|| format!("the database has another name than at the beginning, {now}; set it back to {before}"))
}

/// The source was deleted with an earlier object, and only the spec that names it can start it.
fn not_running(way: Move) -> Stalled {
    let from = way.from.as_str();
    blocked(way, &format!("the old server is not running; set spec.provider to {from}, which has the data"))
}

/// A source that is closed without a record: that was lost.
fn closed(found: &Observed, way: Move) -> Option<Stalled> {
    let access = found.access.as_ref().filter(|_| found.source.known().is_some_and(|source| source.is_closed))?;
    let remedy = match way.from {
        ProviderName::External => format!(
            "open it: SET default_transaction_read_only = off; ALTER DATABASE {} RESET default_transaction_read_only",
            escape_identifier(&access.scope)
        ),
        from => format!("set spec.provider back to {}, which opens it", from.as_str()),
    };
    Some(blocked(way, &format!("the database is closed to clients, by a move whose record was lost; {remedy}")))
}

/// Why the move cannot begin: what is there of the target has data of its own, or what should be there of the source is not.
pub(super) fn cannot_begin(whole: &Whole<'_>, found: &Observed, way: Move) -> Option<Stalled> {
    let (names, traces) = (&whole.names, whole.traces);
    if let Some(stalled) = closed(found, way) {
        return Some(stalled);
    }
    let back = way.from.as_str();
    let taken = |what: &str, resource: &str, name: &str| {
        let delete = kubectl(&names.namespace, &format!("delete {resource} {name}"));
        blocked(
            way,
            &format!(
                "{what}/{name} has data from before; set spec.provider back to {back}, or delete these data: {delete}"
            ),
        )
    };
    let lost = |what: &str, name: &str| {
        let accept = kubectl(&names.namespace, &format!("delete secret {}", names.binding));
        blocked(
            way,
            &format!(
                "{what}/{name} lost: it had the data; set spec.provider back to {back} and restore a backup, or continue without them: {accept}"
            ),
        )
    };
    match (way.from, &traces.claim, &traces.cluster) {
        (ProviderName::Postgres, None, _) => return Some(lost("PersistentVolumeClaim", &names.volume(0))),
        (ProviderName::CloudNativePg, _, None) => return Some(lost("Cluster", &names.base)),
        _ => {}
    }
    let is_stopped = match way.from {
        ProviderName::Postgres => !found.embedded.set,
        ProviderName::CloudNativePg => found.cluster.as_ref().is_some_and(Cluster::is_hibernated),
        ProviderName::External => false,
    };
    if is_stopped {
        return Some(not_running(way));
    }
    match (way.to, &traces.claim, &traces.cluster) {
        (ProviderName::Postgres, Some(claim), _) => return Some(taken("PersistentVolumeClaim", "pvc", claim)),
        (ProviderName::CloudNativePg, _, Some(cluster)) => {
            return Some(taken("Cluster", "clusters.postgresql.cnpg.io", cluster));
        }
        _ => {}
    }
    if way.from == ProviderName::External {
        let why = format!(
            "Secret/{} lacks a part of the access to the old server; set spec.provider back to {back}",
            names.binding
        );
        return found.binding.is_none().then(|| blocked(way, &why));
    }
    let (database, wanted) = (whole.bound.map(|bound| &bound.scope), &whole.settings.database);
    let why = format!("the database changes its name to {wanted}, too; change one after the other");
    database.is_some_and(|database| database != wanted).then(|| blocked(way, &why))
}

/// Why nothing is known of one of the servers.
pub(super) fn unreachable(found: &Observed, way: Move) -> String {
    let sides = [("old", failure(&found.source)), ("new", failure(&found.target))];
    let silent = sides.into_iter().find_map(|(side, failure)| Some(format!("the {side} server: {}", failure?)));
    let why = silent.unwrap_or_else(|| "the new server has not answered yet".to_owned());
    format!("{}: {why}; check the server, and the network between it and the controller", about(way))
}

fn failure<T, F: ToString>(answer: &Answer<T, F>) -> Option<String> {
    match answer {
        Answer::Silent(failure) => Some(failure.to_string()),
        Answer::Absent => Some("no pod is ready".to_owned()),
        Answer::Known(_) => None,
    }
}

/// Why the data of the source cannot be moved to the target.
pub(super) fn obstacle(whole: &Whole<'_>, way: Move, source: &Source, target: &Target) -> Option<Stalled> {
    let back = way.from.as_str();
    let why = version(source, target)
        .or_else(|| extensions(source, target))
        .or_else(|| locale(whole, source, target))
        .or_else(|| room(whole.object, way, source))
        .or_else(|| {
            let why = "the database on the new server is not empty; drop what is in it";
            (!target.is_empty).then(|| why.to_owned())
        })
        .or_else(|| writers(way, source))?;
    Some(blocked(way, &format!("{why}, or set spec.provider back to {back}")))
}

fn version(source: &Source, target: &Target) -> Option<String> {
    let (old, new) = (source.version / MAJOR, target.version / MAJOR);
    (new < old)
        .then(|| format!("the new server has PostgreSQL {new}, the old one {old}; name an image of PostgreSQL {old}"))
}

fn extensions(source: &Source, target: &Target) -> Option<String> {
    let missing: Vec<String> =
        source.extensions.iter().filter(|extension| !target.extensions.contains(*extension)).cloned().collect();
    (!missing.is_empty()).then(|| {
        format!(
            "the new server does not offer {}; name an image with it, or drop the extension",
            listed(&missing, LISTED)
        )
    })
}

/// A database that sorts otherwise may refuse the rows of a partition, or a constraint.
fn locale(whole: &Whole<'_>, source: &Source, target: &Target) -> Option<String> {
    let Locale { encoding, collate, ctype } = &source.locale;
    let database = &whole.settings.database;
    (!source.locale.is_like(&target.locale)).then(|| {
        let [name, owner] = [database, &owner_role(database)].map(|name| escape_identifier(name));
        let [encoding, collate, ctype] = [encoding, collate, ctype].map(|text| escape_literal(&printable(text)));
        format!(
            "the database on the new server has the locale {}, the old one {collate}; create it again as the administrator: DROP DATABASE {name}; CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype}",
            printable(&target.locale.collate)
        )
    })
}

fn room(object: &PostgresDatabase, way: Move, source: &Source) -> Option<String> {
    let provider = &object.spec.provider;
    let (field, storage) = match way.to {
        ProviderName::CloudNativePg => {
            (format!("spec.provider.{PROVIDER}.storage.size"), provider.cloud_native_pg.clone()?.storage)
        }
        _ => ("spec.provider.postgres.storage.size".to_owned(), provider.postgres.clone().unwrap_or_default().storage),
    };
    let Storage { size, .. } = storage;
    let (has, needs) = (bytes(&size.0)?, u64::try_from(source.size).ok()?);
    (has < needs).then(|| {
        format!("{field} is {}, less than the database has; set it to {}Gi or more", size.0, needs.div_ceil(GIB) + 1)
    })
}

/// What would go on writing, or cannot be stopped.
fn writers(way: Move, source: &Source) -> Option<String> {
    if source.prepared > 0 {
        let count = counted(source.prepared, "prepared transaction");
        return Some(format!("the old server has {count}; commit or roll back (pg_prepared_xacts)"));
    }
    if source.replication > 0 {
        let why = "the old database has subscriptions, or subscribers by logical replication, which do not move; drop the subscriptions and replication slots";
        return Some(why.to_owned());
    }
    if way.from != ProviderName::External {
        return None;
    }
    if !source.is_owned {
        return Some(
            "writes to the old server cannot be stopped: the login does not own the database; name the owner's login"
                .to_owned(),
        );
    }
    (!source.strangers.is_empty()).then(|| {
        let roles = listed(&source.strangers, LISTED);
        format!("writes to the old server cannot be stopped: {roles} are connected, too; end their sessions")
    })
}

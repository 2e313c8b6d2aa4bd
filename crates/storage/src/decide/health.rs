//! The state of an engine: its drives, their free space, its version.

use std::{collections::BTreeSet, time::Duration};

use temporal_stack_common::{
    component::Waiting,
    condition::Statement,
    message::{counted, kubectl, listed},
};

use super::view::{EmbeddedView, Provider, View};
use crate::{
    engine::{Drive, Healing, Health, Kind},
    names::LISTED,
    observed::EnginePod,
    reason,
};

/// Whether all drives are in use.
const DRIVES_HEALTHY: &str = "DrivesHealthy";
/// Whether the drives have free space.
const STORAGE_AVAILABLE: &str = "StorageAvailable";
/// What is known of the engine's version.
const ENGINE_MAINTAINED: &str = "EngineMaintained";
/// The date of the last release of MinIO itself, whose repository is archived since; later ones are those of forks.
const LAST_OF_MINIO: &str = "2025-10-15";
/// The interval of passes over an engine without trouble: no watch shows when a drive is lost.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while drives are offline, or a server is missing or not ready.
const LOOK_DEGRADED: Duration = Duration::from_secs(10);
/// The same while something is about to change: drives are being healed, or servers come back or wait to be restarted.
pub(super) const LOOK_SOON: Duration = Duration::from_secs(5);
/// For how many seconds after it became ready a server may have a drive that MinIO has not begun to heal: it checks every 10 s.
const HEALS_AFTER: u64 = 60;

/// The state while no server can be asked about buckets.
pub(super) fn starting(embedded: &EmbeddedView<'_>) -> Waiting {
    let offline = embedded.health().map(offline).unwrap_or_default();
    if offline.is_empty() {
        return Waiting::new(reason::CHILDREN_NOT_READY, "the servers are starting");
    }
    let message = format!(
        "no server is ready: too few drives are online to read objects; bring back {}",
        listed(&offline, LISTED)
    );
    Waiting::new(reason::QUORUM_LOST, message)
}

/// The conditions.
pub(crate) fn statements(view: &View<'_>) -> Vec<Statement> {
    match &view.provider {
        Provider::Embedded(embedded) => {
            vec![drives(view, embedded), room(embedded), maintained(view, embedded)]
        }
        Provider::Rook(_) | Provider::External(_) => {
            let title = view.title();
            let unknown = |kind, what: &str| {
                let message = format!("{what} unknown: {title} is not managed by this controller");
                Statement::unknown(kind, reason::NOT_REPORTED, message)
            };
            vec![
                unknown(DRIVES_HEALTHY, "drives"),
                unknown(STORAGE_AVAILABLE, "free space"),
                unknown(ENGINE_MAINTAINED, "version"),
            ]
        }
    }
}

/// The drives, or the statement that they are unknown.
fn reported<'a>(embedded: &EmbeddedView<'a>, kind: &'static str, what: &str) -> Result<&'a [Drive], Statement> {
    match &embedded.observed.health {
        None => Err(Statement::unknown(kind, reason::CHILDREN_NOT_READY, format!("{what} unknown: no server runs"))),
        Some(Err(failure)) => {
            Err(Statement::unknown(kind, reason::ENGINE_UNREACHABLE, format!("{what} unknown: {failure}")))
        }
        Some(Ok(health)) => health.drives.as_deref().ok_or_else(|| {
            let message = format!("{what} unknown: {} does not report this", embedded.kind.title());
            Statement::unknown(kind, reason::NOT_REPORTED, message)
        }),
    }
}

fn offline(health: &Health) -> Vec<String> {
    health.drives.iter().flatten().filter(|drive| !drive.is_online).map(title).collect()
}

fn title(drive: &Drive) -> String {
    format!("{}{}", drive.server, drive.path)
}

/// A drive that is being healed, with what is known of the progress.
fn progress(drive: &Drive, Healing { restored, total }: Healing) -> String {
    // The number of objects is that of the last count.
    let percent = restored.saturating_mul(100).checked_div(total).map(|percent| percent.min(99));
    let objects = || counted(usize::try_from(restored).unwrap_or(usize::MAX), "object");
    let progress = percent.map_or_else(objects, |percent| format!("{percent} % of objects"));
    format!("{} ({progress} restored)", title(drive))
}

/// The drives of servers that have no running pod. The other servers, if they answer at all, may notice it later.
fn stopped(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Vec<String> {
    if embedded.observed.health.is_none() {
        return Vec::new();
    }
    let has_pod = |name: &str| embedded.observed.pods.iter().any(|pod| pod.name == name && pod.ip.is_some());
    // Those of the set: in a full stop it has none.
    let servers = embedded.kind.servers().min(embedded.observed.replicas.unwrap_or_default());
    let servers = (0..servers).map(|ordinal| view.names.pod(ordinal)).filter(|name| !has_pod(name));
    let volumes = embedded.kind.volumes();
    servers.flat_map(|server| volumes.iter().map(move |volume| format!("{server}/{volume}"))).collect()
}

/// How soon to look at the drives again.
pub(super) fn look_again(embedded: &EmbeddedView<'_>) -> Duration {
    let drives: Vec<&Drive> = embedded.health().into_iter().flat_map(|health| health.drives.iter().flatten()).collect();
    let pods = &embedded.observed.pods;
    let has_spare = embedded.kind.servers() > 1 || embedded.kind.volumes().len() > 1;
    let is_back = |pod: &EnginePod| pod.ready_seconds.is_some_and(|age| age < HEALS_AFTER);
    let is_complete =
        pods.iter().filter(|pod| pod.is_ready).count() >= usize::try_from(embedded.kind.servers()).unwrap_or(1);
    if drives.iter().any(|drive| drive.healing.is_some()) || (has_spare && pods.iter().any(is_back)) {
        LOOK_SOON
    } else if drives.iter().any(|drive| !drive.is_online) || (has_spare && !is_complete) {
        LOOK_DEGRADED
    } else {
        LOOK_EVERY
    }
}

fn drives(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Statement {
    let stopped = stopped(view, embedded);
    let drives = match reported(embedded, DRIVES_HEALTHY, "drives") {
        Ok(drives) => drives,
        Err(unknown) if stopped.is_empty() => return unknown,
        Err(_) => &[],
    };
    let offline: BTreeSet<String> = drives.iter().filter(|drive| !drive.is_online).map(title).chain(stopped).collect();
    let offline: Vec<String> = offline.into_iter().collect();
    let healing = drives.iter().filter(|drive| drive.is_online);
    let healing: Vec<String> = healing.filter_map(|drive| Some(progress(drive, drive.healing?))).collect();
    let check = kubectl(&view.names.namespace, "get pods,pvc -l app.kubernetes.io/component=storage");
    let can_write = embedded.health().is_none_or(|health| health.can_write != Some(false));
    if !can_write {
        let message = format!(
            "too few drives online to write: the storage is read-only at best; bring back {}, see: {check}",
            if offline.is_empty() { "the servers that are missing".to_owned() } else { listed(&offline, LISTED) }
        );
        return Statement::fails(DRIVES_HEALTHY, reason::QUORUM_LOST, message);
    }
    if !offline.is_empty() {
        let message = format!(
            "drives offline: {}; objects are read from the others; check their pods and volumes: {check}",
            listed(&offline, LISTED)
        );
        return Statement::fails(DRIVES_HEALTHY, reason::DRIVES_OFFLINE, message);
    }
    if !healing.is_empty() {
        let message =
            format!("drives being healed: {}; wait, and do not replace another drive", listed(&healing, LISTED));
        return Statement::fails(DRIVES_HEALTHY, reason::DRIVES_HEALING, message);
    }
    let expected = usize::try_from(embedded.kind.servers()).unwrap_or(1) * embedded.kind.volumes().len();
    if drives.len() < expected {
        let message = "drives unknown: the server that answered does not know all of them yet";
        return Statement::unknown(DRIVES_HEALTHY, reason::CHILDREN_NOT_READY, message);
    }
    Statement::holds(DRIVES_HEALTHY, reason::AS_EXPECTED, "all drives are online")
}

/// The smallest drive counts, because each object takes a part of several.
fn room(embedded: &EmbeddedView<'_>) -> Statement {
    let drives = match reported(embedded, STORAGE_AVAILABLE, "free space") {
        Ok(drives) => drives,
        Err(unknown) => return unknown,
    };
    let known = drives.iter().filter(|drive| drive.total > 0);
    let (full, rest): (Vec<_>, Vec<_>) = known.partition(|drive| drive.available < drive.total / 10);
    let remedy = format!("delete objects, or raise spec.provider.{}.storage.size", embedded.kind.name());
    if !full.is_empty() {
        let full: Vec<String> = full.into_iter().map(title).collect();
        let message = format!("drives are nearly full: {}; {remedy}", listed(&full, LISTED));
        return Statement::fails(STORAGE_AVAILABLE, reason::NEARLY_FULL, message);
    }
    if rest.is_empty() {
        let message = "free space unknown: no drive is online";
        return Statement::unknown(STORAGE_AVAILABLE, reason::CHILDREN_NOT_READY, message);
    }
    Statement::holds(STORAGE_AVAILABLE, reason::AS_EXPECTED, "every drive has free space")
}

fn maintained(view: &View<'_>, embedded: &EmbeddedView<'_>) -> Statement {
    let unknown = |reason, message: String| Statement::unknown(ENGINE_MAINTAINED, reason, message);
    let (title, recorded) = (embedded.kind.title(), view.object.status.as_ref());
    let version = match &embedded.observed.health {
        None => return unknown(reason::CHILDREN_NOT_READY, "version unknown: no server runs".to_owned()),
        Some(Err(failure)) => return unknown(reason::ENGINE_UNREACHABLE, format!("version unknown: {failure}")),
        // The answer about the drives alone lacks it; the latest one stands.
        Some(Ok(health)) => health.version.as_deref().or_else(|| recorded?.engine_version.as_deref()),
    };
    match (&embedded.kind, version) {
        (Kind::Versity(_), _) | (_, None) => unknown(
            reason::NOT_REPORTED,
            format!("version unknown: {title} does not report this; compare the image with the newest release"),
        ),
        (Kind::Minio(_), Some(version)) => of_family(version),
    }
}

/// What is known of a version of the MinIO family. Versions are dates; a build from the sources has another text.
fn of_family(version: &str) -> Statement {
    let is_date = version.len() >= LAST_OF_MINIO.len()
        && version
            .bytes()
            .zip(LAST_OF_MINIO.bytes())
            .all(|(byte, form)| byte.is_ascii_digit() == form.is_ascii_digit());
    if is_date && version.get(..LAST_OF_MINIO.len()) > Some(LAST_OF_MINIO) {
        let message = "version newer than the last MinIO release: the image is a maintained fork";
        return Statement::holds(ENGINE_MAINTAINED, reason::AS_EXPECTED, message);
    }
    let message = "MinIO is no longer maintained: anyone who knows an access key ID can write without the secret (CVE-2026-40344, CVE-2026-41145); restrict spec.access.clients, or set spec.provider.minio.image to a maintained fork";
    Statement::fails(ENGINE_MAINTAINED, reason::UNMAINTAINED, message).lasting()
}

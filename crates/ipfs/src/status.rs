//! The status of an object: fields, rounded so that they change only when something has happened, and conditions.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use temporal_stack_common::{
    api::{BindingReference, IpfsClusterStatus, Peer, Pins},
    condition::Statement,
    message::counted,
    published,
};

use crate::{
    decide::{
        assessment::Assessment,
        health::Health,
        scale::Scale,
        view::{EmbeddedView, View},
    },
    identity::Identity,
    names::selector,
    observed::{Copies, FailedCopy, MOST_ATTEMPTS, Pinset, Report},
    reason,
    survey::{Lacking, ShortPins, Unlisted, count_pins, pins_have},
};

/// Whether every peer is connected with every other.
const PEERS_CONNECTED: &str = "PeersConnected";
/// Whether every pin has its copies.
const PINS_HEALTHY: &str = "PinsHealthy";
/// Whether the volumes have free space.
const STORAGE_AVAILABLE: &str = "StorageAvailable";

/// How many CIDs a message lists.
const LISTED: usize = 3;

/// The fields; values that no peer reports at the moment are kept.
pub(crate) fn status(view: &View<'_>, peers: Option<&Assessment<'_>>) -> IpfsClusterStatus {
    let binding = view.is_bound.then(|| BindingReference { name: view.names.binding.clone() });
    IpfsClusterStatus { binding, ..peers.map(status_of_peers).unwrap_or_default() }
}

fn status_of_peers(Assessment { view, scale, .. }: &Assessment<'_>) -> IpfsClusterStatus {
    let before = view.object.status.clone().unwrap_or_default();
    let labels: Vec<String> = selector(&view.names).iter().map(|(key, value)| format!("{key}={value}")).collect();
    let status = IpfsClusterStatus {
        replicas: view.observed.objects.replicas,
        selector: Some(labels.join(",")),
        peers: peers(view, scale, &before.peers),
        ..IpfsClusterStatus::default()
    };
    if view.reports().next().is_none() {
        return IpfsClusterStatus {
            pins: before.pins,
            repository_size: before.repository_size,
            free_space: before.free_space,
            ..status
        };
    }
    let repositories = view.reports().map(|(_, report)| report.repository);
    let free = view.reports().map(|(_, report)| report.most.saturating_sub(report.repository));
    IpfsClusterStatus {
        pins: Some(pins(view, before.pins.as_ref())),
        repository_size: Some(size(repositories.fold(0, u64::saturating_add))),
        free_space: free.min().map(size),
        ..status
    }
}

fn pins(view: &EmbeddedView<'_>, before: Option<&Pins>) -> Pins {
    let number = |number: u64| i64::try_from(round(number)).unwrap_or(i64::MAX);
    let (queued, pinning) = view.copies_under_way();
    let errors = view.reports().map(|(_, report)| report.copies.errors).fold(0, u64::saturating_add);
    let total = view.observed.pinset.latest().map(|survey| number(survey.pins));
    Pins {
        total: total.or(before.map(|pins| pins.total)).unwrap_or_default(),
        queued: number(queued),
        pinning: number(pinning),
        error: number(errors),
    }
}

fn peers(view: &EmbeddedView<'_>, scale: &Scale, before: &[Peer]) -> Vec<Peer> {
    let peer = |identity: &Identity| {
        let pod = view.names.pod(identity.ordinal);
        let report = view.reports().find(|(peer, _)| peer.ordinal == identity.ordinal).map(|(_, report)| report);
        let before = before.iter().find(|peer| peer.pod == pod);
        let known = |now: fn(&Report) -> &String, before: Option<&String>| report.map(now).or(before).cloned();
        Peer {
            id: identity.cluster.id.clone(),
            kubo_id: identity.kubo.id.clone(),
            version: known(|report| &report.version, before.and_then(|peer| peer.version.as_ref())),
            kubo_version: known(|report| &report.kubo_version, before.and_then(|peer| peer.kubo_version.as_ref())),
            rpc_protocol: known(|report| &report.rpc_protocol, before.and_then(|peer| peer.rpc_protocol.as_ref())),
            up: report.is_some(),
            pod,
        }
    };
    let identities = view.observed.objects.identities.iter();
    identities.filter(|identity| identity.ordinal < scale.peers).map(peer).collect()
}

/// All conditions besides those of the driver.
pub(crate) fn conditions(view: &View<'_>, peers: Option<&Assessment<'_>>) -> Vec<Statement> {
    let of_peers = peers.map(|Assessment { view, health, .. }| {
        [
            published::statement(view.secrets.credentials(&view.names, view.config_map)),
            peers_connected(view, health),
            pins_healthy(view, health),
            storage_available(view, health),
        ]
    });
    [view.honoured.clone()].into_iter().chain(of_peers.into_iter().flatten()).collect()
}

fn peers_connected(view: &EmbeddedView<'_>, health: &Health) -> Statement {
    match &health.disconnection {
        Some(waiting) => Statement::fails(PEERS_CONNECTED, waiting.reason, waiting.message.clone()),
        None if view.wanted == 1 => {
            let message =
                "single peer: a restart is an outage, and its volume has the only copy; set spec.replicas to 2 or more";
            Statement::holds(PEERS_CONNECTED, reason::SINGLE_PEER, message)
        }
        None => Statement::holds(PEERS_CONNECTED, reason::ALL_CONNECTED, "every peer is connected with every other"),
    }
}

fn pins_healthy(view: &EmbeddedView<'_>, health: &Health) -> Statement {
    let (queued, pinning) = view.copies_under_way();
    let progress = match (round(queued), round(pinning)) {
        (0, 0) => None,
        (queued, pinning) => Some(format!("{} queued, {pinning} in progress", counted(queued, "copy"))),
    };
    let with_progress = |message: String| match &progress {
        Some(progress) => format!("{message}; {progress}"),
        None => message,
    };
    if let Some(message) = pin_errors(view) {
        return Statement::fails(PINS_HEALTHY, reason::PIN_ERRORS, with_progress(message));
    }
    let latest = view.observed.pinset.latest();
    let short = latest.map(|survey| &survey.short).filter(|short| short.count > 0);
    if let Some(message) = latest.and_then(|survey| unlisted(view, &survey.unlisted)) {
        let short = short.map(|short| format!("; {}", too_few_copies(short))).unwrap_or_default();
        return Statement::fails(PINS_HEALTHY, reason::PINS_UNLISTED, with_progress(message + &short));
    }
    match (&view.observed.pinset, short, &progress) {
        (_, Some(short), None) => {
            let message = format!(
                "{}; wait for IPFS Cluster to create them, or add the data to a peer, keep more peers, or unpin",
                too_few_copies(short)
            );
            Statement::fails(PINS_HEALTHY, reason::UNDER_REPLICATED, message)
        }
        // The pins of silent peers are unknown, whatever the others report.
        (Pinset::Silent(_) | Pinset::Failed(_), _, _) => {
            let cause = view.current_survey().err().unwrap_or_default();
            Statement::unknown(PINS_HEALTHY, health.silence(), with_progress(format!("pins unknown: {cause}")))
        }
        (_, _, Some(progress)) => Statement::holds(PINS_HEALTHY, reason::PINNING, progress.clone()),
        _ => Statement::holds(PINS_HEALTHY, reason::FULLY_REPLICATED, "every pin has the copies that it needs"),
    }
}

fn too_few_copies(short: &ShortPins) -> String {
    format!(
        "{} fewer copies than the replication minimum, among them {}",
        pins_have(short.count),
        short.examples.join(", ")
    )
}

/// The message about pins that are not in the pinset of every peer.
fn unlisted(view: &EmbeddedView<'_>, Unlisted { lost, stuck, doubtful, .. }: &Unlisted) -> Option<String> {
    let remedy: fn(&str) -> String;
    let lacking = if lost.count > 0 {
        remedy = |them| format!("wait until the controller has pinned {them} again");
        lost
    } else if stuck.count > 0 {
        remedy = |them| format!("pinning {them} again several times did not help: check the log of that peer");
        stuck
    } else {
        remedy = |them| {
            format!(
                "a user may have removed {them}: pin {them} again with ipfs-cluster-ctl pin add, or remove {them} with ipfs-cluster-ctl pin rm"
            )
        };
        doubtful
    };
    let Lacking { count, cid, peer } = lacking;
    let (are, them) = if *count == 1 { ("is", "it") } else { ("are", "them") };
    let known = view.reports().find(|(_, report)| report.id == *peer);
    let pod = known.map_or_else(|| peer.clone(), |(peer, _)| view.names.pod(peer.ordinal));
    (*count > 0).then(|| {
        let pins = count_pins(*count);
        format!("{pins} {are} not in the pinset of every peer: {pod} lacks {cid}, for instance; {}", remedy(them))
    })
}

/// The message about copies that could not be created or removed.
fn pin_errors(view: &EmbeddedView<'_>) -> Option<String> {
    let copies = || view.reports().map(|(_, report)| &report.copies);
    let count = |number: fn(&Copies) -> u64| copies().map(number).fold(0, u64::saturating_add);
    let errors = count(|copies| copies.errors);
    if errors == 0 {
        return None;
    }
    let failed: Vec<&FailedCopy> = copies().flat_map(|copies| &copies.failed).collect();
    let mut examples: Vec<&str> = failed.iter().map(|copy| copy.cid.as_str()).collect();
    examples.sort_unstable();
    examples.dedup();
    examples.truncate(LISTED);
    let cause = failed.first().map(|copy| explain(&copy.error)).unwrap_or_default();
    let remedy = match count(|copies| copies.given_up) {
        _ if failed.first().is_some_and(|copy| copy.is_removal) => "pin them and unpin them again".to_owned(),
        0 => "retried with backoff".to_owned(),
        given_up => format!(
            "{} failed {MOST_ATTEMPTS} times and are no longer retried; add the data to a peer and run ipfs-cluster-ctl recover, or unpin them",
            round(given_up)
        ),
    };
    Some(format!(
        "{} could not be created or removed, for example of {}: {cause}; {remedy}",
        counted(round(errors), "copy"),
        examples.join(", ")
    ))
}

/// An error of the product, explained if its own message is not clear.
fn explain(error: &str) -> String {
    match error {
        "context canceled" => "no peer that has the data was found in time (context canceled)".to_owned(),
        "" => "IPFS Cluster reports no cause".to_owned(),
        _ => error.to_owned(),
    }
}

fn storage_available(view: &EmbeddedView<'_>, health: &Health) -> Statement {
    let remedy = "raise spec.provider.kubo.storage.size and restart the peers with the annotation temporal-stack.dev/restart, remove pins, or set spec.provider.kubo.garbageCollection";
    let pods = |is: fn(&Report) -> bool| -> Vec<String> {
        view.reports().filter(|(_, report)| is(report)).map(|(peer, _)| view.names.pod(peer.ordinal)).collect()
    };
    let full = pods(|report| report.copies.is_full);
    if !full.is_empty() {
        let message = format!("volumes are full: {}; {remedy}", full.join(", "));
        return Statement::fails(STORAGE_AVAILABLE, reason::VOLUME_FULL, message);
    }
    let nearly_full = pods(|report| report.repository > report.most / 10 * 9);
    if !nearly_full.is_empty() {
        let message = format!("repositories are nearly full: {}; {remedy}", nearly_full.join(", "));
        return Statement::fails(STORAGE_AVAILABLE, reason::NEARLY_FULL, message);
    }
    let silent = view.members().filter(|ordinal| !view.has_reported(*ordinal));
    let silent: Vec<String> = silent.map(|ordinal| view.names.pod(ordinal)).collect();
    if !silent.is_empty() {
        let message = format!("free space unknown: no answer from {}", silent.join(", "));
        return Statement::unknown(STORAGE_AVAILABLE, health.silence(), message);
    }
    Statement::holds(STORAGE_AVAILABLE, reason::AS_EXPECTED, "every repository has free space")
}

/// A number for the status: above a thousand two digits suffice, so that it does not change all the time.
fn round(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 1000 {
        unit *= 10;
    }
    let unit = if number < 1000 { 1 } else { unit * 10 };
    number / unit * unit
}

/// A readable size: in the largest unit with a value of at least ten, and with two digits.
fn size(bytes: u64) -> Quantity {
    let mut unit = 0;
    let mut number = bytes;
    while number >= 10 * 1024 && unit < 4 {
        number /= 1024;
        unit += 1;
    }
    let step = match number {
        1000.. => 100,
        100.. => 10,
        _ => 1,
    };
    Quantity(format!("{}{}", number / step * step, ["", "Ki", "Mi", "Gi", "Ti"][unit]))
}

#[cfg(test)]
mod tests;

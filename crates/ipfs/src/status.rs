//! The component's part of the status: rounded, so that it changes only when something has happened.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use temporal_stack_common::api::{BindingReference, IpfsCluster, IpfsClusterStatus, Peer, Pins};

use crate::{
    desire::selector,
    health::round,
    names,
    observe::{Embedded, Observed, Source},
    scale,
};

/// What is known; what cannot be asked just now stays as it was.
pub(crate) fn status(object: &IpfsCluster, observed: &Observed) -> IpfsClusterStatus {
    let binding = observed.bound.then(|| BindingReference { name: names::binding(object) });
    match &observed.source {
        Source::External(_) => IpfsClusterStatus { binding, ..IpfsClusterStatus::default() },
        Source::Embedded(embedded) => IpfsClusterStatus { binding, ..of_peers(object, embedded) },
    }
}

fn of_peers(object: &IpfsCluster, embedded: &Embedded) -> IpfsClusterStatus {
    let before = object.status.clone().unwrap_or_default();
    let labels: Vec<String> = selector(object).iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut status = IpfsClusterStatus {
        replicas: embedded.replicas,
        selector: Some(labels.join(",")),
        peers: peers(object, embedded, &before.peers),
        ..IpfsClusterStatus::default()
    };
    if embedded.seen().next().is_none() {
        return IpfsClusterStatus {
            pins: before.pins,
            repository_size: before.repository_size,
            free_space: before.free_space,
            ..status
        };
    }
    let total = |of: fn(&crate::observe::Troubles) -> u64| {
        embedded.seen().map(|(_, seen)| of(&seen.troubles)).fold(0, u64::saturating_add)
    };
    let number = |number: u64| i64::try_from(round(number)).unwrap_or(i64::MAX);
    let known = embedded.survey.any().map(|survey| number(survey.pins));
    status.pins = Some(Pins {
        total: known.or(before.pins.map(|pins| pins.total)).unwrap_or_default(),
        queued: number(total(|troubles| troubles.queued)),
        pinning: number(total(|troubles| troubles.pinning)),
        error: number(total(|troubles| troubles.errors)),
    });
    status.repository_size = Some(size(embedded.seen().map(|(_, seen)| seen.repository).fold(0, u64::saturating_add)));
    status.free_space = embedded.seen().map(|(_, seen)| seen.most.saturating_sub(seen.repository)).min().map(size);
    status
}

fn peers(object: &IpfsCluster, embedded: &Embedded, before: &[Peer]) -> Vec<Peer> {
    let there = scale::there(object, embedded);
    let peer = |identity: &crate::identity::Identity| {
        let pod = names::pod(object, identity.ordinal);
        let seen = embedded.seen().find(|(ordinal, _)| *ordinal == identity.ordinal).map(|(_, seen)| seen);
        let was = before.iter().find(|peer| peer.pod == pod);
        let version = |of: fn(&crate::observe::Seen) -> &String, was: Option<&String>| seen.map(of).or(was).cloned();
        Peer {
            id: identity.cluster.id.clone(),
            kubo_id: identity.kubo.id.clone(),
            version: version(|seen| &seen.version, was.and_then(|was| was.version.as_ref())),
            kubo_version: version(|seen| &seen.kubo_version, was.and_then(|was| was.kubo_version.as_ref())),
            rpc_protocol: version(|seen| &seen.rpc_protocol, was.and_then(|was| was.rpc_protocol.as_ref())),
            up: seen.is_some(),
            pod,
        }
    };
    embedded.identities.iter().filter(|identity| identity.ordinal < there).map(peer).collect()
}

/// A size as people read it: in the largest unit that leaves at least one, and with two digits.
fn size(bytes: u64) -> Quantity {
    let mut unit = 0;
    let mut number = bytes;
    while number >= 10 * 1024 && unit < 4 {
        number /= 1024;
        unit += 1;
    }
    let digits = if number >= 1000 {
        100
    } else if number >= 100 {
        10
    } else {
        1
    };
    Quantity(format!("{}{}", number / digits * digits, ["", "Ki", "Mi", "Gi", "Ti"][unit]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        let sizes = [0, 999, 10_240, 123_456, 5 << 30, 9_663_676_416].map(|bytes| size(bytes).0);
        assert_eq!(sizes, ["0", "990", "10Ki", "120Ki", "5100Mi", "9200Mi"]);
    }
}

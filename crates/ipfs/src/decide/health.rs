//! Whether the peers are connected, and can be allocated pins.

use temporal_stack_common::{
    component::Waiting,
    condition::{self, READY, Reason},
    message::{kubectl, logs},
};

use super::view::EmbeddedView;
use crate::{
    names::{self, PEERS, SWARM},
    observed::{Peer, Report},
    reason,
};

/// The connections of the peers.
pub(crate) struct Health {
    /// Why peers are not all connected with each other, if they are not.
    pub(crate) disconnection: Option<Waiting>,
    /// A peer that cannot be allocated pins, with the reason, if any.
    pub(super) unallocatable: Option<String>,
    /// A peer that has left and is still known to the others, if any: they would allocate pins to it.
    pub(super) departed: Option<String>,
}

/// Assesses the peers.
pub(super) fn assess(view: &EmbeddedView<'_>) -> Health {
    let disconnection = not_ready(view)
        .or_else(|| unreachable(view))
        .or_else(|| impostor(view))
        .or_else(|| protocol_mismatch(view))
        .or_else(|| unseen(view));
    Health { disconnection, unallocatable: unallocatable(view), departed: departed(view) }
}

fn not_ready(view: &EmbeddedView<'_>) -> Option<Waiting> {
    let (names, pods) = (&view.names, &view.observed.objects.pods);
    let is_ready = |ordinal: &i32| pods.iter().any(|pod| pod.ordinal == *ordinal && pod.is_ready);
    let missing: Vec<i32> = view.members().filter(|ordinal| !is_ready(ordinal)).collect();
    if missing.is_empty() {
        return None;
    }
    let existing = missing.iter().find(|ordinal| pods.iter().any(|pod| pod.ordinal == **ordinal));
    let target = match existing {
        Some(ordinal) => format!("describe pod {}", names.pod(*ordinal)),
        None => format!("describe statefulset {}", names.base),
    };
    let listed: Vec<String> = missing.into_iter().map(|ordinal| names.pod(ordinal)).collect();
    let (are, see) = (if listed.len() == 1 { "is" } else { "are" }, kubectl(&names.namespace, &target));
    Some(Waiting::new(reason::PEERS_NOT_READY, format!("{} {are} not ready; see {see}", listed.join(", "))))
}

fn unreachable(view: &EmbeddedView<'_>) -> Option<Waiting> {
    let (peer, cause) = view.observed.peers.iter().find_map(|peer| Some((peer, peer.report.as_ref().err()?)))?;
    let pod = view.names.pod(peer.ordinal);
    let logs = logs(&view.names.namespace, &pod, "cluster");
    let message = format!(
        "{pod} is ready but does not answer: {cause}; check the network between the controller and the pod, and see {logs}"
    );
    Some(Waiting::new(reason::PEER_UNREACHABLE, message))
}

fn impostor(view: &EmbeddedView<'_>) -> Option<Waiting> {
    let is_other = |(peer, report): &(&Peer, &Report)| {
        view.observed.objects.identity(peer.ordinal).is_some_and(|identity| identity.cluster.id != report.id)
    };
    let (Peer { ordinal, .. }, _) = view.reports().find(is_other)?;
    let message = format!(
        "{} has a different identity than Secret/{}; restore the Secret if it was edited, otherwise restart the pod",
        view.names.pod(*ordinal),
        names::identity(&view.names, *ordinal)
    );
    Some(Waiting::new(reason::NOT_CONNECTED, message))
}

fn protocol_mismatch(view: &EmbeddedView<'_>) -> Option<Waiting> {
    let mut protocols: Vec<&str> = view.reports().map(|(_, report)| report.rpc_protocol.as_str()).collect();
    protocols.sort_unstable();
    protocols.dedup();
    let message = || {
        format!("the peers speak different protocols: {}; complete the upgrade on all peers", protocols.join(" and "))
    };
    (protocols.len() > 1).then(|| Waiting::new(reason::PROTOCOL_MISMATCH, message()))
}

fn unseen(view: &EmbeddedView<'_>) -> Option<Waiting> {
    for (peer, report) in view.reports() {
        for (other, their) in view.reports().filter(|(other, _)| other.ordinal != peer.ordinal) {
            let (program, port) = if !report.visible_peers.contains(&their.id) {
                ("IPFS Cluster", PEERS)
            } else if !report.connected.contains(&their.kubo_id) {
                ("Kubo", SWARM)
            } else {
                continue;
            };
            let [pod, other] = [peer, other].map(|peer| view.names.pod(peer.ordinal));
            let message = format!(
                "{program} of {pod} is not connected to {program} of {other}; if this persists, check that the pods can reach each other on port {port}"
            );
            return Some(Waiting::new(reason::NOT_CONNECTED, message));
        }
    }
    None
}

fn unallocatable(view: &EmbeddedView<'_>) -> Option<String> {
    view.reports().find_map(|(peer, report)| {
        let (other, their) = view.reports().find(|(_, their)| !report.allocates_to.contains(&their.id))?;
        let [pod, other] = [peer, other].map(|peer| view.names.pod(peer.ordinal));
        Some(if is_at_limit(their) {
            format!("{other} is allocated no pins: its repository has reached StorageMax")
        } else {
            format!("{pod} does not know the free space of {other} yet")
        })
    })
}

fn departed(view: &EmbeddedView<'_>) -> Option<String> {
    let identities = view.observed.objects.identities.iter().filter(|identity| identity.ordinal >= view.wanted);
    let is_known = |id: &&String| {
        view.reports().any(|(_, report)| report.visible_peers.contains(id) || report.allocates_to.contains(id))
    };
    let known = identities.map(|identity| &identity.cluster.id).find(is_known)?;
    Some(format!("{known} has left, but the other peers still list it"))
}

/// Whether a repository has reached its limit, so that its peer is allocated no more pins.
fn is_at_limit(report: &Report) -> bool {
    report.repository >= report.most
}

impl Health {
    /// Why something is unknown that only all peers together could report.
    pub(crate) fn silence(&self) -> Reason {
        match &self.disconnection {
            Some(Waiting { reason: reason::PEERS_NOT_READY, .. }) => reason::PEERS_NOT_READY,
            _ => reason::PEER_UNREACHABLE,
        }
    }

    /// Why pins cannot be allocated to all peers, for a cluster that is not Ready yet: a single late metric does not put Ready in
    /// doubt, nor does a full peer.
    pub(super) fn not_allocating(&self, view: &EmbeddedView<'_>) -> Option<Waiting> {
        let conditions = view.object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let is_ready = condition::find(conditions, READY).is_some_and(|ready| ready.status == "True");
        let has_full = view.reports().any(|(_, report)| is_at_limit(report));
        let cause = self.unallocatable.clone().filter(|_| !is_ready && !has_full)?;
        Some(Waiting::new(reason::NOT_CONNECTED, cause))
    }
}

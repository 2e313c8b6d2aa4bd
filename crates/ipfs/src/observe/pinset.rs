//! The knowledge about the pins: surveyed in this pass if a decision depends on it, else at intervals.

use temporal_stack_common::{failure::chain, http::Client};
use tokio::time::Instant;

use crate::{
    ipfs_cluster::Cluster,
    observed::{Objects, Peer, Pinset, Report},
    survey::{self, Member, Memory},
};

/// Surveys the pins of a cluster with this desired number of peers.
pub(super) async fn survey(wanted: i32, objects: &Objects, peers: &[Peer], client: &Client, memory: &Memory) -> Pinset {
    let reports: Vec<(&Peer, &Report)> =
        peers.iter().filter_map(|peer| Some((peer, peer.report.as_ref().ok()?))).collect();
    let has_reported = |ordinal: &i32| reports.iter().any(|(peer, _)| peer.ordinal == *ordinal);
    let silent = objects.members(wanted).find(|ordinal| !has_reported(ordinal));
    if silent.is_some() || !are_connected(&reports) {
        memory.note_disconnection();
    }
    if let Some(silent) = silent {
        return Pinset::Silent(silent);
    }
    let is_needed = objects.is_leaving(wanted) || objects.pods.iter().any(|pod| pod.is_outdated);
    let incarnations: Vec<&str> = objects.existing(wanted).map(|pod| pod.incarnation.as_str()).collect();
    let incarnations = incarnations.join(",");
    if !is_needed && let Some(survey) = memory.recent_survey(&incarnations).filter(|survey| survey.to_restore == 0) {
        return Pinset::Earlier(survey);
    }
    let member = |(peer, report): &(&Peer, &Report)| Member {
        id: report.id.clone(),
        cluster: Cluster::new(client, &peer.access.cluster),
        stays: peer.ordinal < wanted,
    };
    let members: Vec<Member> = reports.iter().map(member).collect();
    // Foreign peers that have joined with the cluster secret.
    let is_ours = |id: &String| objects.identities.iter().any(|identity| identity.cluster.id == *id);
    let others: Vec<String> =
        reports.iter().flat_map(|(_, report)| &report.visible_peers).filter(|id| !is_ours(id)).cloned().collect();
    let begun = Instant::now();
    let mut doubts = memory.doubts(&incarnations);
    match survey::survey(&members, &others, &mut doubts).await {
        Ok(survey) => {
            memory.keep(incarnations, &survey, doubts, begun.elapsed());
            Pinset::Current(survey)
        }
        Err(failure) => Pinset::Failed(chain(&failure)),
    }
}

/// Whether every IPFS Cluster sees every other, and so learns of each change.
fn are_connected(reports: &[(&Peer, &Report)]) -> bool {
    let sees = |report: &Report, id: &String| report.id == *id || report.visible_peers.contains(id);
    reports.iter().all(|(_, report)| reports.iter().all(|(_, other)| sees(report, &other.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn peer_that_sees_itself_only_is_not_connected() {
        let mut peers = [0, 1, 2].map(|ordinal| fixture::peer(ordinal, 3));
        let connected = |peers: &[Peer; 3]| {
            let reports: Vec<_> = peers.iter().map(|peer| (peer, peer.report.as_ref().unwrap())).collect();
            are_connected(&reports)
        };
        assert!(connected(&peers));
        peers[2].report.as_mut().unwrap().visible_peers.clear();
        assert!(!connected(&peers));
    }
}

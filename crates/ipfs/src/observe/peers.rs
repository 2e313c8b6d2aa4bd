//! The reports of the peers, each read from its own address: the Service leads only to one of them, and only if it is ready.

use futures::{TryStreamExt, future::join_all, pin_mut};
use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{
    failure::{chain, printable},
    http::Client,
};

use crate::{
    access::Access,
    ipfs_cluster::{self, Cluster, PinStatus, is_full},
    kubo::Kubo,
    observed::{Copies, FailedCopy, MOST_ATTEMPTS, Peer, PeerPod, Report},
    survey::{Attempts, Memory},
};

/// How many copies due for a retry are kept; others follow when these have been retried.
const DUE: usize = 100;
/// How many of the others are kept as examples.
const EXAMPLES: usize = 10;
/// The time until the second attempt, in seconds; it doubles with each.
const FIRST_RETRY: i64 = 15;

/// Asks all peers whose pods have started, at the same time.
///
/// If the latest survey is in doubt, they are asked for lost copies, too, which they find by listing all pins of their Kubos.
pub(super) async fn ask(client: &Client, pods: &[PeerPod], metrics: &[&str], memory: &Memory) -> Vec<Peer> {
    let asked = pods.iter().filter(|pod| pod.is_ready).filter_map(|pod| {
        let (ordinal, access) = (pod.ordinal, Access::at_host(pod.ip.as_ref()?));
        Some(async move {
            let report = report(client, &access, ordinal, metrics, memory).await;
            Peer { ordinal, access, report }
        })
    });
    let mut peers = join_all(asked).await;
    keep_connections_of_members(&mut peers);
    peers
}

/// Of its Kubo's connections, only those to the Kubos of other members matter.
fn keep_connections_of_members(peers: &mut [Peer]) {
    let reports = peers.iter().filter_map(|peer| peer.report.as_ref().ok());
    let members: Vec<String> = reports.map(|report| report.kubo_id.clone()).collect();
    for report in peers.iter_mut().filter_map(|peer| peer.report.as_mut().ok()) {
        report.connected.retain(|id| members.contains(id));
        report.connected.shrink_to_fit();
    }
}

async fn report(
    client: &Client,
    access: &Access,
    ordinal: i32,
    metrics: &[&str],
    memory: &Memory,
) -> Result<Report, String> {
    let (cluster, kubo) = (Cluster::new(client, &access.cluster), Kubo::new(client, &access.kubo));
    let of_cluster = |failure| format!("IPFS Cluster: {}", chain(&failure));
    let of_kubo = |failure| format!("Kubo: {}", chain(&failure));
    let (id, allocates_to, ipfs, connected, repository, copies) = tokio::join!(
        cluster.id(),
        cluster.allocates_to(metrics),
        kubo.id(),
        kubo.connected(),
        kubo.repository(),
        copies(&cluster, ordinal, memory),
    );
    let id = id.map_err(of_cluster)?;
    let ipfs = ipfs.map_err(of_kubo)?;
    let repository = repository.map_err(of_kubo)?;
    Ok(Report {
        id: id.id,
        version: id.version,
        rpc_protocol: id.rpc_protocol_version,
        visible_peers: id.cluster_peers,
        allocates_to: allocates_to.map_err(of_cluster)?,
        kubo_id: ipfs.id,
        kubo_version: version(&ipfs.agent_version),
        connected: connected.map_err(of_kubo)?,
        repository: repository.size,
        most: repository.maximum,
        copies: copies.map_err(of_cluster)?,
    })
}

/// The version in the agent of a Kubo: `kubo/0.42.0/…`.
fn version(agent: &str) -> String {
    agent.split('/').nth(1).unwrap_or(agent).to_owned()
}

/// IPFS Cluster knows these without asking Kubo, except lost copies.
async fn copies(cluster: &Cluster, ordinal: i32, memory: &Memory) -> Result<Copies, ipfs_cluster::Failure> {
    let now = Timestamp::now().as_second();
    let mut copies = Copies::default();
    let mut filter = vec!["queued", "pinning", "unpinning", "error"];
    filter.extend(memory.is_in_doubt().then_some("unexpectedly_unpinned"));
    let statuses = cluster.statuses(&filter);
    pin_mut!(statuses);
    while let Some(status) = statuses.try_next().await? {
        copies.add(status, now, |cid| memory.attempts(ordinal, cid));
    }
    Ok(copies)
}

impl Copies {
    /// Adds the report of a peer about a pin. `attempts` returns the memory of a lost copy.
    fn add(&mut self, status: PinStatus, now: i64, attempts: impl Fn(&str) -> Attempts) {
        let Some(short) = status.peer_map.into_values().next() else { return };
        match short.status.as_str() {
            "pin_queued" | "unpin_queued" | "queued" => self.queued += 1,
            "pinning" | "unpinning" => self.pinning += 1,
            _ => {
                let since = short.timestamp.map_or(i64::MAX, |since| now.saturating_sub(since.as_second()));
                let is_lost = short.status == "unexpectedly_unpinned";
                // IPFS Cluster asks Kubo before its own state, so a new pin may seem lost.
                if is_lost && since < FIRST_RETRY {
                    return;
                }
                // IPFS Cluster neither counts the attempts for lost copies, nor knows why they fail.
                let known = if is_lost { attempts(&status.cid) } else { Attempts::default() };
                let attempts = if is_lost { known.count } else { short.attempt_count };
                let is_removal = short.status == "unpin_error";
                let pause = FIRST_RETRY << short.attempt_count.min(MOST_ATTEMPTS);
                self.add_failed(FailedCopy {
                    cid: status.cid,
                    error: printable(&known.cause.unwrap_or(short.error)),
                    attempts,
                    is_lost,
                    is_removal,
                    // A peer that no longer lists the pin does not retry a removal.
                    is_due: !is_removal && attempts < MOST_ATTEMPTS && since >= pause,
                });
            }
        }
    }

    /// Counts a failed copy, and keeps some: copies that were retried often or just now must not hide the others.
    fn add_failed(&mut self, copy: FailedCopy) {
        self.errors += 1;
        self.given_up += u64::from(!copy.is_removal && copy.attempts >= MOST_ATTEMPTS);
        self.is_full |= is_full(&copy.error);
        let most = if copy.is_due { DUE } else { EXAMPLES };
        let alike = self.failed.iter().filter(|kept| kept.is_due == copy.is_due);
        if alike.count() < most {
            self.failed.push(copy);
        } else if let Some(tried) =
            self.failed.iter_mut().find(|kept| copy.is_due && kept.is_due && kept.attempts > copy.attempts)
        {
            *tried = copy;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;

    #[test]
    fn connections_of_members_are_kept() {
        let mut peers = [0, 1].map(|ordinal| fixture::peer(ordinal, 2));
        let connected = |peers: &[Peer; 2]| peers[0].report.as_ref().unwrap().connected.clone();
        let usual = connected(&peers);
        peers[0].report.as_mut().unwrap().connected.push("stranger".to_owned());
        keep_connections_of_members(&mut peers);
        assert_eq!(connected(&peers), usual);
    }

    fn failed(cid: &str, status: &str, attempts: u32) -> PinStatus {
        let short =
            json!({"status": status, "error": "e", "attempt_count": attempts, "timestamp": "2020-01-01T00:00:00Z"});
        serde_json::from_value(json!({"cid": cid, "peer_map": {"A": short}})).unwrap()
    }

    #[test]
    fn copy_behind_a_thousand_given_up_is_retried() {
        let mut copies = Copies::default();
        let now = Timestamp::now().as_second();
        for number in 0..1000 {
            copies.add(failed(&format!("old{number}"), "pin_error", MOST_ATTEMPTS), now, |_| Attempts::default());
        }
        copies.add(failed("new", "pin_error", 0), now, |_| Attempts::default());
        assert_eq!((copies.errors, copies.given_up), (1001, 1000));
        let due: Vec<_> = copies.failed.iter().filter(|copy| copy.is_due).map(|copy| copy.cid.as_str()).collect();
        assert_eq!(due, ["new"]);
        assert!(copies.failed.len() <= EXAMPLES + 1);
    }

    #[test]
    fn lost_copies_take_turns() {
        let mut attempts = std::collections::HashMap::<String, u32>::new();
        let mut rounds = 0;
        while rounds < 20 && attempts.len() < 5 * DUE {
            let mut copies = Copies::default();
            for number in 0..5 * DUE {
                let status = failed(&format!("cid{number}"), "unexpectedly_unpinned", 0);
                let count = |cid: &str| attempts.get(cid).copied().unwrap_or_default();
                copies.add(status, Timestamp::now().as_second(), |cid| Attempts { count: count(cid), cause: None });
            }
            for copy in copies.failed.iter().filter(|copy| copy.is_due) {
                *attempts.entry(copy.cid.clone()).or_default() += 1;
            }
            rounds += 1;
        }
        assert_eq!(attempts.len(), 5 * DUE, "after {rounds} rounds");
    }
}

//! What peers say of themselves, each asked by its own address: the Service leads to one of them, and to none until it is ready.

use futures::{TryStreamExt, future::join_all, pin_mut};
use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::failure::chain;

use super::PeerPod;
use crate::{
    ipfs_cluster::Cluster,
    kubo::Kubo,
    names::{REST, RPC},
};

/// How many copies that could not be made are looked at one by one.
const LOOKED_AT: usize = 100;
/// How often a copy is tried before the controller leaves it to the user.
pub(crate) const MOST_ATTEMPTS: u32 = 5;
/// The time until the second attempt, in seconds; it doubles with each.
const FIRST_RETRY: i64 = 15;

/// A peer that was asked.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The ordinal of its pod.
    pub(crate) ordinal: i32,
    /// What it said, or why nothing is known.
    pub(crate) seen: Result<Seen, String>,
}

/// What a peer said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Its peer ID in IPFS Cluster.
    pub(crate) id: String,
    /// Version of IPFS Cluster.
    pub(crate) version: String,
    /// In which protocol it speaks with other peers.
    pub(crate) rpc_protocol: String,
    /// The peers of IPFS Cluster that it sees, itself among them.
    pub(crate) sees: Vec<String>,
    /// The peers that it gives pins to: those that it knows enough of, for a while also after they have gone.
    pub(crate) allocates_to: Vec<String>,
    /// Its Kubo's peer ID.
    pub(crate) kubo_id: String,
    /// Version of Kubo.
    pub(crate) kubo_version: String,
    /// The Kubos that its Kubo is connected with.
    pub(crate) connected: Vec<String>,
    /// How large the repository is, in bytes.
    pub(crate) repository: u64,
    /// How large it may become, in bytes.
    pub(crate) most: u64,
    /// Copies that are not as they should be.
    pub(crate) troubles: Troubles,
}

/// Copies that are not as they should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    /// Those that wait for their turn.
    pub(crate) queued: u64,
    /// Those that are being fetched or removed.
    pub(crate) pinning: u64,
    /// Those that could not be made or removed.
    pub(crate) errors: u64,
    /// Some of these.
    pub(crate) errored: Vec<Errored>,
}

/// A copy that could not be made or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errored {
    /// Of what.
    pub(crate) cid: String,
    /// Why, in the product's words.
    pub(crate) error: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// Whether it was there, or said to be, and is not.
    pub(crate) has_gone: bool,
    /// Whether it was to be removed.
    pub(crate) is_removal: bool,
    /// Whether it is time for another attempt.
    pub(crate) due: bool,
}

/// Asks all peers whose pods have started, at the same time.
///
/// With a `doubt` they are asked, too, which copies have gone: that they find out by asking their Kubos for all that they have.
pub(super) async fn ask(client: &reqwest::Client, pods: &[PeerPod], allocate_by: &[&str], doubt: bool) -> Vec<Peer> {
    let asked = pods.iter().filter(|pod| pod.ready).filter_map(|pod| {
        let ip = pod.ip.as_deref()?;
        Some(async move { Peer { ordinal: pod.ordinal, seen: seen(client, ip, allocate_by, doubt).await } })
    });
    join_all(asked).await
}

async fn seen(client: &reqwest::Client, ip: &str, allocate_by: &[&str], doubt: bool) -> Result<Seen, String> {
    let cluster = Cluster::new(client, ip, REST);
    let of_cluster = |failure| format!("IPFS Cluster: {}", chain(&failure));
    let of_kubo = |failure| format!("Kubo: {}", chain(&failure));
    let kubo = Kubo::new(ip, RPC).map_err(of_kubo)?;
    let (id, allocates_to, of_ipfs, connected, repository, troubles) = tokio::join!(
        cluster.id(),
        cluster.allocates_to(allocate_by),
        kubo.id(),
        kubo.connected(),
        kubo.repository(),
        troubles(&cluster, doubt),
    );
    let id = id.map_err(of_cluster)?;
    let of_ipfs = of_ipfs.map_err(of_kubo)?;
    let repository = repository.map_err(of_kubo)?;
    Ok(Seen {
        id: id.id,
        version: id.version,
        rpc_protocol: id.rpc_protocol_version,
        sees: id.cluster_peers,
        allocates_to: allocates_to.map_err(of_cluster)?,
        kubo_id: of_ipfs.id,
        kubo_version: version_of(&of_ipfs.agent_version),
        connected: connected.map_err(of_kubo)?,
        repository: repository.size,
        most: repository.maximum,
        troubles: troubles.map_err(of_cluster)?,
    })
}

/// The version in what a Kubo calls itself: `kubo/0.42.0/…`.
fn version_of(agent: &str) -> String {
    agent.split('/').nth(1).unwrap_or(agent).to_owned()
}

/// IPFS Cluster knows these without asking Kubo, all but those that have gone.
async fn troubles(cluster: &Cluster, doubt: bool) -> Result<Troubles, crate::ipfs_cluster::Failure> {
    let now = Timestamp::now();
    let mut troubles = Troubles::default();
    let mut filter = vec!["queued", "pinning", "unpinning", "error"];
    filter.extend(doubt.then_some("unexpectedly_unpinned"));
    let statuses = cluster.statuses(&filter);
    pin_mut!(statuses);
    while let Some(status) = statuses.try_next().await? {
        let Some(short) = status.peer_map.values().next() else { continue };
        match short.status.as_str() {
            "pin_queued" | "unpin_queued" | "queued" => troubles.queued += 1,
            "pinning" | "unpinning" => troubles.pinning += 1,
            _ => {
                let since = short.timestamp.map_or(i64::MAX, |since| now.as_second() - since.as_second());
                // Between the looks at Kubo's pins and at the cluster's a pin may seem to have gone that has just come.
                if short.status == "unexpectedly_unpinned" && since < FIRST_RETRY {
                    continue;
                }
                troubles.errors += 1;
                if troubles.errored.len() < LOOKED_AT {
                    let pause = FIRST_RETRY << short.attempt_count.min(MOST_ATTEMPTS);
                    troubles.errored.push(Errored {
                        cid: status.cid.clone(),
                        error: short.error.clone(),
                        attempts: short.attempt_count,
                        has_gone: short.status == "unexpectedly_unpinned",
                        is_removal: short.status == "unpin_error",
                        // What could not be removed is not tried again by a peer that no longer knows it as a pin.
                        due: short.status != "unpin_error" && short.attempt_count < MOST_ATTEMPTS && since >= pause,
                    });
                }
            }
        }
    }
    Ok(troubles)
}

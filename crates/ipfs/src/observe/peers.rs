//! What peers say of themselves, each asked by its own address: the Service leads to one of them, and to none until it is ready.

use futures::{TryStreamExt, future::join_all, pin_mut};
use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{
    failure::{chain, words},
    http::Client,
};

use super::PeerPod;
use crate::{
    ipfs_cluster::{Cluster, PinStatus},
    kubo::Kubo,
    names::{REST, RPC},
};

/// How many copies that are to be tried again are looked at one by one; what is behind them follows when these have been tried.
const LOOKED_AT: usize = 100;
/// How many of the others are kept as examples.
const EXAMPLES: usize = 10;
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
    /// Those of them that were tried often enough.
    pub(crate) given_up: u64,
    /// Whether one of them says that a volume is full.
    pub(crate) is_full: bool,
    /// Some of them: those that are to be tried again first, and examples of the rest.
    pub(crate) errored: Vec<Errored>,
}

/// What the controller remembers of a copy that has gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    /// How often it had it tried again.
    pub(crate) times: u32,
    /// Why that did not help, in Kubo's words.
    pub(crate) words: Option<String>,
}

/// What the products say when a volume is full.
const NO_SPACE: &str = "no space left on device";

/// Whether an error of the product says that a volume is full.
pub(crate) fn is_full(error: &str) -> bool {
    error.contains(NO_SPACE)
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
///
/// `tried` says how often the controller had the copy of a peer tried that has gone, and why that did not help.
pub(super) async fn ask(
    client: &Client,
    pods: &[PeerPod],
    allocate_by: &[&str],
    doubt: bool,
    tried: &(impl Fn(i32, &str) -> Tried + Sync),
) -> Vec<Peer> {
    let asked = pods.iter().filter(|pod| pod.ready).filter_map(|pod| {
        let ip = pod.ip.as_deref()?;
        let ordinal = pod.ordinal;
        let tried = move |cid: &str| tried(ordinal, cid);
        Some(async move { Peer { ordinal, seen: seen(client, ip, allocate_by, doubt, &tried).await } })
    });
    join_all(asked).await
}

async fn seen(
    client: &Client,
    ip: &str,
    allocate_by: &[&str],
    doubt: bool,
    tried: &(impl Fn(&str) -> Tried + Sync),
) -> Result<Seen, String> {
    let cluster = Cluster::new(client, ip, REST);
    let of_cluster = |failure| format!("IPFS Cluster: {}", chain(&failure));
    let of_kubo = |failure| format!("Kubo: {}", chain(&failure));
    let kubo = Kubo::new(client, ip, RPC);
    let (id, allocates_to, of_ipfs, connected, repository, troubles) = tokio::join!(
        cluster.id(),
        cluster.allocates_to(allocate_by),
        kubo.id(),
        kubo.connected(),
        kubo.repository(),
        troubles(&cluster, doubt, tried),
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
async fn troubles(
    cluster: &Cluster,
    doubt: bool,
    tried: &(impl Fn(&str) -> Tried + Sync),
) -> Result<Troubles, crate::ipfs_cluster::Failure> {
    let now = Timestamp::now().as_second();
    let mut troubles = Troubles::default();
    let mut filter = vec!["queued", "pinning", "unpinning", "error"];
    filter.extend(doubt.then_some("unexpectedly_unpinned"));
    let statuses = cluster.statuses(&filter);
    pin_mut!(statuses);
    while let Some(status) = statuses.try_next().await? {
        troubles.add(status, now, tried);
    }
    Ok(troubles)
}

impl Troubles {
    /// Adds what a peer says of a pin.
    fn add(&mut self, status: PinStatus, now: i64, tried: impl Fn(&str) -> Tried) {
        let Some(short) = status.peer_map.into_values().next() else { return };
        match short.status.as_str() {
            "pin_queued" | "unpin_queued" | "queued" => self.queued += 1,
            "pinning" | "unpinning" => self.pinning += 1,
            _ => {
                let since = short.timestamp.map_or(i64::MAX, |since| now.saturating_sub(since.as_second()));
                let has_gone = short.status == "unexpectedly_unpinned";
                // Between the looks at Kubo's pins and at the cluster's a pin may seem to have gone that has just come.
                if has_gone && since < FIRST_RETRY {
                    return;
                }
                self.errors += 1;
                // IPFS Cluster does not count the tries of what has gone, nor does it know why they fail.
                let known = if has_gone { tried(&status.cid) } else { Tried::default() };
                let attempts = if has_gone { known.times } else { short.attempt_count };
                let is_removal = short.status == "unpin_error";
                let pause = FIRST_RETRY << short.attempt_count.min(MOST_ATTEMPTS);
                let copy = Errored {
                    cid: status.cid,
                    error: words(&known.words.unwrap_or(short.error)),
                    attempts,
                    has_gone,
                    is_removal,
                    // What could not be removed is not tried again by a peer that no longer knows it as a pin.
                    due: !is_removal && attempts < MOST_ATTEMPTS && since >= pause,
                };
                self.given_up += u64::from(!is_removal && attempts >= MOST_ATTEMPTS);
                self.is_full |= is_full(&copy.error);
                self.keep(copy);
            }
        }
    }

    /// Keeps some: what was tried often, or just now, must not hide what is behind it.
    fn keep(&mut self, copy: Errored) {
        let most = if copy.due { LOOKED_AT } else { EXAMPLES };
        let alike = self.errored.iter().filter(|kept| kept.due == copy.due);
        if alike.count() < most {
            self.errored.push(copy);
        } else if let Some(tried) =
            self.errored.iter_mut().find(|kept| copy.due && kept.due && kept.attempts > copy.attempts)
        {
            *tried = copy;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(cid: &str, status: &str, attempts: u32) -> PinStatus {
        let short =
            json!({"status": status, "error": "e", "attempt_count": attempts, "timestamp": "2020-01-01T00:00:00Z"});
        serde_json::from_value(json!({"cid": cid, "peer_map": {"A": short}})).unwrap()
    }

    #[test]
    fn copies_behind_a_thousand_that_were_given_up_are_tried() {
        let mut troubles = Troubles::default();
        let now = Timestamp::now().as_second();
        for number in 0..1000 {
            troubles.add(failed(&format!("old{number}"), "pin_error", MOST_ATTEMPTS), now, |_| Tried::default());
        }
        troubles.add(failed("new", "pin_error", 0), now, |_| Tried::default());
        assert_eq!((troubles.errors, troubles.given_up), (1001, 1000));
        let due: Vec<_> = troubles.errored.iter().filter(|copy| copy.due).map(|copy| copy.cid.as_str()).collect();
        assert_eq!(due, ["new"]);
        assert!(troubles.errored.len() <= EXAMPLES + 1);
    }

    #[test]
    fn copies_that_have_gone_take_turns() {
        let mut tries = std::collections::HashMap::<String, u32>::new();
        let mut rounds = 0;
        while rounds < 20 && tries.len() < 5 * LOOKED_AT {
            let mut troubles = Troubles::default();
            for number in 0..5 * LOOKED_AT {
                let status = failed(&format!("cid{number}"), "unexpectedly_unpinned", 0);
                let tried = |cid: &str| Tried { times: tries.get(cid).copied().unwrap_or_default(), words: None };
                troubles.add(status, Timestamp::now().as_second(), tried);
            }
            for copy in troubles.errored.iter().filter(|copy| copy.due) {
                *tries.entry(copy.cid.clone()).or_default() += 1;
            }
            rounds += 1;
        }
        assert_eq!(tries.len(), 5 * LOOKED_AT, "after {rounds} rounds");
    }
}

//! Using the cluster as its users do: content is added and pinned through the Service that the binding names, and read back
//! from a peer.
//!
//! The pinned content is always the same, a few bytes derived from the object's name, and it stays pinned: every pin and every
//! unpin is an entry in the log of the cluster that is never removed. So verification mostly reads: the pin is looked up, and its
//! content is read from another peer. The pin is written to prove that pins can be written: when something has changed, at most
//! every [`MOST`], and at least every [`LEAST`]; the pin itself holds the time and the subject of the latest proof. While the
//! object is paused, it is only read.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{address::Endpoint, component::Verdict, failure::chain, http::Client};
use tokio::time::{Instant, sleep};

use crate::{
    access::Access,
    ipfs_cluster::{self, Cluster, PeerStatus, Pin, PinUpdate, is_full},
    kubo::{self, Kubo},
    names::{PROBE, PROVEN},
    reason,
};

/// How often the pin is written at most, in seconds, however often something changes: at most 144 entries a day.
const MOST: i64 = 600;
/// How often the pin is written at least, in seconds: one entry a day.
const LEAST: i64 = 24 * 3600;
/// How long pinning may take.
const PINNED_WITHIN: Duration = Duration::from_secs(30);
/// The interval at which its status is read meanwhile.
const INTERVAL: Duration = Duration::from_millis(250);

/// The content to pin, the programs to use, and the peer to read it back from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The content.
    pub(crate) content: Vec<u8>,
    /// Its CID.
    pub(crate) cid: String,
    /// The subject of a proof: the object's generation, and the peers.
    pub(crate) subject: String,
    /// The access by which it is added and pinned.
    pub(crate) access: Access,
    /// The Kubo from which it is read.
    pub(crate) reader: Endpoint,
    /// The evidence of a success, phrased to follow "a CID".
    pub(crate) evidence: String,
    /// Whether so many pins are in progress that this one may be queued.
    pub(crate) is_busy: bool,
    /// Whether nothing may be written.
    pub(crate) is_read_only: bool,
}

/// The outcome.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    /// It was read back.
    Read,
    /// It is queued behind the pins of users.
    Queued,
    /// It is not pinned, and must not be written.
    Missing,
}

/// Why it failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("Kubo failed")]
    Kubo(#[from] kubo::Failure),
    #[error("IPFS Cluster failed")]
    Cluster(#[from] ipfs_cluster::Failure),
    #[error("{cid} was not pinned in time: {statuses}")]
    NotPinned { cid: String, statuses: String },
    #[error("{cid} was read back with different bytes than were added")]
    Corrupt { cid: String },
    #[error("Kubo reported the CID {cid} for the content, which does not match its bytes")]
    Misnamed { cid: String },
}

/// Uses the cluster.
pub(crate) async fn verify(probe: &Probe, client: &Client) -> Verdict {
    let user = User::new(probe, client);
    let outcome =
        if probe.is_read_only { user.inspect().await } else { user.prove(Timestamp::now().as_second()).await };
    match outcome {
        Ok(Proof::Read) => Verdict::Verified(format!("a CID {}", probe.evidence)),
        Ok(Proof::Queued) => Verdict::Verified("a CID was added and is queued: the peers are busy pinning".to_owned()),
        Ok(Proof::Missing) => Verdict::Unknown,
        Err(failure) => {
            let cause = chain(&failure);
            let reason = if is_full(&cause) { reason::VOLUME_FULL } else { reason::VERIFICATION_FAILED };
            Verdict::Failed { reason, message: format!("verification failed: {cause}; retried with backoff") }
        }
    }
}

/// A probe with its clients.
struct User<'a> {
    probe: &'a Probe,
    kubo: Kubo,
    cluster: Cluster,
    reader: Kubo,
}

impl<'a> User<'a> {
    fn new(probe: &'a Probe, client: &Client) -> Self {
        let Access { kubo, cluster } = &probe.access;
        let (kubo, cluster) = (Kubo::new(client, kubo), Cluster::new(client, cluster));
        Self { probe, kubo, cluster, reader: Kubo::new(client, &probe.reader) }
    }

    /// Reads the content, and pins it first if a proof of pinning is due.
    async fn prove(&self, now: i64) -> Result<Proof, Failure> {
        let Probe { cid, subject, .. } = self.probe;
        let pin = self.cluster.allocation(cid).await?;
        if is_due(pin.as_ref(), subject, now) {
            self.add().await?;
            let metadata = BTreeMap::from([(PROVEN.to_owned(), Some(format!("{now} {subject}")))]);
            // The default number of copies.
            let update = PinUpdate { min: 0, max: 0, metadata, user_allocations: Vec::new() };
            let pin = Pin { cid: cid.clone(), name: PROBE.to_owned(), ..Pin::default() };
            self.cluster.pin(&pin, &update).await?;
        }
        match self.wait().await? {
            Proof::Read => {}
            outcome => return Ok(outcome),
        }
        // A peer without the pin must fetch the content from others; a peer with the pin refuses.
        let _ = self.reader.remove_block(cid).await;
        self.compare().await
    }

    /// Reads the content if it is pinned.
    async fn inspect(&self) -> Result<Proof, Failure> {
        if self.cluster.allocation(&self.probe.cid).await?.is_none() {
            return Ok(Proof::Missing);
        }
        let peers = self.cluster.status(&self.probe.cid).await?;
        if is_pinned(&peers) { self.compare().await } else { Err(self.not_pinned(&peers)) }
    }

    /// Waits until every peer reports the pin as complete. Lost copies are recreated.
    async fn wait(&self) -> Result<Proof, Failure> {
        let until = Instant::now() + PINNED_WITHIN;
        let mut is_repaired = false;
        loop {
            let peers = self.cluster.status(&self.probe.cid).await?;
            if is_pinned(&peers) {
                return Ok(Proof::Read);
            }
            let is_waiting = |status: &str| status == "pin_queued" || is_in_place(status);
            if Instant::now() > until {
                let is_queued = self.probe.is_busy && peers.values().all(|peer| is_waiting(&peer.status));
                return if is_queued { Ok(Proof::Queued) } else { Err(self.not_pinned(&peers)) };
            }
            let has_failed = |peer: &PeerStatus| ["pin_error", "unexpectedly_unpinned"].contains(&peer.status.as_str());
            if !is_repaired && peers.values().any(has_failed) {
                is_repaired = true;
                self.add().await?;
                self.cluster.recover(&self.probe.cid).await?;
            }
            sleep(INTERVAL).await;
        }
    }

    async fn add(&self) -> Result<(), Failure> {
        let cid = self.kubo.add(&self.probe.content).await?;
        if cid == self.probe.cid { Ok(()) } else { Err(Failure::Misnamed { cid }) }
    }

    async fn compare(&self) -> Result<Proof, Failure> {
        let Probe { cid, content, .. } = self.probe;
        let read = self.reader.read(cid, content.len()).await?;
        if read == *content { Ok(Proof::Read) } else { Err(Failure::Corrupt { cid: cid.clone() }) }
    }

    fn not_pinned(&self, peers: &BTreeMap<String, PeerStatus>) -> Failure {
        let statuses = peers.values().map(|peer| format!("{} {}", peer.status, peer.error).trim_end().to_owned());
        Failure::NotPinned { cid: self.probe.cid.clone(), statuses: statuses.collect::<Vec<_>>().join(", ") }
    }
}

fn is_in_place(status: &str) -> bool {
    ["pinned", "remote"].contains(&status)
}

fn is_pinned(peers: &BTreeMap<String, PeerStatus>) -> bool {
    peers.values().any(PeerStatus::is_pinned) && peers.values().all(|peer| is_in_place(&peer.status))
}

/// Whether a proof that pins can be written is due: it is missing, old, or about another subject and not very recent. A proof in
/// the future, from a wrong clock, is ignored.
fn is_due(pin: Option<&Pin>, subject: &str, now: i64) -> bool {
    let proven = pin.and_then(|pin| pin.metadata.get(PROVEN)?.split_once(' '));
    let Some((at, proven)) = proven.and_then(|(at, proven)| Some((at.parse::<i64>().ok()?, proven))) else {
        return true;
    };
    let age = now.saturating_sub(at);
    !(-MOST..LEAST).contains(&age) || (proven != subject && age.saturating_abs() >= MOST)
}

#[cfg(test)]
mod tests;

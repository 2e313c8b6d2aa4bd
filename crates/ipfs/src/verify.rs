//! Using the cluster as its users do: something is added and pinned through the Service that the binding names,
//! and read back from a peer.
//!
//! What is pinned is always the same, a few bytes that follow from the object's name, and it stays pinned: every pin and every unpin
//! is an entry in the log of the cluster that nothing ever removes. So what is usual is reading: the pin is looked up, and its
//! content is read from another peer. That pins can be written is proven when something has changed, but no more often than every
//! [`MOST`], and every [`LEAST`] anyway; the pin itself says for what it was proven, and when. While the object is paused, it is only
//! read.

use std::{collections::BTreeMap, time::Duration};

use cid::{Cid, multihash::Multihash};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use temporal_stack_common::{
    api::IpfsCluster, component::Verdict, condition::reason, failure::chain, http::Client, manifest::hash,
};
use tokio::time::{Instant, sleep};

use crate::{
    external::Access,
    health,
    ipfs_cluster::{self, Cluster, Pin, Short, Wish},
    kubo::{self, Kubo},
    names::{PROBE, PROVEN, REST, RPC},
    observe::{Embedded, Observed, Source, is_full},
};

/// How often the pin is written at the most, in seconds, however often something changes: at most 144 entries a day.
const MOST: i64 = 600;
/// How often the pin is written at least, in seconds: one entry a day.
const LEAST: i64 = 24 * 3600;
/// How long the pin may take.
const PINNED_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// Codes of multiformats: a block as it is, and its hash.
const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;

/// Two peers, or the same one twice, and what is pinned.
struct Probe {
    content: Vec<u8>,
    cid: String,
    /// What a proof is about: the object's generation, and the peers.
    about: String,
    /// Through which it is added and pinned.
    first: Kubo,
    cluster: Cluster,
    /// From which it is read.
    second: Kubo,
    /// How the two are named.
    how: String,
    /// Whether so much is to be pinned that it may have to wait for its turn.
    is_busy: bool,
}

/// What came of it.
enum Used {
    /// It was read back.
    Read,
    /// It waits for its turn behind the pins of users.
    Queued,
    /// It is not pinned, and pinning it was not allowed.
    Missing,
}

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("Kubo failed")]
    Kubo(#[from] kubo::Failure),
    #[error("IPFS Cluster failed")]
    Cluster(#[from] ipfs_cluster::Failure),
    #[error("{cid} was not pinned in time: {statuses}")]
    NotPinned { cid: String, statuses: String },
    #[error("{cid} was read back and is not what was added")]
    Other { cid: String },
    #[error("Kubo gives the content the name {cid}, which is not that of its bytes")]
    Misnamed { cid: String },
}

/// Uses the cluster.
pub(crate) async fn verify(object: &IpfsCluster, observed: &Observed, client: &Client) -> Verdict {
    let probe = match probe(object, observed, client) {
        Ok(probe) => probe,
        Err(failed) => return failed,
    };
    let outcome = probe.prove(Timestamp::now().as_second()).await;
    judge(outcome, &probe.how)
}

/// Looks at the cluster without writing anything.
pub(crate) async fn inspect(object: &IpfsCluster, observed: &Observed, client: &Client) -> Option<Verdict> {
    let probe = match probe(object, observed, client) {
        Ok(probe) => probe,
        Err(failed) => return Some(failed),
    };
    match probe.read().await {
        Ok(Used::Missing) => None,
        outcome => Some(judge(outcome, &probe.how)),
    }
}

fn judge(outcome: Result<Used, Failure>, how: &str) -> Verdict {
    match outcome {
        Ok(Used::Read) => Verdict::Verified(format!("a CID {how}")),
        Ok(Used::Queued) => {
            Verdict::Verified("a CID was added, and waits for its turn: the peers are busy pinning".to_owned())
        }
        Ok(Used::Missing) => failed("the CID of the verification is not pinned".to_owned()),
        Err(failure) => {
            let said = chain(&failure);
            let reason = if is_full(&said) { health::DISK_FULL } else { reason::VERIFICATION_FAILED };
            Verdict::Failed { reason, message: format!("verification failed: {said}") }
        }
    }
}

fn failed(message: String) -> Verdict {
    Verdict::Failed { reason: reason::VERIFICATION_FAILED, message }
}

fn probe(object: &IpfsCluster, observed: &Observed, client: &Client) -> Result<Probe, Verdict> {
    match &observed.source {
        Source::Embedded(embedded) => of_peers(object, embedded, client)
            .ok_or_else(|| failed("no peer is ready, or the Service for clients has no address".to_owned())),
        Source::External(Some(access)) => Ok(of_access(object, access, client)),
        Source::External(None) => Err(failed("the Secret of the external cluster is not usable".to_owned())),
    }
}

fn of_peers(object: &IpfsCluster, embedded: &Embedded, client: &Client) -> Option<Probe> {
    let ready =
        || embedded.pods.iter().filter(|pod| pod.ready && pod.serves).filter_map(|pod| Some((pod, pod.ip.as_ref()?)));
    // Applications know the Service that the binding names, not the addresses of pods.
    let (Some(service), Some((other, other_ip))) = (&embedded.service, ready().next_back()) else { return None };
    let how = if ready().count() == 1 {
        "is pinned, as the Service reports, and was read back".to_owned()
    } else {
        format!("is pinned where it should be, as the Service reports, and was read back from peer {}", other.ordinal)
    };
    let lives: Vec<_> = ready().map(|(pod, _)| (pod.ordinal, &pod.life)).collect();
    let (content, cid) = content(object);
    Some(Probe {
        content,
        cid,
        about: hash(&json!([object.metadata.generation, lives])),
        first: Kubo::new(client, service, RPC),
        cluster: Cluster::new(client, service, REST),
        second: Kubo::new(client, other_ip, RPC),
        how,
        is_busy: embedded.seen().any(|(_, seen)| seen.troubles.pinning + seen.troubles.queued > 0),
    })
}

fn of_access(object: &IpfsCluster, access: &Access, client: &Client) -> Probe {
    let (content, cid) = content(object);
    let kubo = Kubo::new(client, &access.host, access.port);
    Probe {
        content,
        cid,
        about: hash(&json!([object.metadata.generation, format!("{access:?}")])),
        first: kubo.clone(),
        cluster: Cluster::new(client, &access.cluster_host, access.cluster_port),
        second: kubo,
        is_busy: true,
        how: "is pinned, and was read back".to_owned(),
    }
}

/// What is pinned, and its CID. An object that is made again under its name has the same; what it is called stays here.
fn content(object: &IpfsCluster) -> (Vec<u8>, String) {
    let name = hash(&json!([object.namespace(), object.name_any()]));
    let content = format!("{PROBE} {name}\n").into_bytes();
    // A SHA-256 has room in a multihash of 64 bytes.
    let digest = Multihash::<64>::wrap(SHA2_256, &Sha256::digest(&content)).unwrap_or_default();
    (content, Cid::new_v1(RAW, digest).to_string())
}

impl Probe {
    /// Reads what is pinned, and pins it before that where it is time to prove that it can be done.
    async fn prove(&self, now: i64) -> Result<Used, Failure> {
        let pin = self.cluster.allocation(&self.cid).await?;
        if is_due(pin.as_ref(), &self.about, now) {
            self.add().await?;
            let metadata = BTreeMap::from([(PROVEN.to_owned(), Some(format!("{now} {}", self.about)))]);
            // As many copies as a pin has that does not say.
            let wish = Wish { min: 0, max: 0, metadata, user_allocations: Vec::new() };
            let pin = Pin { cid: self.cid.clone(), name: PROBE.to_owned(), ..Pin::default() };
            self.cluster.pin(&pin, &wish).await?;
        }
        match self.wait().await? {
            Used::Read => {}
            used => return Ok(used),
        }
        // A peer that does not hold the pin is to get it from those that do; one that holds it refuses.
        let _ = self.second.remove_block(&self.cid).await;
        self.compare().await
    }

    /// Reads what is pinned, if it is.
    async fn read(&self) -> Result<Used, Failure> {
        if self.cluster.allocation(&self.cid).await?.is_none() {
            return Ok(Used::Missing);
        }
        let peers = self.cluster.status(&self.cid).await?;
        if is_pinned(&peers) { self.compare().await } else { Err(self.not_pinned(&peers)) }
    }

    /// Waits until every peer says that the pin is where it should be. Copies that have been lost are made again.
    async fn wait(&self) -> Result<Used, Failure> {
        let until = Instant::now() + PINNED_WITHIN;
        let mut is_repaired = false;
        loop {
            let peers = self.cluster.status(&self.cid).await?;
            if is_pinned(&peers) {
                return Ok(Used::Read);
            }
            let is_waiting = |status: &str| status == "pin_queued" || is_at_home(status);
            if Instant::now() > until {
                let is_queued = self.is_busy && peers.values().all(|peer| is_waiting(&peer.status));
                return if is_queued { Ok(Used::Queued) } else { Err(self.not_pinned(&peers)) };
            }
            let has_failed = |peer: &Short| ["pin_error", "unexpectedly_unpinned"].contains(&peer.status.as_str());
            if !is_repaired && peers.values().any(has_failed) {
                is_repaired = true;
                self.add().await?;
                self.cluster.recover(&self.cid).await?;
            }
            sleep(LOOK).await;
        }
    }

    async fn add(&self) -> Result<(), Failure> {
        let cid = self.first.add(&self.content).await?;
        if cid == self.cid { Ok(()) } else { Err(Failure::Misnamed { cid }) }
    }

    async fn compare(&self) -> Result<Used, Failure> {
        let read = self.second.read(&self.cid, self.content.len()).await?;
        if read == self.content { Ok(Used::Read) } else { Err(Failure::Other { cid: self.cid.clone() }) }
    }

    fn not_pinned(&self, peers: &BTreeMap<String, Short>) -> Failure {
        let statuses = peers.values().map(|peer| format!("{} {}", peer.status, peer.error).trim_end().to_owned());
        Failure::NotPinned { cid: self.cid.clone(), statuses: statuses.collect::<Vec<_>>().join(", ") }
    }
}

fn is_at_home(status: &str) -> bool {
    ["pinned", "remote"].contains(&status)
}

fn is_pinned(peers: &BTreeMap<String, Short>) -> bool {
    peers.values().any(Short::is_pinned) && peers.values().all(|peer| is_at_home(&peer.status))
}

/// Whether it is time to prove that pins can be written: there is none, or it was proven long ago, or for something else and not just
/// now. A clock that was wrong is no reason to wait for it.
fn is_due(pin: Option<&Pin>, about: &str, now: i64) -> bool {
    let proven = pin.and_then(|pin| pin.metadata.get(PROVEN)?.split_once(' '));
    let Some((at, what)) = proven.and_then(|(at, what)| Some((at.parse::<i64>().ok()?, what))) else { return true };
    let age = now.saturating_sub(at);
    !(-MOST..LEAST).contains(&age) || (what != about && age.saturating_abs() >= MOST)
}

#[cfg(test)]
mod tests;

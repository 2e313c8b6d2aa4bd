//! Using the cluster as its users do: something is added and pinned through the Service, and read back from a peer.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::future::join_all;
use kube::ResourceExt;
use temporal_stack_common::{api::IpfsCluster, component::Verdict, condition::reason, failure::chain};
use tokio::time::{Instant, sleep};

use crate::{
    external::Access,
    health,
    ipfs_cluster::{self, Cluster, Pin, Short, Wish},
    kubo::{self, Kubo},
    names::{REST, RPC},
    observe::{Embedded, Observed, Source},
};

/// What the pin is called, so that it can be told from those of users while it is there.
pub(crate) const NAME: &str = "temporal-stack-verification";
/// How long the pin may take.
const PINNED_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// What is read back at most, in bytes.
const MOST: usize = 1024;

/// Two peers, or the same one twice.
struct Pair {
    /// Through which it is added and pinned.
    first: Kubo,
    cluster: Cluster,
    /// From which it is read.
    second: Kubo,
    /// All that may have it afterwards.
    all: Vec<Kubo>,
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
}

/// Uses the cluster.
pub(crate) async fn verify(object: &IpfsCluster, observed: &Observed, client: &reqwest::Client) -> Verdict {
    let failed = |message: String| Verdict::Failed { reason: reason::VERIFICATION_FAILED, message };
    let pair = match &observed.source {
        Source::Embedded(embedded) => of_peers(embedded, client),
        Source::External(Some(access)) => of_access(access, client),
        Source::External(None) => return failed("the Secret of the external cluster is not usable".to_owned()),
    };
    let pair = match pair {
        Ok(Some(pair)) => pair,
        Ok(None) => return failed("no peer is ready, or the Service for clients has no address".to_owned()),
        Err(failure) => return failed(chain(&failure)),
    };
    let used = add_pin_and_read(object, &pair).await;
    match used {
        Ok(Used::Read) => Verdict::Verified(format!("a CID {}", pair.how)),
        Ok(Used::Queued) => {
            Verdict::Verified("a CID was added, and waits for its turn: the peers are busy pinning".to_owned())
        }
        Err(failure) => {
            let said = chain(&failure);
            let reason = if health::is_full(&said) { health::DISK_FULL } else { reason::VERIFICATION_FAILED };
            Verdict::Failed { reason, message: format!("a CID was to be one that {}: {said}", pair.how) }
        }
    }
}

fn of_peers(embedded: &Embedded, client: &reqwest::Client) -> Result<Option<Pair>, Failure> {
    let ready =
        || embedded.pods.iter().filter(|pod| pod.ready && pod.serves).filter_map(|pod| Some((pod, pod.ip.as_ref()?)));
    // Applications know the Service that the binding names, not the addresses of pods.
    let (Some(service), Some((other, other_ip))) = (&embedded.service, ready().next_back()) else { return Ok(None) };
    let how = if ready().count() == 1 {
        "was added and pinned through the Service, and read back".to_owned()
    } else {
        format!("was added through the Service, pinned where it should be, and read back from peer {}", other.ordinal)
    };
    Ok(Some(Pair {
        first: Kubo::new(service, RPC)?,
        cluster: Cluster::new(client, service, REST),
        second: Kubo::new(other_ip, RPC)?,
        all: ready().map(|(_, ip)| Kubo::new(ip, RPC)).collect::<Result<_, _>>()?,
        how,
        is_busy: embedded.seen().any(|(_, seen)| seen.troubles.pinning + seen.troubles.queued > 0),
    }))
}

fn of_access(access: &Access, client: &reqwest::Client) -> Result<Option<Pair>, Failure> {
    let kubo = || Kubo::new(&access.host, access.port);
    Ok(Some(Pair {
        first: kubo()?,
        cluster: Cluster::new(client, &access.cluster_host, access.cluster_port),
        second: kubo()?,
        all: vec![kubo()?],
        is_busy: true,
        how: "was added, pinned, and read back".to_owned(),
    }))
}

async fn add_pin_and_read(object: &IpfsCluster, pair: &Pair) -> Result<Used, Failure> {
    // Something new each time: what is there already proves nothing.
    let now = k8s_openapi::jiff::Timestamp::now();
    let content = format!("{NAME} of {} at {now}\n", object.uid().unwrap_or_default()).into_bytes();
    let cid = pair.first.add(content.clone()).await?;
    let outcome = pin_and_read(pair, &cid, &content).await;
    // Nothing of it stays, whatever came of it; what could not be removed expires, and is garbage then.
    let unpinned = pair.cluster.unpin(&cid).await;
    join_all(pair.all.iter().map(|kubo| kubo.remove_block(&cid))).await;
    let used = outcome?;
    unpinned?;
    Ok(used)
}

async fn pin_and_read(pair: &Pair, cid: &str, content: &[u8]) -> Result<Used, Failure> {
    let expires = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_mins(10);
    let pin = Pin { cid: cid.to_owned(), name: NAME.to_owned(), expire_at: Some(expires), ..Pin::default() };
    // As many copies as a pin has that does not say.
    let wish = Wish { min: 0, max: 0, metadata: BTreeMap::new(), user_allocations: Vec::new() };
    pair.cluster.pin(&pin, &wish).await?;
    let until = Instant::now() + PINNED_WITHIN;
    loop {
        let peers = pair.cluster.status(cid).await?;
        let is_where_it_should_be = |status: &str| ["pinned", "remote"].contains(&status);
        if !peers.is_empty()
            && peers.values().any(Short::is_pinned)
            && peers.values().all(|peer| is_where_it_should_be(&peer.status))
        {
            break;
        }
        let is_queued = |status: &str| status == "pin_queued" || is_where_it_should_be(status);
        if Instant::now() > until && pair.is_busy && peers.values().all(|peer| is_queued(&peer.status)) {
            return Ok(Used::Queued);
        }
        if Instant::now() > until {
            let statuses: Vec<String> =
                peers.values().map(|peer| format!("{} {}", peer.status, peer.error).trim_end().to_owned()).collect();
            return Err(Failure::NotPinned { cid: cid.to_owned(), statuses: statuses.join(", ") });
        }
        sleep(LOOK).await;
    }
    let read = pin!(pair.second.read(cid, MOST)).await?;
    if read != content {
        return Err(Failure::Other { cid: cid.to_owned() });
    }
    Ok(Used::Read)
}

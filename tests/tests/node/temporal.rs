//! Temporal on the node: the stack's own instance, and others beside it that use its database, queue and peers.
//!
//! One test after the other: they share the queues.
//!
//! What the program does to those who do not know it, and which test shows that nobody needs to:
//!
//! | trap | test |
//! |---|---|
//! | the stock entrypoint reads no variable | each that is Ready; the manifests of `temporal-stack-temporal` |
//! | no defaults with variables: where logs go | `configuration::variables_alone…` |
//! | `DATABASE_NAME` is ignored | the same; `api` for another database |
//! | without TLS, 301 | the same |
//! | 50 requests an hour, probes too | the same; `configuration::unstartable_image…` for a low limit |
//! | no realm, no size limit | each upload |
//! | messages to queues that nobody declared | `keys::…and_uploads_wait` |
//! | `GET /peers`, CIDs, types of today | `configuration::failing_workers…`, `bridge` |
//! | `object/stat`, `pubsub/pub` | `whole::uploaded_file…`, `bridge` |
//! | keys in `/tmp` | `keys` |
//! | names of IPFS Cluster that it ignores, an empty secret, factors that cannot be, leaving at the end | `seed`, `api` |
//! | a private network's own demands | `ipfs` |

mod beside;
mod configuration;
pub(crate) mod credentials;
pub(crate) mod defaults;
mod faults;
mod keys;
mod performance;
mod whole;

use anyhow::{Context as _, Result, ensure};
use e2e::{One, Space, peers::Peer, peers::until_answer, temporal::Caller};
use rand::RngExt as _;
use temporal_stack_common::api::{IpfsCluster, Temporal};

/// The peers of the stack.
const PEERS: u32 = 3;

/// So many random bytes.
pub(crate) fn random(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    rand::rng().fill(&mut content[..]);
    content
}

/// Peers, and whoever its gateway leads to.
struct Ipfs {
    peers: Vec<Peer>,
    gateway: Peer,
}

impl Ipfs {
    /// Those of the stack.
    async fn of(space: &Space) -> Result<Self> {
        Self::of_size(space, PEERS).await
    }

    async fn of_size(space: &Space, peers: u32) -> Result<Self> {
        let ipfs: One<'_, IpfsCluster> = space.one();
        let gateway = Peer::new(ipfs.address_of("temporal-ipfscluster-gateway").await?)?;
        Ok(Self { peers: ipfs.peers(peers).await?, gateway })
    }

    /// Waits until every peer has it.
    async fn all_have(&self, cid: &str) -> Result<()> {
        for peer in &self.peers {
            let is_pinned = |held: &std::collections::BTreeSet<String>| held.contains(cid);
            until_answer("the upload to be pinned", async || peer.kubo_pins().await, is_pinned).await?;
        }
        Ok(())
    }

    /// Unpins, so that the stack is left as it was found.
    async fn forget(&self, cid: &str) -> Result<()> {
        self.peers.first().context("a peer")?.unpin(cid).await
    }
}

/// Uploads a file through an API, and follows it to every peer and back.
async fn is_kept(caller: &Caller, ipfs: &Ipfs, file: Vec<u8>) -> Result<String> {
    let cid = caller.add(file.clone()).await?;
    ipfs.all_have(&cid).await?;
    ensure!(ipfs.gateway.served(&cid).await? == file, "the gateway serves other bytes");
    Ok(cid)
}

/// The stack's instance.
fn of_stack(space: &Space) -> One<'_, Temporal> {
    space.one()
}

//! Temporal on the node: the stack's own instance, and others beside it that use its database, queue and peers.
//!
//! One test after the other: they share the queues, and a machine of two processors.
//!
//! What the program does to those who do not know it, and which test shows that nobody needs to:
//!
//! | trap | test |
//! |---|---|
//! | the stock entrypoint reads no variable | each that is Ready; the manifests of `temporal-stack-temporal` |
//! | no defaults with variables: where logs go | `configuration::an_instance_on_variables_alone…` |
//! | `DATABASE_NAME` is ignored | the same; `api` for another database |
//! | without TLS, 301 | the same |
//! | 50 requests an hour, probes too | the same; `configuration::an_image_that_does_not_start…` for a low limit |
//! | no realm, no size limit | each upload |
//! | messages to queues that nobody declared | `configuration::an_upload_waits_in_its_queue…` |
//! | `GET /peers`, CIDs, types of today | `configuration::without_the_bridge…`, `bridge` |
//! | `object/stat`, `pubsub/pub` | `whole::a_file_that_is_uploaded…`, `bridge` |
//! | keys in `/tmp` | `keys` |
//! | names of IPFS Cluster that it ignores, an empty secret, factors that cannot be, leaving at the end | `seed`, `api` |
//! | a private network's own demands | `ipfs` |

#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]
#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod beside;
mod configuration;
mod credentials;
mod defaults;
mod faults;
mod keys;
mod performance;
mod whole;

use anyhow::{Context as _, Result, ensure};
use e2e::{Cluster, One, Space, peers::Peer, peers::until_answer, temporal::Caller};
use rand::RngExt as _;
use temporal_stack_common::api::{IpfsCluster, Temporal};

/// The peers of the stack.
const PEERS: u32 = 3;

/// The cluster that `xtask up` has made.
fn cluster() -> Cluster {
    Cluster::node().expect("a cluster that runs pods")
}

/// So many random bytes.
fn random(bytes: usize) -> Vec<u8> {
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

//! Pins that tests make and that must be kept: the same options, enough live copies, the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};

use crate::peers::{Allocation, Peer, until_answer};

/// How many requests are under way at once.
const AT_ONCE: usize = 8;
/// How large a file is in which there are several blocks.
const LARGE: usize = 600_000;
/// Never, as IPFS Cluster writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// What the controller's own pins are called, which come and go.
const VERIFICATION: &str = "temporal-stack-verification";

/// What a pin is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    content: Vec<u8>,
    min: i32,
    max: i32,
    name: String,
    metadata: BTreeMap<String, String>,
    expire_at: String,
}

/// What was pinned.
#[derive(Clone, Debug, Default)]
pub struct Pinset {
    /// What each pin is to be, by CID.
    wishes: BTreeMap<String, Wish>,
    /// The CIDs of somebody else's pins, which are not looked at.
    others: BTreeSet<String>,
}

/// Which peers hold each pin, by the number of the peer.
pub type Holders = BTreeMap<String, BTreeSet<usize>>;

impl Pinset {
    /// Without any pin yet, on a cluster that has others.
    pub async fn beside_others(peer: &Peer) -> Result<Self> {
        Ok(Self { wishes: BTreeMap::new(), others: peer.allocations().await?.into_keys().collect() })
    }

    /// Adds files, each through another of the peers, and pins them with these factors; some have a name, metadata and an end,
    /// and some more than one block.
    pub async fn grow(&mut self, peers: &[Peer], count: usize, (min, max): (i32, i32)) -> Result<()> {
        let (first, salt) = (self.wishes.len(), rand::random::<u64>());
        let mut files = vec![Vec::new(); peers.len()];
        for number in first..first + count {
            let mut content = format!("file {number} of {salt:016x}\n").into_bytes();
            if number % 50 == 0 {
                content = content.into_iter().cycle().take(LARGE).collect();
            }
            files[number % peers.len()].push((number, content));
        }
        let mut made = Vec::new();
        for (peer, files) in peers.iter().zip(files) {
            let contents: Vec<Vec<u8>> = files.iter().map(|(_, content)| content.clone()).collect();
            let cids = peer.add(&contents).await?;
            let wishes = files.into_iter().map(|(number, content)| wish(number, content, min, max));
            made.extend(cids.into_iter().zip(wishes));
        }
        let pinned = stream::iter(made.iter().zip(peers.iter().cycle())).map(Ok);
        pinned.try_for_each_concurrent(AT_ONCE, |((cid, wish), peer)| pin(peer, cid, wish)).await?;
        self.wishes.extend(made);
        Ok(())
    }

    /// Adds a file and pins it as a client does: again and again until both were acknowledged. Says how often that failed.
    pub async fn add(&mut self, through: &Peer, (min, max): (i32, i32)) -> Result<u32> {
        let number = self.wishes.len();
        let wish = wish(number, format!("file {number} of {:032x}\n", rand::random::<u128>()).into_bytes(), min, max);
        let failures = AtomicU32::new(0);
        let offer = async || {
            failures.fetch_add(1, Ordering::Relaxed);
            let cid = through.add(std::slice::from_ref(&wish.content)).await?.pop().context("one file has one CID")?;
            pin(through, &cid, &wish).await?;
            Ok(cid)
        };
        let cid = until_answer("a file to be pinned", offer, |_| true).await?;
        self.wishes.insert(cid, wish);
        Ok(failures.into_inner() - 1)
    }

    /// Gives the files to a Kubo, without pinning them.
    pub async fn bring(&self, to: &Peer) -> Result<()> {
        let contents: Vec<Vec<u8>> = self.wishes.values().map(|wish| wish.content.clone()).collect();
        let cids = to.add(&contents).await?;
        ensure!(cids.iter().eq(self.wishes.keys()), "the same files have other CIDs");
        Ok(())
    }

    /// Gives all pins other factors.
    pub async fn replicate(&mut self, through: &Peer, (min, max): (i32, i32)) -> Result<()> {
        for wish in self.wishes.values_mut() {
            (wish.min, wish.max) = (min, max);
        }
        stream::iter(&self.wishes).map(Ok).try_for_each_concurrent(AT_ONCE, |(cid, wish)| pin(through, cid, wish)).await
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.wishes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// The CIDs.
    pub fn cids(&self) -> impl Iterator<Item = &String> {
        self.wishes.keys()
    }

    /// Whether a pin is to be on every peer.
    pub fn is_everywhere(&self, cid: &str) -> bool {
        self.wishes.get(cid).is_some_and(|wish| wish.min < 0)
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.wishes.extend(other.wishes);
        self
    }

    /// Fails unless these peers, which are all, have exactly these pins with their options, none of them is another's to hold,
    /// each has its floor in copies that both products know of, and those read back.
    pub async fn is_kept(&self, peers: &[Peer]) -> Result<Holders> {
        let holders = self.is_whole(peers).await?;
        let reads = holders.iter().flat_map(|(cid, holders)| holders.iter().map(move |holder| (cid, *holder)));
        stream::iter(reads)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, async |(cid, holder)| {
                let read = peers[holder].read(cid).await?;
                ensure!(read == self.wishes[cid].content, "peer {holder} has other bytes of {cid}");
                Ok(())
            })
            .await?;
        Ok(holders)
    }

    /// Waits until all pins have all the copies that they are to have, and then looks at everything.
    pub async fn heals(&self, peers: &[Peer]) -> Result<Holders> {
        until_answer("the full replication of all pins", async || self.is_whole(peers).await, |_| true).await?;
        self.is_kept(peers).await
    }

    async fn is_whole(&self, peers: &[Peer]) -> Result<Holders> {
        let ids = try_join_all(peers.iter().map(async |peer| anyhow::Ok(peer.id().await?.id))).await?;
        let holders = self.holders(peers).await?;
        for (number, peer) in peers.iter().enumerate() {
            let pins = peer.allocations().await?;
            let is_looked_at = |cid: &str, pin: &Allocation| pin.name != VERIFICATION && !self.others.contains(cid);
            let pins: BTreeMap<_, _> = pins.iter().filter(|(cid, pin)| is_looked_at(cid, pin)).collect();
            let missing: Vec<_> = self.wishes.keys().filter(|cid| !pins.contains_key(cid)).take(3).collect();
            let further: Vec<_> = pins.keys().filter(|cid| !self.wishes.contains_key(**cid)).take(3).collect();
            ensure!(
                missing.is_empty() && further.is_empty(),
                "peer {number} lists {} pins instead of {}; it lacks {missing:?}, and has {further:?} more",
                pins.len(),
                self.wishes.len()
            );
            for (cid, wish) in &self.wishes {
                is_as_wished(pins[cid], wish, &ids).with_context(|| format!("peer {number}"))?;
                let allocated = allocated(pins[cid], &ids);
                let held = &holders[cid];
                let short =
                    || format!("{cid}, {}/{}, is to be on {allocated:?} and is on {held:?}", wish.min, wish.max);
                ensure!(allocated.is_subset(held), "{}", short());
                let floor = usize::try_from(wish.min).unwrap_or(peers.len());
                ensure!(held.len() >= floor, "{}", short());
            }
        }
        Ok(holders)
    }

    /// Which peers hold each pin, by the word of both their products.
    pub async fn holders(&self, peers: &[Peer]) -> Result<Holders> {
        let mut holders: Holders = self.wishes.keys().map(|cid| (cid.clone(), BTreeSet::new())).collect();
        for (number, peer) in peers.iter().enumerate() {
            let (of_cluster, of_kubo) = (peer.holds().await?, peer.kubo_pins().await?);
            for cid in of_cluster.intersection(&of_kubo) {
                if let Some(holders) = holders.get_mut(cid) {
                    holders.insert(number);
                }
            }
        }
        Ok(holders)
    }
}

fn wish(number: usize, content: Vec<u8>, min: i32, max: i32) -> Wish {
    let is_told = number.is_multiple_of(3);
    let told = |text: String| if is_told { text } else { String::new() };
    let metadata = [("owner", format!("user {number}")), ("note", "a & b = c, 100 %".to_owned())];
    Wish {
        content,
        min,
        max,
        name: told(format!("upload {number} / ü")),
        metadata: metadata.into_iter().filter(|_| is_told).map(|(key, value)| (key.to_owned(), value)).collect(),
        expire_at: if number.is_multiple_of(5) { "2099-12-31T23:59:59Z" } else { NEVER }.to_owned(),
    }
}

async fn pin(through: &Peer, cid: &str, wish: &Wish) -> Result<()> {
    let (min, max) = (wish.min.to_string(), wish.max.to_string());
    let mut parameters =
        vec![("replication-min", min.as_str()), ("replication-max", max.as_str()), ("name", &wish.name)];
    if wish.expire_at != NEVER {
        parameters.push(("expire-at", &wish.expire_at));
    }
    let metadata: Vec<(String, &str)> =
        wish.metadata.iter().map(|(key, value)| (format!("meta-{key}"), value.as_str())).collect();
    parameters.extend(metadata.iter().map(|(key, value)| (key.as_str(), *value)));
    through.pin(cid, &parameters).await
}

/// Fails unless a pin has the options that it was given, and is to be on peers that are there.
fn is_as_wished(pin: &Allocation, wish: &Wish, ids: &[String]) -> Result<()> {
    let metadata = pin.metadata.clone().unwrap_or_default();
    let is_same = (pin.min, pin.max, &pin.name, &pin.expire_at) == (wish.min, wish.max, &wish.name, &wish.expire_at);
    let Wish { min, max, name, metadata: wished, expire_at, .. } = wish;
    ensure!(is_same && metadata == *wished, "{pin:?} was given {min}/{max} {name:?} {wished:?} {expire_at}");
    let departed: Vec<&String> = pin.allocations.iter().filter(|id| !ids.contains(id)).collect();
    ensure!(departed.is_empty(), "{} is allocated to {departed:?}, who have left", pin.cid);
    let count = i32::try_from(pin.allocations.len())?;
    ensure!(if *min < 0 { count == 0 } else { (*min..=*max).contains(&count) }, "{pin:?} is on {count} peers");
    Ok(())
}

/// The numbers of the peers that are to hold a pin.
fn allocated(pin: &Allocation, ids: &[String]) -> BTreeSet<usize> {
    let is_to_hold = |id: &String| pin.allocations.is_empty() || pin.allocations.contains(id);
    ids.iter().enumerate().filter(|(_, id)| is_to_hold(id)).map(|(number, _)| number).collect()
}

//! Reading the metrics of a proxy, within bounds.
//!
//! | what | bound |
//! |---|---|
//! | pods of a Mesh | [`PODS`] |
//! | answers that are read at once | [`AT_ONCE`] for a Mesh, three times as many in total |
//! | a round | 45 s, after which the remaining pods are left out until the next |
//! | an answer | [`ANSWER`] bytes, lines of [`LINE`] bytes, [`ENDS`] |
//! | all answers of a round | [`ROUND`] bytes |
//! | what is kept | [`KEPT`] in total, less for a namespace |

use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use temporal_stack_common::{
    http::{Bounds, Client, Failure, Method, Path, Server},
    quota::{Quota, Share},
};
use tokio::time::{Instant, timeout_at};

use super::{
    sample::{Collector, Sample},
    subject::{Names, Target},
};

/// The most pods of a Mesh whose metrics are read.
pub(super) const PODS: usize = 200;
/// How many answers are read at the same time for a Mesh.
pub(super) const AT_ONCE: usize = 4;
/// The most bytes of a line: those of proxies have up to 600.
pub(super) const LINE: usize = 4 << 10;
/// The most bytes of an answer: those of proxies have up to half a megabyte.
pub(super) const ANSWER: usize = 6 << 20;
/// The most bytes that a round reads.
pub(super) const ROUND: usize = 640 << 20;
/// The time until an answer begins, and until it ends.
const BEGINS: Duration = Duration::from_secs(5);
const ENDS: Duration = Duration::from_secs(15);
/// How long an answer waits until others have been read.
const WAITS: Duration = Duration::from_secs(20);
/// The places for answers that are read at the same time.
static PLACES: Quota = Quota::new(AT_ONCE * 3, AT_ONCE);
/// The bytes that all samples hold between rounds.
static KEPT: Quota = Quota::new(16 << 20, 6 << 20);

/// Why a pod has no sample.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The proxy gives no usable answer.
    #[error(transparent)]
    Read(#[from] Failure),
    /// Other pods take all places.
    #[error("too many other proxies are being read; retried in the next round")]
    Busy,
    /// The namespace or all of them hold too many series.
    #[error(
        "the samples of other pods take all memory for them; have fewer pods in a namespace, or read them with Prometheus"
    )]
    Full,
    /// The round takes too long.
    #[error("the other proxies answer too slowly to read this one in the same round; check the load of their nodes")]
    Late,
    /// The round has read too much.
    #[error("the metrics of the other pods are too large to read this one in the same round")]
    Spent,
}

/// The sample of a pod, and its part of the budget.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sample: Sample,
    /// When it was read.
    pub(super) at: Instant,
    _share: Share,
}

/// What reading an answer has cost and given.
#[derive(Debug)]
pub(super) struct Scraped {
    pub(super) sample: Sample,
    pub(super) at: Instant,
    pub(super) bytes: usize,
}

/// Reads the metrics of a pod: at most so many bytes, and not after this time.
pub(super) async fn scrape(
    client: &Client,
    target: &Target,
    names: &Names,
    most: usize,
    until: Instant,
) -> Result<Scraped, Error> {
    let mut place = PLACES.share();
    if !place.extend_until(1, until.min(Instant::now() + WAITS)).await {
        return Err(Error::Busy);
    }
    timeout_at(until, read(client, target, names, most)).await.unwrap_or(Err(Error::Late))
}

async fn read(client: &Client, target: &Target, names: &Names, most: usize) -> Result<Scraped, Error> {
    if most == 0 {
        return Err(Error::Spent);
    }
    let all = most.min(ANSWER);
    let server = Server::new(&target.address.ip().to_string(), target.address.port());
    let request = server.request(Method::GET, &Path::fixed("metrics"), ENDS, all)?;
    // Metrics have no trailer.
    let bounds = Bounds { begins_within: BEGINS, ends_within: ENDS, line: LINE, all, trailer: "" };
    let at = Instant::now();
    let lines = client.lines(request, bounds).await?.into_stream();
    pin_mut!(lines);
    let mut collector = Collector::new(&target.component, names);
    let mut bytes = 0;
    while let Some(line) = lines.next().await {
        let line = line?;
        bytes += line.len() + 1;
        collector.read(&line);
    }
    Ok(Scraped { sample: collector.finish(), at, bytes })
}

impl Scraped {
    /// Keeps it until the next round, if there is room.
    pub(super) fn keep(self) -> Result<Kept, Error> {
        let mut share = KEPT.share();
        if !share.extend(self.sample.size()) {
            return Err(Error::Full);
        }
        Ok(Kept { sample: self.sample, at: self.at, _share: share })
    }
}

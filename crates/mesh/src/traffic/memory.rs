//! The samples of a Mesh between rounds, and the round that makes a report of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use temporal_stack_common::{failure::chain, http::Client};
use tokio::{sync::Mutex, time::Instant};

use super::{
    class::Class,
    edge::edges,
    leaf::Leaf,
    metrics::{Metrics, Published},
    report::{Report, Unread},
    scrape::{AT_ONCE, Error, Kept, PODS, ROUND, Scraped, scrape},
    subject::{Ends, Link, Names, Party, Target},
    window::Sums,
};

/// The time between two rounds, and between the first two: rates need two.
const INTERVAL: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_secs(15);
/// How long a round takes at most.
const ENDS: Duration = Duration::from_secs(45);
/// After how many rounds in a row without its metrics a pod is reported.
const UNREAD: u32 = 3;

/// What a Mesh remembers of the proxies of its pods.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

impl Memory {
    /// The bytes that its samples hold.
    #[cfg(test)]
    pub(super) async fn size(&self) -> usize {
        self.0.lock().await.kept.values().map(|kept| kept.sample.size()).sum()
    }
}

#[derive(Debug, Default)]
struct State {
    /// The last sample of each pod, by its UID.
    kept: BTreeMap<String, Kept>,
    /// How often in a row a pod could not be read, by its UID.
    failed: BTreeMap<String, u32>,
    classes: BTreeMap<Ends, Class>,
    round: Option<Instant>,
    report: Arc<Report>,
    /// The metrics of the last report; gone with this memory.
    published: Option<Published>,
}

/// Reads the metrics of proxies for all Meshes; clones share client and metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scraper {
    client: Client,
    metrics: Metrics,
}

impl Scraper {
    /// Adds the metrics of the traffic to `registry`.
    pub(crate) fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
    }

    /// The traffic of these pods: from their metrics if the last round is long enough ago, else as in that round. `mesh` has
    /// namespace and name of the Mesh.
    pub(crate) async fn refresh(
        &self,
        memory: &Memory,
        mesh: (&str, &str),
        targets: &[Target],
        names: &Names,
    ) -> Arc<Report> {
        let mut state = memory.0.lock().await;
        let interval = if state.report.is_first && state.report.read > 0 { FIRST } else { INTERVAL };
        if state.round.is_none_or(|round| round.elapsed() >= interval) {
            state.round = Some(Instant::now());
            let report = self.round(&mut state, targets, names).await;
            state.report = Arc::new(report);
            let (metrics, edges) = (&self.metrics, state.report.edges.clone());
            state.published.get_or_insert_with(|| metrics.published(mesh)).replace(edges);
        }
        state.report.clone()
    }

    async fn round(&self, state: &mut State, targets: &[Target], names: &Names) -> Report {
        let mut targets: Vec<&Target> = targets.iter().take(PODS).collect();
        state.keep_only(&targets);
        // Pods that do not answer take the time of none that does.
        targets.sort_by_key(|target| state.failed.get(&target.uid).copied().unwrap_or_default());
        let until = Instant::now() + ENDS;
        let (mut sums, mut read, mut is_first, mut left) = (Sums::default(), 0, true, ROUND);
        let mut unread = Vec::new();
        // In groups, so that what they may read together is known before they begin.
        for group in targets.chunks(AT_ONCE) {
            let most = left / group.len();
            let scrapes = group.iter().map(|target| scrape(&self.client, target, names, most, until));
            let scraped = join_all(scrapes.collect::<Vec<_>>()).await;
            for (target, scraped) in group.iter().zip(scraped) {
                self.metrics.count(scraped.as_ref().map(|scraped| scraped.bytes).ok());
                let added = match scraped {
                    Ok(scraped) => {
                        left = left.saturating_sub(scraped.bytes);
                        is_first &= !state.kept.contains_key(&target.uid);
                        state.add(target, scraped, &mut sums)
                    }
                    Err(error) => Err(error),
                };
                read += usize::from(added.is_ok());
                unread.extend(added.err().map(|error| state.fail(target, &error)));
            }
        }
        unread.retain(|unread: &Unread| unread.rounds >= UNREAD || read == 0);
        let leaves = state.leaves(&targets);
        let report =
            Report { is_first, is_cut: sums.is_cut, read, targets: targets.len(), unread, leaves, ..Report::default() };
        state.concluded(names, &sums, report)
    }
}

impl State {
    /// Forgets other pods.
    fn keep_only(&mut self, targets: &[&Target]) {
        let uids: BTreeSet<&str> = targets.iter().map(|target| target.uid.as_str()).collect();
        self.kept.retain(|uid, _| uids.contains(uid.as_str()));
        self.failed.retain(|uid, _| uids.contains(uid.as_str()));
    }

    /// Adds what happened since the last sample of a pod, and keeps the new one in its place.
    fn add(&mut self, target: &Target, scraped: Scraped, sums: &mut Sums) -> Result<(), Error> {
        let before = self.kept.remove(&target.uid);
        let age = |kept: &Kept| scraped.at.duration_since(kept.at);
        sums.add(before.as_ref().map(|kept| (&kept.sample, age(kept))), &scraped.sample);
        // Its part of the budget first.
        drop(before);
        self.kept.insert(target.uid.clone(), scraped.keep()?);
        self.failed.remove(&target.uid);
        Ok(())
    }

    /// The certificates of these pods, as they were read last.
    fn leaves(&self, targets: &[&Target]) -> Vec<(String, Leaf)> {
        let mut leaves: Vec<(String, Leaf)> = targets
            .iter()
            .filter_map(|target| Some((target.name.clone(), self.kept.get(&target.uid)?.sample.leaf)))
            .collect();
        leaves.sort_by(|one, other| one.0.cmp(&other.0));
        leaves
    }

    fn fail(&mut self, target: &Target, error: &Error) -> Unread {
        let rounds = self.failed.entry(target.uid.clone()).or_default();
        *rounds = rounds.saturating_add(1);
        Unread { pod: target.name.clone(), cause: chain(error), rounds: *rounds }
    }

    /// The report with edges and links.
    fn concluded(&mut self, names: &Names, sums: &Sums, report: Report) -> Report {
        let ends = |link: &Link| Ends {
            client: names.client(&link.client),
            server: Party::Component(link.component.clone()),
            port: link.port,
        };
        let links = sums.links.iter().map(|(link, flow)| (link.clone(), whole(flow.amount))).collect();
        if report.is_first {
            // Edges have no figures yet.
            return Report { links, ..report };
        }
        let mut edges = edges(sums, ends);
        let all: BTreeSet<&Ends> = edges.iter().map(|edge| &edge.ends).collect();
        self.classes.retain(|ends, _| all.contains(ends));
        for edge in &mut edges {
            let class = self.classes.entry(edge.ends.clone()).and_modify(|class| class.follow(&edge.figures));
            edge.class = class.or_insert_with(|| Class::first(&edge.figures)).shown();
        }
        Report { edges, links, ..report }
    }
}

/// A count as an integer; counters of proxies count in ones, and are bounded where they are read.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2⁵³ times the number of pods"
)]
fn whole(amount: f64) -> u64 {
    amount.round() as u64
}

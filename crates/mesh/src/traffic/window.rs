//! What happened between two samples, summed over pods.
//!
//! * Counters count differences. A counter that is smaller than before was reset, and counts from zero.
//! * A proxy drops series that are idle, and starts them again at zero: a series that was absent before counts from zero, too,
//!   unless the sample before was incomplete.
//! * Each pod has its own window, by its UID. In its first sample only judgements count: they are what was observed since its proxy
//!   started.

use std::{collections::BTreeMap, time::Duration};

use super::{
    labels::Outcome,
    latency::Buckets,
    sample::{Measure, Point, Sample, Subject},
    subject::{Ends, Link},
};

/// The most edges and connections of a report.
pub(super) const EDGES: usize = 128;
pub(super) const CONNECTIONS: usize = 1024;
/// Two samples that are further apart give no rates: what happened may be long ago.
const LONGEST: Duration = Duration::from_secs(900);
const SHORTEST: Duration = Duration::from_secs(1);

/// A sum over the windows of all pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum {
    /// Whether there are answers at all, in this window or before.
    pub(super) speaks_http: bool,
    /// Answers by how they ended.
    pub(super) successes: Flow,
    pub(super) failures: Flow,
    pub(super) denials: Flow,
    /// Of all answers, those over mutual TLS.
    pub(super) secure_answers: f64,
    pub(super) buckets: Buckets,
    pub(super) sent: Flow,
    pub(super) received: Flow,
    /// Of all bytes, those over mutual TLS.
    pub(super) secure_bytes: f64,
    pub(super) opened: Flow,
    pub(super) closed: f64,
    /// Of the closed connections, those that ended with an error.
    pub(super) broken: f64,
    /// Connections that are open now.
    pub(super) open: f64,
    /// The fewest ready endpoints that a client has, and the most that it waits for.
    pub(super) ready: Option<f64>,
    pub(super) pending: Option<f64>,
}

/// An amount, and the rate at which it came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) amount: f64,
    /// Per second.
    pub(super) rate: f64,
}

/// The sums of all edges and links.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) edges: BTreeMap<Ends, Sum>,
    pub(super) links: BTreeMap<Link, Flow>,
    /// Whether there were more.
    pub(super) is_cut: bool,
}

impl Flow {
    fn add(&mut self, amount: f64, seconds: f64) {
        self.amount += amount;
        self.rate += amount / seconds;
    }
}

impl Sums {
    /// Adds what happened in a pod since its sample `before`, which is so much older.
    pub(super) fn add(&mut self, before: Option<(&Sample, Duration)>, after: &Sample) {
        let seconds = before.map(|(_, age)| age).filter(|age| (SHORTEST..=LONGEST).contains(age));
        let seconds = seconds.map(|age| age.as_secs_f64());
        let previous: &[Point] = before.map_or(&[], |(sample, _)| &sample.points);
        let is_new_counted = before.is_none_or(|(sample, _)| sample.is_complete);
        // A state of the balancer is of this pod alone; the others' are compared with it, not added.
        let mut endpoints: BTreeMap<u16, [f64; 2]> = BTreeMap::new();
        let mut place = 0;
        for point in &after.points {
            while previous.get(place).is_some_and(|old| old.series < point.series) {
                place += 1;
            }
            let old = previous.get(place).filter(|old| old.series == point.series);
            let amount = match old {
                _ if !point.measure.is_counter() => point.value,
                Some(old) if point.value >= old.value => point.value - old.value,
                Some(_) => point.value,
                None if is_new_counted => point.value,
                None => 0.0,
            };
            match after.subjects.get(usize::from(point.subject)) {
                Some(Subject::Link(link)) => self.add_link(link, amount, seconds),
                Some(Subject::Edge(ends)) => {
                    if let Measure::Endpoints(is_ready) = point.measure {
                        endpoints.entry(point.subject).or_default()[usize::from(is_ready)] += amount;
                    }
                    if let Some(sum) = self.edge(ends) {
                        sum.add(point.measure, amount, seconds);
                    }
                }
                None => {}
            }
        }
        for (subject, [pending, ready]) in endpoints {
            if let Some(Subject::Edge(ends)) = after.subjects.get(usize::from(subject))
                && let Some(sum) = self.edge(ends)
            {
                sum.ready = Some(sum.ready.map_or(ready, |least| least.min(ready)));
                sum.pending = Some(sum.pending.map_or(pending, |most| most.max(pending)));
            }
        }
    }

    fn edge(&mut self, ends: &Ends) -> Option<&mut Sum> {
        if self.edges.len() >= EDGES && !self.edges.contains_key(ends) {
            self.is_cut = true;
            return None;
        }
        Some(self.edges.entry(ends.clone()).or_default())
    }

    fn add_link(&mut self, link: &Link, amount: f64, seconds: Option<f64>) {
        if self.links.len() >= CONNECTIONS && !self.links.contains_key(link) {
            self.is_cut = true;
            return;
        }
        let flow = self.links.entry(link.clone()).or_default();
        match seconds {
            Some(seconds) => flow.add(amount, seconds),
            None => flow.amount += amount,
        }
    }
}

impl Sum {
    fn add(&mut self, measure: Measure, amount: f64, seconds: Option<f64>) {
        self.speaks_http |= matches!(measure, Measure::Answers(..));
        if measure == Measure::Open {
            self.open += amount;
        }
        let Some(seconds) = seconds else { return };
        match measure {
            Measure::Answers(outcome, is_secure) => {
                let flow = match outcome {
                    Outcome::Success => &mut self.successes,
                    Outcome::Failure => &mut self.failures,
                    Outcome::Denial => &mut self.denials,
                };
                flow.add(amount, seconds);
                self.secure_answers += if is_secure { amount } else { 0.0 };
            }
            Measure::Bucket(bucket) => self.buckets.add(bucket, amount),
            Measure::Sent(is_secure) | Measure::Received(is_secure) => {
                let is_sent = matches!(measure, Measure::Sent(_));
                let flow = if is_sent { &mut self.sent } else { &mut self.received };
                flow.add(amount, seconds);
                self.secure_bytes += if is_secure { amount } else { 0.0 };
            }
            Measure::Opened => self.opened.add(amount, seconds),
            Measure::Closed(is_broken) => {
                self.closed += amount;
                self.broken += if is_broken { amount } else { 0.0 };
            }
            Measure::Open | Measure::Endpoints(_) | Measure::Judged => {}
        }
    }
}

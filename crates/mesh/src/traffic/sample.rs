//! What is kept of one answer of a proxy: a number for each series that counts, under what it measures.
//!
//! # Bounds
//!
//! An answer is read line by line, and a line is dropped before the next one is read. Kept are at most [`POINTS`] series of 32
//! bytes, and [`SUBJECTS`] ends and rules, whose names have at most [`NAMES`] bytes together. Beyond that a sample is incomplete:
//! nothing of it is wrong, but a series that appears later may be old.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

use super::{
    labels::{Labels, Metric, Outcome},
    leaf::Leaf,
    subject::{Client, Component, Ends, Link, Names, Party, Rule},
    text::{self, Line},
};

/// The most series of a pod. A pod that calls 32 peers on two ports with three kinds of answers has 5,000 buckets.
pub(super) const POINTS: usize = 8192;
/// The most ends and rules of a pod.
pub(super) const SUBJECTS: usize = 256;
/// The most bytes of their names.
const NAMES: usize = 64 << 10;
/// The longest name in a label, as in Kubernetes; an identity of a ServiceAccount has two of them, and the trust domain.
const LONGEST: usize = 512;
/// The ports of the proxy itself, and the route of the kubelet's probes.
const ADMIN: [u16; 2] = [4190, 4191];
const PROBE: &str = "probe";
/// The upper bounds of the buckets of `response_latency_ms`, but the last, in milliseconds.
pub(super) const BOUNDS: [f64; 25] = [
    1., 2., 3., 4., 5., 10., 20., 30., 40., 50., 100., 200., 300., 400., 500., 1000., 2000., 3000., 4000., 5000.,
    10_000., 20_000., 30_000., 40_000., 50_000.,
];

/// The seed of the hashes of series, of this process: nobody can write two series with one hash.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What a series measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Answered requests, and whether over mutual TLS.
    Answers(Outcome, bool),
    /// Answers within the bound of this number, or all.
    Bucket(u8),
    /// Bytes to the server, and whether over mutual TLS.
    Sent(bool),
    /// Bytes from the server, and whether over mutual TLS.
    Received(bool),
    /// Opened connections.
    Opened,
    /// Closed connections, and whether by an error.
    Closed(bool),
    /// Connections that are open: a state, no counter.
    Open,
    /// Endpoints of the balancer, and whether they are ready: a state, no counter.
    Endpoints(bool),
    /// Connections or requests that the policy judged.
    Judged,
}

impl Measure {
    /// Whether its values only grow.
    pub(super) fn is_counter(self) -> bool {
        !matches!(self, Self::Open | Self::Endpoints(_))
    }
}

/// What a series is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// Traffic.
    Edge(Ends),
    /// Judgements.
    Link(Link),
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// The hash of name and labels.
    pub(super) series: u64,
    /// The number of the subject.
    pub(super) subject: u16,
    pub(super) measure: Measure,
    pub(super) value: f64,
}

/// What is kept of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Values in the order of their series.
    pub(super) points: Vec<Point>,
    pub(super) subjects: Vec<Subject>,
    /// Whether everything that counts was kept.
    pub(super) is_complete: bool,
    /// The certificate of the proxy.
    pub(super) leaf: Leaf,
}

impl Sample {
    /// The memory that it holds, in bytes.
    pub(super) fn size(&self) -> usize {
        let names: usize = self.subjects.iter().map(Subject::size).sum();
        self.points.capacity() * size_of::<Point>() + self.subjects.capacity() * size_of::<Subject>() + names
    }
}

impl Subject {
    fn size(&self) -> usize {
        let Self::Link(link) = self else { return 0 };
        let client = match &link.client {
            Client::Identity(text) | Client::Unmeshed(text) => text.capacity(),
        };
        let rule = |rule: &Rule| rule.kind.capacity() + rule.name.capacity();
        client + rule(&link.server) + link.authorization.as_ref().map_or(0, rule)
    }
}

/// Collects a sample from the lines of one pod.
pub(super) struct Collector<'a> {
    component: &'a Component,
    names: &'a Names,
    sample: Sample,
    numbers: HashMap<Subject, u16>,
    /// The bytes of the names of all subjects.
    length: usize,
}

impl<'a> Collector<'a> {
    /// A collector for a pod of this component.
    pub(super) fn new(component: &'a Component, names: &'a Names) -> Self {
        let sample = Sample { is_complete: true, ..Sample::default() };
        Self { component, names, sample, numbers: HashMap::new(), length: 0 }
    }

    /// Keeps what counts of a line; `false` if it is malformed.
    pub(super) fn read(&mut self, line: &[u8]) -> bool {
        let name = text::name(line);
        if self.sample.leaf.read(name, line).is_some() {
            return true;
        }
        let Some(metric) = Metric::of(name) else { return true };
        let (series, value) = match text::parse(line) {
            Line::Value(series, value) => (series, value),
            Line::Nothing => return true,
            Line::Garbage => return false,
        };
        let Some(value) = text::believed(value) else { return false };
        let labels = Labels::of(series);
        if labels.longest > LONGEST {
            return false;
        }
        if let Some((subject, measure)) = self.meaning(metric, &labels) {
            self.keep(SEED.hash_one(series.text), subject, measure, value);
        }
        true
    }

    /// What was collected.
    pub(super) fn finish(mut self) -> Sample {
        // Of a series that was written twice, one value counts.
        self.sample.points.sort_unstable_by_key(|point| point.series);
        self.sample.points.dedup_by_key(|point| point.series);
        self.sample.points.shrink_to_fit();
        self.sample.subjects.shrink_to_fit();
        self.sample
    }

    fn keep(&mut self, series: u64, subject: Subject, measure: Measure, value: f64) {
        let number = self.numbers.get(&subject).copied().or_else(|| self.number(subject));
        match number {
            Some(subject) if self.sample.points.len() < POINTS => {
                self.sample.points.push(Point { series, subject, measure, value });
            }
            _ => self.sample.is_complete = false,
        }
    }

    /// The number of a new subject, if there is room for it.
    fn number(&mut self, subject: Subject) -> Option<u16> {
        let (next, length) = (self.sample.subjects.len(), self.length + subject.size());
        if next >= SUBJECTS || length > NAMES {
            return None;
        }
        let number = u16::try_from(next).ok()?;
        self.length = length;
        self.sample.subjects.push(subject.clone());
        self.numbers.insert(subject, number);
        Some(number)
    }

    /// What a series is about and measures; `None` if it does not count.
    fn meaning(&self, metric: Metric, labels: &Labels<'_>) -> Option<(Subject, Measure)> {
        if labels.route_name == PROBE || ADMIN.contains(&labels.port()?) {
            return None;
        }
        if let Metric::Judged { is_allowed } = metric {
            return self.link(labels, is_allowed).map(|link| (Subject::Link(link), Measure::Judged));
        }
        let is_inbound = match metric {
            Metric::Endpoints => false,
            _ => labels.is_inbound()?,
        };
        let ends = if is_inbound { self.inbound(labels)? } else { self.outbound(labels)? };
        Some((Subject::Edge(ends), measure(metric, labels, is_inbound)?))
    }

    /// The ends of an outbound series: the proxy's side towards the server.
    fn outbound(&self, labels: &Labels<'_>) -> Option<Ends> {
        // The other side of the proxy is the connection from the pod's own program.
        if labels.peer == "src" {
            return None;
        }
        let (namespace, service, workload) = labels.destination();
        let server = self.names.server(namespace, service, workload);
        Some(Ends { client: Party::Component(self.component.clone()), server, port: labels.port()? })
    }

    /// The ends of an inbound series, unless the client's own proxy has counted it.
    fn inbound(&self, labels: &Labels<'_>) -> Option<Ends> {
        if labels.peer == "dst" {
            return None;
        }
        let client = self.names.client(&labels.client()?);
        let server = Party::Component(self.component.clone());
        (!client.is_component()).then_some(Ends { client, server, port: labels.port()? })
    }

    fn link(&self, labels: &Labels<'_>, is_allowed: bool) -> Option<Link> {
        let authorization = is_allowed.then(|| rule(labels.authz_kind, labels.authz_name));
        let server = rule(labels.srv_kind, labels.srv_name);
        let (component, port) = (self.component.clone(), labels.port()?);
        Some(Link { component, port, server, client: labels.client()?, authorization })
    }
}

fn rule(kind: &str, name: &str) -> Rule {
    Rule { kind: kind.to_owned(), name: name.to_owned() }
}

fn measure(metric: Metric, labels: &Labels<'_>, is_inbound: bool) -> Option<Measure> {
    let is_secure = labels.tls == "true";
    Some(match metric {
        Metric::Answers => Measure::Answers(labels.outcome(), is_secure),
        // How quickly a proxy refuses says nothing about the server.
        Metric::Latency if labels.outcome() == Outcome::Denial => return None,
        Metric::Latency => Measure::Bucket(bucket(labels.le)?),
        Metric::Written if is_inbound => Measure::Received(is_secure),
        Metric::Read if is_inbound => Measure::Sent(is_secure),
        Metric::Written => Measure::Sent(is_secure),
        Metric::Read => Measure::Received(is_secure),
        Metric::Opened => Measure::Opened,
        Metric::Closed => Measure::Closed(!labels.errno.is_empty()),
        Metric::Open => Measure::Open,
        Metric::Endpoints => Measure::Endpoints(labels.endpoint_state == "ready"),
        Metric::Judged { .. } => Measure::Judged,
    })
}

/// The number of the bucket with this bound.
fn bucket(le: &str) -> Option<u8> {
    let bound: f64 = le.parse().ok()?;
    let mut bounds = BOUNDS.iter().chain([&f64::INFINITY]);
    u8::try_from(bounds.position(|known| known.to_bits() == bound.to_bits())?).ok()
}

const _: () = assert!(size_of::<Point>() <= 32 && SUBJECTS <= u16::MAX as usize);

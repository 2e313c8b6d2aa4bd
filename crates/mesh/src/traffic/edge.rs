//! The figures of an edge, as they are shown.

use std::collections::BTreeMap;

use temporal_stack_common::api::TrafficClass;

use super::{
    latency::Percentiles,
    subject::{Ends, Link},
    window::{EDGES, Sum, Sums},
};

/// What is spoken on an edge, as its proxies understand it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP or gRPC.
    Http,
    /// Anything else: connections and bytes.
    Tcp,
}

/// The traffic of an edge in the last window, summed over pods. A ratio without anything to divide is absent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Answered requests per second; of TCP, opened connections.
    pub(crate) requests: f64,
    /// Of all answers, those that are neither an error of the server or a proxy nor a refusal by policy; of TCP, of all closed
    /// connections those without an error.
    pub(crate) successes: Option<f64>,
    /// Latency of answers that the policy did not refuse, to their first byte, in seconds.
    pub(crate) latency: Option<Percentiles>,
    /// Bytes per second to the server.
    pub(crate) sent: f64,
    /// Bytes per second from the server.
    pub(crate) received: f64,
    /// Of all requests those over mutual TLS; of TCP, of all bytes.
    pub(crate) secure: Option<f64>,
    /// Requests and connections per second that the policy refused.
    pub(crate) denials: f64,
    /// Open connections.
    pub(crate) connections: f64,
    /// Ready and pending endpoints of the balancer, of the client that has the fewest.
    pub(crate) endpoints: Option<(f64, f64)>,
    /// Of all answers or closed connections, those that failed, and how many there were of both.
    pub(super) failures: Option<f64>,
    pub(super) evidence: f64,
}

/// Who speaks with whom, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    /// The ends.
    pub(crate) ends: Ends,
    /// The figures of the last window.
    pub(crate) figures: Figures,
    /// The class, which changes only when the figures have changed for a while.
    pub(crate) class: TrafficClass,
}

/// All edges of the sums. The client's proxy sees a refusal as a status, the server's as a denial, so the larger of both counts.
pub(super) fn edges(sums: &Sums, client: impl Fn(&Link) -> Ends) -> Vec<Edge> {
    let edge = |ends, figures| Edge { ends, figures, class: TrafficClass::default() };
    let mut edges: Vec<Edge> = sums.edges.iter().map(|(ends, sum)| edge(ends.clone(), figures(sum))).collect();
    let mut denials = BTreeMap::<Ends, f64>::new();
    for (link, flow) in sums.links.iter().filter(|(link, _)| link.authorization.is_none()) {
        *denials.entry(client(link)).or_default() += flow.rate;
    }
    for (ends, rate) in denials {
        match edges.iter().position(|edge| edge.ends == ends) {
            Some(place) => edges[place].figures.denials = edges[place].figures.denials.max(rate),
            None if edges.len() < EDGES => {
                edges.push(edge(ends, Figures { denials: rate, ..figures(&Sum::default()) }));
            }
            None => {}
        }
    }
    edges
}

fn figures(sum: &Sum) -> Figures {
    let answers = sum.successes.amount + sum.failures.amount + sum.denials.amount;
    let bytes = sum.sent.amount + sum.received.amount;
    let is_http = sum.speaks_http;
    let tried = sum.successes.amount + sum.failures.amount;
    let of = |part: f64, all: f64| (all > 0.0).then(|| (part / all).clamp(0.0, 1.0));
    Figures {
        protocol: if is_http { Protocol::Http } else { Protocol::Tcp },
        requests: if is_http { sum.successes.rate + sum.failures.rate + sum.denials.rate } else { sum.opened.rate },
        successes: if is_http { of(sum.successes.amount, answers) } else { of(sum.closed - sum.broken, sum.closed) },
        latency: sum.buckets.percentiles(),
        sent: sum.sent.rate,
        received: sum.received.rate,
        secure: if is_http { of(sum.secure_answers, answers) } else { of(sum.secure_bytes, bytes) },
        denials: sum.denials.rate,
        connections: sum.open,
        endpoints: sum.ready.zip(sum.pending),
        failures: if is_http { of(sum.failures.amount, tried) } else { of(sum.broken, sum.closed) },
        evidence: if is_http { tried } else { sum.closed },
    }
}

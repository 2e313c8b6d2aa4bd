//! The metrics that were recorded from real proxies.

use super::*;
use crate::traffic::{
    Client,
    edge::{Protocol, edges},
    sample::{Measure, Subject},
    subject::Link,
};

/// What happened in a minute in which the proxy had started.
fn since_start(component: &Component, text: &str) -> Sums {
    let mut sums = Sums::default();
    sums.add(Some((&nothing(), MINUTE)), &sample(component, text));
    sums
}

fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
}

#[test]
fn calls_of_temporal_to_ipfs_are_an_edge() {
    let sums = since_start(&temporal(), API);
    let sum = sum(&sums, Party::Component(temporal()), &ipfs(), 5001);
    close(sum.successes.amount, 52.0);
    // Linkerd counts the refusals by policy as successes.
    close(sum.denials.amount, 68.0);
    close(sum.failures.amount, 0.0);
    close(sum.secure_answers, 120.0);
    close(sum.successes.rate, 52.0 / 60.0);
    assert_eq!((sum.ready, sum.pending), (Some(2.0), Some(0.0)));
    let latency = sum.buckets.percentiles().unwrap();
    assert!(latency.p50 > 0.0 && latency.p50 <= latency.p95 && latency.p95 <= latency.p99, "{latency:?}");
}

#[test]
fn database_and_queue_are_edges_of_connections() {
    let sums = since_start(&temporal(), API);
    let database_sum = sum(&sums, Party::Component(temporal()), &database(), 5432);
    close(database_sum.sent.amount, 50_811.0);
    close(database_sum.received.amount, 151_966.0);
    close(database_sum.secure_bytes, 50_811.0 + 151_966.0);
    assert!(!database_sum.speaks_http);
    let queue_sum = sum(&sums, Party::Component(temporal()), &queue(), 5672);
    close(queue_sum.open, 9.0);
    let edges = edges(&sums, |_| unreachable!("nobody calls the database's port of Temporal"));
    let database_edge = edges.iter().find(|edge| edge.ends.port == 5432).unwrap();
    assert_eq!((database_edge.figures.protocol, database_edge.figures.secure), (Protocol::Tcp, Some(1.0)));
}

#[test]
fn nodes_of_the_queue_are_an_edge_to_themselves() {
    let sums = since_start(&queue(), QUEUE);
    for port in [4369, 25672] {
        assert!(sum(&sums, Party::Component(queue()), &queue(), port).opened.amount > 0.0, "{port}");
    }
}

#[test]
fn probes_and_metrics_of_proxies_are_left_out() {
    for (component, text) in [(temporal(), API), (ipfs(), IPFS), (queue(), QUEUE)] {
        let sample = sample(&component, text);
        assert!(sample.is_complete && !sample.points.is_empty());
        for subject in &sample.subjects {
            let port = match subject {
                Subject::Edge(ends) => ends.port,
                Subject::Link(link) => {
                    assert!(link.authorization.as_ref().is_none_or(|rule| rule.name != "probe"), "{link:?}");
                    link.port
                }
            };
            assert!(![4190, 4191].contains(&port), "{subject:?}");
        }
    }
    // 26 of the 43 requests to the API are not probes.
    let sums = since_start(&temporal(), API);
    close(sum(&sums, Party::Unmeshed, &temporal(), 6767).successes.amount, 26.0);
}

#[test]
fn judgements_name_server_client_and_authorization() {
    let sums = since_start(&ipfs(), IPFS);
    let seen: Vec<String> = sums
        .links
        .iter()
        .filter(|(link, _)| link.port == 5001)
        .map(|(link, flow)| {
            let client = match &link.client {
                Client::Identity(identity) => identity.split_once(".serviceaccount").unwrap().0.to_owned(),
                Client::Unmeshed(reason) => reason.clone(),
            };
            let by = link.authorization.as_ref().map_or("denied", |rule| rule.name.as_str());
            format!("{} {client} {by} {}", link.server.name, flow.amount)
        })
        .collect();
    let mut seen = seen;
    seen.sort_unstable();
    let expected = [
        "all-unauthenticated default.mesh all-unauthenticated 6",
        "all-unauthenticated no_tls_from_remote all-unauthenticated 27",
        "ipfs-rpc default.mesh ipfs-rpc-from-temporal 8",
        "ipfs-rpc default.outside denied 1",
        "ipfs-rpc no_tls_from_remote ipfs-rpc-from-controllers 14",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn denials_of_the_server_are_an_edge_of_the_client() {
    let sums = since_start(&queue(), QUEUE);
    let names = names();
    let of = |link: &Link| Ends {
        client: names.client(&link.client),
        server: Party::Component(link.component.clone()),
        port: link.port,
    };
    let edges = edges(&sums, of);
    let denials = |client: Party| {
        let wanted = ends(client, &queue(), 5672);
        edges.iter().find(|edge| edge.ends == wanted).unwrap().figures.denials * 60.0
    };
    close(denials(Party::Component(temporal())), 3.0);
    close(denials(Party::Unmeshed), 60.0);
    // Two denied, four cut off, of an account that is of no component.
    close(denials(Party::Other), 6.0);
}

#[test]
fn series_of_a_proxy_are_reduced_to_numbers() {
    let sample = sample(&temporal(), API);
    assert!(sample.size() < API.len() / 4, "{} of {}", sample.size(), API.len());
    assert!(sample.points.windows(2).all(|pair| pair[0].series < pair[1].series));
    assert!(sample.points.iter().any(|point| matches!(point.measure, Measure::Bucket(_))));
}

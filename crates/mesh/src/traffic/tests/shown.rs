//! What the status and the condition show of a report.

use temporal_stack_common::{
    api::TrafficClass,
    condition::{Statement, dated},
};

use super::*;
use crate::traffic::{
    edge::{Edge, edges},
    report::{Report, Unread},
    statement,
    window::Flow,
};

/// An edge of this class.
fn edge(client: Party, server: &Component, port: u16, class: TrafficClass) -> Edge {
    let ends = ends(client, server, port);
    let mut sums = Sums::default();
    sums.edges.insert(ends, Sum { speaks_http: true, successes: Flow { amount: 60.0, rate: 1.0 }, ..Sum::default() });
    let edge = edges(&sums, |_| unreachable!("nothing was denied")).remove(0);
    Edge { class, ..edge }
}

fn report(edges: Vec<Edge>) -> Report {
    Report { edges, is_first: false, read: 2, targets: 2, ..Report::default() }
}

fn to_ipfs(class: TrafficClass) -> Edge {
    edge(Party::Component(temporal()), &ipfs(), 5001, class)
}

/// Status, reason and message of a condition.
fn read(statement: Statement) -> (String, String, String) {
    let condition = dated(vec![statement], &[], None, k8s_openapi::jiff::Timestamp::UNIX_EPOCH).remove(0);
    (condition.status, condition.reason, condition.message)
}

#[test]
fn condition_follows_the_worst_edge_between_components() {
    use TrafficClass::{Denied, Failing, Healthy, Idle, Slow};
    for (classes, expected) in [
        (vec![Idle], ("True", "NoTraffic")),
        (vec![Healthy, Idle], ("True", "AsExpected")),
        (vec![Healthy, Slow], ("False", "CallsSlow")),
        (vec![Slow, Failing, Healthy], ("False", "CallsFailing")),
        (vec![Failing, Denied], ("False", "CallsDenied")),
    ] {
        let report = report(classes.iter().map(|class| to_ipfs(*class)).collect());
        let (status, reason, message) = read(statement(&report));
        assert_eq!((status.as_str(), reason.as_str()), expected, "{message}");
    }
}

#[test]
fn strangers_are_no_matter_of_the_condition() {
    let strangers = [Party::Other, Party::Unmeshed];
    let mut all = vec![to_ipfs(TrafficClass::Healthy)];
    all.extend(strangers.map(|client| edge(client, &ipfs(), 5001, TrafficClass::Denied)));
    assert_eq!(read(statement(&report(all))).1, "AsExpected");
}

#[test]
fn messages_name_edges_and_pods_and_no_figures() {
    let reports = [
        report(vec![to_ipfs(TrafficClass::Failing)]),
        report(vec![to_ipfs(TrafficClass::Denied)]),
        report(vec![to_ipfs(TrafficClass::Slow)]),
        report(vec![to_ipfs(TrafficClass::Healthy)]),
        report(Vec::new()),
        Report { unread: vec![unread("a"), unread("b")], ..report(vec![to_ipfs(TrafficClass::Healthy)]) },
        Report { read: 0, unread: vec![unread("a")], ..report(Vec::new()) },
        Report { is_first: true, ..report(Vec::new()) },
        Report::default(),
    ];
    let messages = reports.map(|report| {
        let (status, reason, message) = read(statement(&report));
        format!("{status} {reason}: {message}")
    });
    insta::assert_snapshot!(messages.join("\n"));
}

fn unread(pod: &str) -> Unread {
    Unread { pod: pod.to_owned(), cause: "10.0.0.1:4191 does not answer: connection refused".to_owned(), rounds: 3 }
}

#[test]
fn status_names_ends_ports_and_classes() {
    let report = report(vec![
        to_ipfs(TrafficClass::Healthy),
        edge(Party::Unmeshed, &temporal(), 6767, TrafficClass::Idle),
        edge(Party::Component(queue()), &queue(), 7, TrafficClass::Slow),
        Edge {
            ends: Ends { server: Party::Other, ..to_ipfs(TrafficClass::Healthy).ends },
            ..to_ipfs(TrafficClass::Healthy)
        },
    ]);
    let shown = report.traffic();
    let shown: Vec<String> = shown
        .iter()
        .map(|edge| format!("{} {} {} {:?}", edge.client, edge.component.kind.as_str(), edge.port, edge.class))
        .collect();
    let expected = [
        "MessageQueue/temporal MessageQueue 7 Slow",
        "Temporal/temporal IpfsCluster rpc Healthy",
        "unmeshed Temporal api Idle",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn status_of_many_edges_has_those_that_matter() {
    let mut all: Vec<Edge> =
        (0..100).map(|port| edge(Party::Unmeshed, &ipfs(), 10_000 + port, TrafficClass::Denied)).collect();
    all.push(to_ipfs(TrafficClass::Failing));
    let shown = report(all).traffic();
    assert_eq!(shown.len(), 64);
    assert!(shown.iter().any(|edge| edge.class == TrafficClass::Failing));
}

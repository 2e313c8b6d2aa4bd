//! Differences between samples.

use proptest::prelude::*;

use super::*;
use crate::traffic::{
    edge::edges,
    labels::METRICS,
    sample::{POINTS, SUBJECTS},
    subject::Link,
    window::{CONNECTIONS, EDGES},
};

const TO_IPFS: &str =
    r#"direction="outbound",target_port="5001",tls="true",dst_namespace="mesh",dst_service="temporal-ipfscluster""#;

/// A line about answered calls to IPFS, with this status.
fn answers(pod: &str, status: &str, count: f64) -> String {
    format!("response_total{{{TO_IPFS},dst_pod=\"{pod}\",status_code=\"{status}\"}} {count}\n")
}

fn to_ipfs(sums: &Sums) -> &Sum {
    sum(sums, Party::Component(temporal()), &ipfs(), 5001)
}

/// How many calls succeeded from one text to another.
fn succeeded(before: &str, after: &str) -> f64 {
    to_ipfs(&between(&temporal(), before, after)).successes.amount
}

#[test]
fn counter_counts_its_difference() {
    assert_eq!(succeeded(&answers("a", "200", 40.0), &answers("a", "200", 100.0)), 60.0);
}

#[test]
fn smaller_counter_counts_from_zero() {
    assert_eq!(succeeded(&answers("a", "200", 40.0), &answers("a", "200", 7.0)), 7.0);
}

#[test]
fn reset_of_one_series_hides_no_other() {
    let before = answers("a", "200", 1000.0) + &answers("b", "200", 50.0);
    let after = answers("a", "200", 5.0) + &answers("b", "200", 60.0);
    assert_eq!(succeeded(&before, &after), 15.0);
}

#[test]
fn idle_series_that_vanished_starts_from_zero() {
    let idle = answers("b", "200", 5.0);
    let first = answers("a", "200", 300.0) + &idle;
    assert_eq!(succeeded(&first, &idle), 0.0, "the pod's other series is gone");
    assert_eq!(succeeded(&idle, &(answers("a", "200", 3.0) + &idle)), 3.0, "it is back");
}

#[test]
fn new_series_after_an_incomplete_sample_counts_nothing() {
    let mut before = sample(&temporal(), &answers("b", "200", 1.0));
    before.is_complete = false;
    let after = sample(&temporal(), &(answers("a", "200", 300.0) + &answers("b", "200", 2.0)));
    let mut sums = Sums::default();
    sums.add(Some((&before, MINUTE)), &after);
    assert_eq!(to_ipfs(&sums).successes.amount, 1.0);
}

#[test]
fn first_sample_of_a_pod_has_no_rates() {
    let link = r#"inbound_tcp_authz_deny_total{target_port="5432",srv_name="s",tls="no_identity",no_tls_reason="port_skipped"} 6"#;
    let mut sums = Sums::default();
    sums.add(None, &sample(&temporal(), &(answers("a", "200", 300.0) + link)));
    assert_eq!(to_ipfs(&sums).successes.amount, 0.0);
    let denied = sums.links.values().next().unwrap();
    assert_eq!((denied.amount, denied.rate), (6.0, 0.0), "it was observed, but not now");
}

#[test]
fn pods_with_windows_of_their_own_add_up() {
    let mut sums = Sums::default();
    for seconds in [30, 60] {
        let before = sample(&temporal(), &answers("a", "200", 0.0));
        let after = sample(&temporal(), &answers("a", "200", 60.0));
        sums.add(Some((&before, Duration::from_secs(seconds))), &after);
    }
    let flow = to_ipfs(&sums).successes;
    assert_eq!((flow.amount, flow.rate), (120.0, 3.0));
}

#[test]
fn outcomes_are_told_apart() {
    let zero = |status: &str| answers("a", status, 0.0);
    let before: String = ["200", "404", "403", "500"].map(zero).concat();
    let after = answers("a", "200", 10.0)
        + &answers("a", "404", 5.0)
        + &answers("a", "403", 3.0)
        + &answers("a", "500", 2.0)
        + &format!("response_total{{{TO_IPFS},status_code=\"200\",classification=\"failure\"}} 1\n")
        + &format!("response_total{{{TO_IPFS},status_code=\"200\",error=\"timeout\"}} 1\n");
    let sums = between(&temporal(), &before, &after);
    let sum = to_ipfs(&sums);
    assert_eq!((sum.successes.amount, sum.denials.amount, sum.failures.amount), (15.0, 3.0, 4.0));
}

#[test]
fn impossible_values_and_duplicates_count_nothing() {
    let names = names();
    let component = temporal();
    let mut collector = Collector::new(&component, &names);
    for line in answers("a", "200", 5.0).repeat(3).lines() {
        assert!(collector.read(line.as_bytes()));
    }
    for value in ["NaN", "+Inf", "-1", "1e300", "x"] {
        let line = answers("b", "200", 0.0).replace("} 0", &format!("}} {value}"));
        assert!(!collector.read(line.trim().as_bytes()), "{line}");
    }
    let long = answers(&"x".repeat(3), "200", 1.0).replace("temporal-ipfscluster", &"x".repeat(4000));
    assert!(!collector.read(long.trim().as_bytes()));
    let sample = collector.finish();
    assert_eq!(sample.points.len(), 1);
}

#[test]
fn names_and_series_of_a_pod_are_bounded() {
    let names = names();
    let component = ipfs();
    let mut collector = Collector::new(&component, &names);
    for number in 0..20_000 {
        let link = format!(
            "inbound_http_authz_deny_total{{target_port=\"5001\",srv_name=\"{number}{}\",client_id=\"{number}\"}} 1",
            "x".repeat(400)
        );
        collector.read(link.as_bytes());
        let series = format!("tcp_open_total{{direction=\"outbound\",target_port=\"{number}\",x=\"{number}\"}} 1");
        collector.read(series.as_bytes());
        let again = format!("tcp_open_total{{direction=\"outbound\",target_port=\"1\",x=\"{number}\"}} 1");
        collector.read(again.as_bytes());
    }
    let sample = collector.finish();
    assert!(!sample.is_complete && sample.points.len() <= POINTS && sample.subjects.len() <= SUBJECTS);
    assert!(sample.size() < 512 << 10, "{} bytes", sample.size());
}

#[test]
fn edges_and_connections_of_a_mesh_are_bounded() {
    let mut sums = Sums::default();
    for pod in 0..20_u16 {
        let lines: Vec<String> = (0..100)
            .map(|number| {
                let port = 5000 + pod * 100 + number;
                format!(
                    "tcp_open_total{{direction=\"outbound\",target_port=\"{port}\"}} 1\n\
                     inbound_http_authz_deny_total{{target_port=\"{port}\",srv_name=\"s\",client_id=\"c\"}} 1\n"
                )
            })
            .collect();
        sums.add(Some((&nothing(), MINUTE)), &sample(&ipfs(), &lines.concat()));
    }
    assert!(sums.is_cut);
    assert_eq!((sums.edges.len(), sums.links.len()), (EDGES, CONNECTIONS));
}

/// Lines that look like those of proxies, with values of all kinds.
fn line() -> impl Strategy<Value = String> {
    let names = prop::sample::select(METRICS.map(|(name, _)| name).to_vec());
    let labels = prop::sample::select(vec![
        "direction=\"outbound\"",
        "direction=\"inbound\"",
        "peer=\"dst\"",
        "peer=\"src\"",
        "tls=\"true\"",
        "target_port=\"5001\"",
        "target_port=\"x\"",
        "client_id=\"a.mesh.serviceaccount.identity.l.c\"",
        "le=\"1\"",
        "le=\"+Inf\"",
        "le=\"NaN\"",
        "status_code=\"403\"",
        "status_code=\"\\\"",
        "endpoint_state=\"ready\"",
        "dst_service=\"temporal-ipfscluster\"",
        "dst_namespace=\"mesh\"",
        "backend_port=\"9094\"",
        "no_tls_reason=\"loopback\"",
    ]);
    let values = prop::sample::select(vec!["0", "1", "17", "1e15", "NaN", "+Inf", "-5", "1e308", "0.5", "", "{"]);
    (names, prop::collection::vec(labels, 0..8), values)
        .prop_map(|(name, labels, value)| format!("{name}{{{}}} {value}", labels.join(",")))
}

proptest! {
    #[test]
    fn any_two_answers_give_finite_figures(
        before in prop::collection::vec(line(), 0..40),
        after in prop::collection::vec(line(), 0..40),
        seconds in 0..2000_u64,
    ) {
        let (names, component) = (names(), ipfs());
        let collected = |lines: &[String]| {
            let mut collector = Collector::new(&component, &names);
            for line in lines { collector.read(line.as_bytes()); }
            collector.finish()
        };
        let (before, after) = (collected(&before), collected(&after));
        let mut sums = Sums::default();
        sums.add(Some((&before, Duration::from_secs(seconds))), &after);
        let of = |link: &Link| ends(names.client(&link.client), &link.component, link.port);
        for edge in edges(&sums, of) {
            let figures = &edge.figures;
            let rates = [figures.requests, figures.sent, figures.received, figures.denials, figures.connections];
            prop_assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0), "{:?}", edge);
            let ratios = [figures.successes, figures.secure, figures.failures];
            prop_assert!(ratios.iter().flatten().all(|ratio| (0.0..=1.0).contains(ratio)), "{:?}", edge);
            if let Some(latency) = figures.latency {
                prop_assert!(0.0 <= latency.p50 && latency.p50 <= latency.p95 && latency.p95 <= latency.p99);
            }
        }
    }
}

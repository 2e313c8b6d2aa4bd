//! Rounds over the proxies of a Mesh.

use std::sync::Arc;

use temporal_stack_common::{api::TrafficClass, process::Metrics};

use super::{
    proxy::{Proxy, alone},
    *,
};
use crate::traffic::{Memory, Report, Scraper, Target, Trouble, scrape};

const MESH: (&str, &str) = ("mesh", "linkerd");

fn calls(count: u32) -> String {
    let labels =
        r#"direction="outbound",target_port="5001",tls="true",dst_namespace="mesh",dst_service="temporal-ipfscluster""#;
    format!("response_total{{{labels},status_code=\"200\"}} {count}\n")
}

/// The next round.
async fn round(scraper: &Scraper, memory: &Memory, targets: &[Target]) -> Arc<Report> {
    tokio::time::pause();
    tokio::time::advance(MINUTE).await;
    tokio::time::resume();
    scraper.refresh(memory, MESH, targets, &names()).await
}

#[tokio::test]
async fn rates_come_with_the_second_round() {
    let _alone = alone().await;
    let (scraper, memory) = (Scraper::default(), Memory::default());
    let proxy = Proxy::start(calls(1000)).await;
    let pods = [proxy.pod("a", &temporal())];
    let report = round(&scraper, &memory, &pods).await;
    assert!(report.is_first && report.edges.is_empty() && report.read == 1, "{report:?}");
    proxy.say(calls(1600));
    let report = round(&scraper, &memory, &pods).await;
    let [edge] = report.edges.as_slice() else { panic!("{report:?}") };
    assert_eq!(edge.ends, ends(Party::Component(temporal()), &ipfs(), 5001));
    let rate = edge.figures.requests;
    assert!((9.0..=10.0).contains(&rate), "600 calls in a little more than a minute: {rate}");
    assert_eq!((edge.figures.successes, edge.class), (Some(1.0), TrafficClass::Healthy));
}

#[tokio::test]
async fn pass_between_rounds_asks_no_proxy() {
    let _alone = alone().await;
    let (scraper, memory) = (Scraper::default(), Memory::default());
    let proxy = Proxy::start(calls(1)).await;
    let pods = [proxy.pod("a", &temporal())];
    let first = round(&scraper, &memory, &pods).await;
    for _ in 0..10 {
        assert_eq!(scraper.refresh(&memory, MESH, &pods, &names()).await, first);
    }
    assert_eq!(proxy.requests(), 1);
}

#[tokio::test]
async fn pod_of_the_same_name_with_another_uid_counts_from_zero() {
    let _alone = alone().await;
    let (scraper, memory) = (Scraper::default(), Memory::default());
    let (kept, replaced) = (Proxy::start(calls(100)).await, Proxy::start(calls(100)).await);
    let targets = |uid| [kept.pod("kept", &temporal()), replaced.pod(uid, &temporal())];
    round(&scraper, &memory, &targets("old")).await;
    replaced.say(calls(5000));
    let report = round(&scraper, &memory, &targets("new")).await;
    assert_eq!(report.edges[0].figures.requests, 0.0, "its first sample has no rates");
}

#[tokio::test]
async fn unreadable_pod_is_reported_after_a_while_and_costs_only_itself() {
    let _alone = alone().await;
    let (scraper, memory) = (Scraper::default(), Memory::default());
    let fine = Proxy::start(calls(1)).await;
    let long = Proxy::start(format!("response_total{{a=\"{}\"}} 1\n", "x".repeat(scrape::LINE))).await;
    let large = Proxy::start("# comment\n".repeat(scrape::ANSWER / 10 + 1)).await;
    let garbage = Proxy::start("<html>\u{0}\n\n\"}{\n".repeat(100)).await;
    let mut gone = fine.pod("gone", &ipfs());
    gone.address.set_port(1);
    let pods = [
        fine.pod("fine", &temporal()),
        long.pod("long", &temporal()),
        large.pod("large", &temporal()),
        garbage.pod("garbage", &temporal()),
        gone,
    ];
    for number in 1..=4 {
        let report = round(&scraper, &memory, &pods).await;
        assert_eq!((report.read, report.targets), (2, 5), "{report:?}");
        let mut unread: Vec<&str> = report.unread.iter().map(|unread| unread.pod.as_str()).collect();
        unread.sort_unstable();
        let expected: &[&str] = if number < 3 { &[] } else { &["pod-gone", "pod-large", "pod-long"] };
        assert_eq!(unread, expected, "round {number}");
    }
}

#[tokio::test]
async fn metrics_of_an_edge_are_gone_with_the_edge_and_with_the_mesh() {
    let _alone = alone().await;
    let (scraper, memory, process) = (Scraper::default(), Memory::default(), Metrics::new());
    process.register(|registry| scraper.register(registry));
    let shown = || {
        let text = process.encode().unwrap();
        text.lines().filter(|line| line.starts_with("temporal_stack_mesh_edge_requests_per_second{")).count()
    };
    let proxy = Proxy::start(calls(1)).await;
    let pods = [proxy.pod("a", &temporal())];
    round(&scraper, &memory, &pods).await;
    round(&scraper, &memory, &pods).await;
    assert_eq!(shown(), 1);
    proxy.say("# its series were idle\n");
    round(&scraper, &memory, &pods).await;
    assert_eq!(shown(), 0);
    proxy.say(calls(9));
    round(&scraper, &memory, &pods).await;
    assert_eq!(shown(), 1);
    drop(memory);
    assert_eq!(shown(), 0);
}

#[tokio::test]
async fn certificates_of_proxies_are_those_that_were_read_last() {
    let _alone = alone().await;
    let (scraper, memory) = (Scraper::default(), Memory::default());
    let issued = "control_identity_cert_refresh_timestamp_seconds 1795909718.1";
    let expires = "control_identity_cert_expiration_timestamp_seconds 1795996138.0";
    let proxy = Proxy::start(format!("{issued}\n{expires}\n{}", calls(1))).await;
    let mut pods = [proxy.pod("a", &temporal())];
    let report = round(&scraper, &memory, &pods).await;
    let troubled = |report: &Report, now: &str| report.leaves[0].1.trouble(now.parse().unwrap());
    assert_eq!(report.leaves[0].0, "pod-a");
    assert_eq!(troubled(&report, "2026-11-29T12:00:00Z"), None);
    assert_eq!(troubled(&report, "2026-11-29T22:00:00Z"), Some(Trouble::Late));
    // A proxy that cannot be read for a while keeps it.
    pods[0].address.set_port(1);
    let report = round(&scraper, &memory, &pods).await;
    assert_eq!((report.read, report.leaves.len()), (0, 1));
    assert_eq!(round(&scraper, &memory, &[]).await.leaves, []);
}

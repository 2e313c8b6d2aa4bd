//! How much a Mesh of many pods with large answers holds.

use std::{fmt::Write as _, sync::Arc};

use temporal_stack_common::process::Metrics;

use super::{
    proxy::{Proxy, alone, timeless},
    *,
};
use crate::traffic::{Memory, Scraper, sample::POINTS};

const PODS: usize = 100;
const ANSWER: usize = 5_000_000;
/// What the samples of a namespace may hold: the stated bound.
const BOUND: usize = 6 << 20;

/// Lines until the text has this length.
fn filled(mut text: String, length: usize, line: impl Fn(&mut String, usize)) -> Arc<str> {
    let mut number = 0;
    while text.len() < length {
        line(&mut text, number);
        number += 1;
    }
    text.into()
}

/// Reads as many pods once, and returns how many were read, and the bytes that are held.
async fn read(pods: usize, text: Arc<str>) -> (usize, usize) {
    let _alone = alone().await;
    let (scraper, memory, process) = (Scraper::default(), Memory::default(), Metrics::new());
    process.register(|registry| scraper.register(registry));
    let length = text.len();
    let proxy = Proxy::start(text).await;
    let targets: Vec<_> = (0..pods).map(|number| proxy.pod(&number.to_string(), &temporal())).collect();
    let names = names();
    let report = timeless(scraper.refresh(&memory, ("mesh", "linkerd"), &targets, &names)).await;
    let held = memory.size().await;
    let counted = process.encode().unwrap();
    let bytes = counted.lines().find_map(|line| line.strip_prefix("temporal_stack_mesh_scraped_bytes_total "));
    println!(
        "{} requests for {} bytes of metrics: {held} bytes held of {} pods that were read",
        proxy.requests(),
        bytes.unwrap(),
        report.read
    );
    assert_eq!(proxy.requests(), pods);
    assert_eq!(bytes.unwrap().parse::<usize>().unwrap(), pods * length);
    (report.read, held)
}

#[tokio::test]
async fn hundred_pods_of_five_megabytes_are_held_within_the_bound() {
    // Real series, and series that do not count.
    let text = filled(API.to_owned(), ANSWER, |text, number| {
        let filling = "x".repeat(300);
        writeln!(text, "outbound_http_route_retry_requests_total{{number=\"{number}\",filling=\"{filling}\"}} 1")
            .unwrap();
    });
    let (read, held) = read(PODS, text).await;
    assert_eq!(read, PODS);
    assert!(held < BOUND, "{held}");
}

#[tokio::test]
async fn pods_that_fill_their_samples_are_held_within_the_bound() {
    let text = filled(String::new(), 1_200_000, |text, number| {
        let link = format!("target_port=\"{}\",srv_name=\"{}\"", number % 60_000, "x".repeat(200));
        writeln!(text, "inbound_tcp_authz_deny_total{{{link},client_id=\"{number}\"}} 1").unwrap();
        for series in 0..20 {
            let series = format!("direction=\"outbound\",target_port=\"1\",dst_pod=\"{number}-{series}\"");
            writeln!(text, "tcp_open_total{{{series}}} 1").unwrap();
        }
    });
    assert!(text.lines().count() > POINTS);
    let (read, held) = read(30, text).await;
    assert!(held < BOUND, "{held}");
    assert!(read < 30, "the others are refused, and reported");
}

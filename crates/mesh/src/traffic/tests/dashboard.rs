//! The dashboard of the traffic to IPFS.

use std::collections::BTreeSet;

use serde_json::Value;
use temporal_stack_common::process::Metrics;

use super::*;
use crate::traffic::Scraper;

const DASHBOARD: &str = include_str!("../../../../../deploy/monitoring/dashboards/ipfs-traffic.json");

/// The names of the metrics of this controller.
fn own() -> BTreeSet<String> {
    let process = Metrics::new();
    process.register(|registry| Scraper::default().register(registry));
    described(&process.encode().unwrap())
}

/// The names of the series that a text describes, whether it has any or not.
fn described(text: &str) -> BTreeSet<String> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    kinds
        .flat_map(|(name, kind)| match kind {
            "counter" => vec![format!("{}_total", name.trim_end_matches("_total"))],
            "histogram" => ["bucket", "count", "sum"].map(|part| format!("{name}_{part}")).to_vec(),
            _ => vec![name.to_owned()],
        })
        .collect()
}

/// The queries of all panels.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The names of metrics in a query: words before `{`, which all of its selectors have.
fn metrics(query: &str) -> BTreeSet<String> {
    let before = query.split('{').rev().skip(1);
    before
        .filter_map(|part| part.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_of_the_dashboard_exists() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let recorded: BTreeSet<String> = [API, IPFS, QUEUE].into_iter().flat_map(described).collect();
    let known = &own() | &recorded;
    let queries = queries(&dashboard);
    assert!(queries.len() >= 10, "{queries:?}");
    for query in &queries {
        let metrics = metrics(query);
        assert!(!metrics.is_empty(), "{query} selects nothing");
        let unknown: Vec<&String> = metrics.difference(&known).collect();
        assert!(unknown.is_empty(), "{query}: {unknown:?} does not exist");
    }
    let used: BTreeSet<String> = queries.iter().map(String::as_str).flat_map(metrics).collect();
    assert!(used.iter().any(|name| name.starts_with("temporal_stack_mesh_")), "{used:?}");
    assert!(used.contains("response_latency_ms_bucket"), "{used:?}");
}

#[test]
fn every_panel_has_title_unit_and_legend() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty() && ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{title} is beside the grid");
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        assert!(panel["description"].is_string(), "{title} has no description");
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["legendFormat"].as_str().is_some_and(|legend| !legend.is_empty()), "{title}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

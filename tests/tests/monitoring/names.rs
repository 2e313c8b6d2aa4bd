//! Every metric, condition and reason of alerts and dashboards exists: in our code, or in what a product was seen to export.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use e2e::prometheus::{alerts, described, folder, metrics, queries, texts};

/// Metrics of Prometheus itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// What the products export, as it was recorded.
fn recorded() -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    // Linkerd's proxies speak OpenMetrics.
    for (folder, is_open_metrics) in [("tests/fixtures/metrics", false), ("crates/mesh/tests/metrics", true)] {
        all.extend(texts(folder, "txt")?.iter().flat_map(|(_, text)| described(text, is_open_metrics)));
    }
    Ok(all)
}

/// The names that our sources register, with every suffix that a kind of metric adds.
fn ours() -> Result<String> {
    let mut all = String::new();
    for path in [
        "crates/common/src/driver",
        "crates/common/src/process",
        "crates/common/src/process/client",
        "crates/bridge/src",
        "crates/mesh/src/traffic",
    ] {
        all.extend(texts(path, "rs")?.into_iter().map(|(_, text)| text));
    }
    Ok(all)
}

/// Whether the sources register a metric of ours: its name without prefixes and suffixes is a string there.
fn is_registered(sources: &str, name: &str) -> bool {
    let name = name.trim_start_matches("temporal_stack_").trim_start_matches("bridge_").trim_start_matches("mesh_");
    let stems = ["", "_total", "_bucket", "_seconds_bucket", "_bytes", "_seconds", "_bytes_total"];
    stems.iter().filter_map(|suffix| name.strip_suffix(suffix)).any(|stem| sources.contains(&format!("\"{stem}\"")))
}

#[test]
fn every_metric_of_alerts_and_dashboards_exists() -> Result<()> {
    let (recorded, ours) = (recorded()?, ours()?);
    let of_alerts = alerts()?.into_iter().map(|alert| alert["expr"].as_str().unwrap_or_default().to_owned());
    let of_dashboards = queries()?.into_iter().map(|(_, query)| query);
    let mut seen = BTreeSet::new();
    for query in of_alerts.chain(of_dashboards) {
        let metrics = metrics(&query);
        assert!(!metrics.is_empty(), "{query} selects nothing");
        for name in metrics {
            let is_ours = name.starts_with("temporal_stack_") || name.starts_with("process_");
            let exists = if is_ours { is_registered(&ours, &name) } else { recorded.contains(&name) };
            assert!(exists || OF_PROMETHEUS.contains(&name.as_str()), "{name} does not exist: {query}");
            seen.insert(name);
        }
    }
    for name in ["temporal_stack_object_condition", "rabbitmq_queue_messages_ready", "ipfscluster_pins_pin_error"] {
        assert!(seen.contains(name), "{name} was not found in any query");
    }
    Ok(())
}

#[test]
fn unknown_metric_is_not_taken_for_ours() -> Result<()> {
    let ours = ours()?;
    assert!(is_registered(&ours, "temporal_stack_passes_total"));
    assert!(!is_registered(&ours, "temporal_stack_passed_total"));
    assert!(!is_registered(&ours, "temporal_stack_bridge_answers_total"));
    Ok(())
}

#[test]
fn every_condition_and_reason_of_alerts_is_declared() -> Result<()> {
    let mut sources = String::new();
    for name in ["common", "database", "queue", "ipfs", "storage", "mesh", "temporal"] {
        for path in ["", "/decide", "/decide/cloud_native_pg", "/traffic"] {
            let path = format!("crates/{name}/src{path}");
            if folder(&path).is_dir() {
                sources.extend(texts(&path, "rs")?.into_iter().map(|(_, text)| text));
            }
        }
    }
    let mut found = 0;
    for alert in alerts()? {
        let query = alert["expr"].as_str().unwrap_or_default();
        for (label, declaration) in [("condition", "&str = "), ("reason", "Reason::new(")] {
            for part in query.split(label).skip(1) {
                let Some(value) = part.trim_start_matches(['=', '!', '~']).strip_prefix('"') else { continue };
                let (value, _) = value.split_once('"').context("a label's value has no end")?;
                for word in value.split('|') {
                    assert!(sources.contains(&format!("{declaration}\"{word}\"")), "{label} {word} is not declared");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 15, "{found}");
    Ok(())
}

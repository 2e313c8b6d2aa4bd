//! Every alert fires when it should, and only then; and has a section in the documentation.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use e2e::prometheus::{alert_test, alerts, folder, groups, promtool, queries};
use serde_json::{Value, json};

/// The cases of all alerts.
fn cases() -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(folder("tests/fixtures/alerts.yaml"))?;
    serde_saphyr::from_str(&text).context("the cases of alerts are not YAML")
}

fn names(all: &[Value]) -> Vec<&str> {
    all.iter().filter_map(|one| one["alert"].as_str()).collect()
}

#[tokio::test]
async fn every_rule_passes_the_check_of_prometheus() -> Result<()> {
    let groups = groups()?;
    let rules: usize = groups.iter().filter_map(|group| group["rules"].as_array().map(Vec::len)).sum();
    let said = promtool("check", &["check", "rules"], &[("rules.yaml", json!({"groups": groups}))]).await?;
    assert!(said.contains(&format!("SUCCESS: {rules} rules found")), "{said}");
    Ok(())
}

#[tokio::test]
async fn every_alert_fires_with_its_series_and_with_no_others() -> Result<()> {
    let (alerts, cases) = (alerts()?, cases()?);
    let set = |all: &[Value]| names(all).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(set(&alerts), set(&cases));
    assert_eq!(names(&alerts).len(), set(&alerts).len(), "an alert is there twice");
    let mut tests = Vec::new();
    for case in &cases {
        let (alert, at) = (case["alert"].as_str().unwrap_or_default(), case["at"].as_str().unwrap_or_default());
        let quiet = case["quiet"].as_array().filter(|quiet| !quiet.is_empty());
        assert!(case["fires"].as_array().is_some_and(|series| !series.is_empty()), "{alert} has no series");
        tests.push(alert_test(alert, &case["labels"], at, &case["fires"], true));
        for series in quiet.with_context(|| format!("{alert} has no series with which it does not fire"))? {
            tests.push(alert_test(alert, &case["labels"], at, series, false));
        }
    }
    let test = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests});
    let files = [("rules.yaml", json!({"groups": groups()?})), ("test.yaml", test)];
    let said = promtool("test", &["test", "rules"], &files).await?;
    assert!(said.contains("SUCCESS"), "{said}");
    Ok(())
}

#[test]
fn every_alert_has_a_summary_and_a_runbook() -> Result<()> {
    let operations = std::fs::read_to_string(folder("docs/operations.md"))?;
    let headings: BTreeSet<String> =
        operations.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_lowercase).collect();
    for alert in alerts()? {
        let name = alert["alert"].as_str().unwrap_or_default();
        let summary = alert["annotations"]["summary"].as_str().unwrap_or_default();
        assert!(summary.len() > 20, "{name}: {summary}");
        let runbook = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
        let (page, anchor) = runbook.split_once('#').context("the runbook has no anchor")?;
        assert!(page.ends_with("/docs/operations.md"), "{name}: {page}");
        assert_eq!(anchor, name.to_lowercase());
        assert!(headings.contains(anchor), "{name} has no heading in docs/operations.md");
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap_or_default()), "{name}");
    }
    Ok(())
}

/// As recording rules, because this version of promtool parses expressions nowhere else.
#[tokio::test]
async fn every_query_of_the_dashboards_parses() -> Result<()> {
    let queries = queries()?;
    let rule = |(index, (_, query)): (usize, &(String, String))| json!({"record": format!("q:{index}"), "expr": query});
    let rules: Vec<Value> = queries.iter().enumerate().map(rule).collect();
    let file = json!({"groups": [{"name": "queries", "rules": rules}]});
    let said = promtool("queries", &["check", "rules"], &[("queries.yaml", file)]).await?;
    assert!(queries.len() > 30 && said.contains(&format!("SUCCESS: {} rules found", queries.len())), "{said}");
    Ok(())
}

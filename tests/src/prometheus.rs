//! The alerts and dashboards of `deploy/monitoring`, and the checker of Prometheus.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::program::run;

/// Names the program `promtool`.
pub const PROMTOOL: &str = "TEMPORAL_STACK_PROMTOOL";

/// A folder of the repository.
pub fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of each file of a folder of the repository that has this extension, by its name.
pub fn texts(path: &str, extension: &str) -> Result<Vec<(String, String)>> {
    let folder = folder(path);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.push((name, std::fs::read_to_string(&path)?));
        }
    }
    all.sort();
    Ok(all)
}

/// The groups of all `PrometheusRule`s, as a file of rules has them.
pub fn groups() -> Result<Vec<Value>> {
    let mut groups = Vec::new();
    for (name, text) in texts("deploy/monitoring/rules", "yaml")? {
        let rule: Value = serde_saphyr::from_str(&text).context(name)?;
        groups.extend(rule["spec"]["groups"].as_array().cloned().unwrap_or_default());
    }
    Ok(groups)
}

/// All alerts.
pub fn alerts() -> Result<Vec<Value>> {
    Ok(groups()?.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
}

/// Title and expression of each query of all dashboards, with values for Grafana's variables.
pub fn queries() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (name, text) in texts("deploy/monitoring/dashboards", "json")? {
        let dashboard: Value = serde_json::from_str(&text).context(name)?;
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap_or_default();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().context("a target has no expression")?;
                let query = query.replace("$__rate_interval", "5m").replace("$__interval", "1m");
                let query = query.replace("$__range", "1h").replace("$namespace", "a").replace("$cluster", "b");
                all.push((title.to_owned(), query));
            }
        }
    }
    Ok(all)
}

/// Runs `promtool` on the last of these files, by name and content, which may name the others.
pub async fn promtool(name: &str, arguments: &[&str], files: &[(&str, Value)]) -> Result<String> {
    let program =
        std::env::var_os(PROMTOOL).with_context(|| format!("{PROMTOOL} is not set: `cargo xtask test` sets it"))?;
    let folder = std::env::temp_dir().join("temporal-stack-e2e").join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (file, content) in files {
        std::fs::write(folder.join(file), content.to_string())?;
    }
    let (last, _) = files.last().context("there is no file to check")?;
    let last = folder.join(last);
    let arguments = [arguments, &[last.to_str().context("the path is not text")?]].concat();
    run(program.into(), &arguments, &[]).await
}

/// Names of the metrics that a text describes, with the suffixes of histograms. Of counters `OpenMetrics` describes the names without
/// their suffix, and other texts the names as they are.
pub fn described(text: &str, is_open_metrics: bool) -> BTreeSet<String> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    kinds
        .flat_map(|(name, kind)| match kind {
            "counter" if is_open_metrics => vec![format!("{}_total", name.trim_end_matches("_total"))],
            "histogram" => ["bucket", "count", "sum"].map(|part| format!("{name}_{part}")).to_vec(),
            _ => vec![name.to_owned()],
        })
        .collect()
}

/// The names in a query that are neither functions, operators nor labels: those of its metrics.
pub fn metrics(query: &str) -> BTreeSet<String> {
    const WORDS: [&str; 12] = [
        "and",
        "or",
        "unless",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "inf",
    ];
    let mut names = BTreeSet::new();
    let (mut rest, mut word) = (query, String::new());
    // Lists of labels and strings are skipped: what follows `by`, `on` and others in parentheses, and all in braces and quotes.
    let mut is_list_next = false;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        if next.is_ascii_alphanumeric() || next == '_' || next == ':' {
            word.push(next);
            continue;
        }
        let ended = std::mem::take(&mut word);
        let is_name = ended.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_name {
            is_list_next = ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(&ended.as_str());
        }
        let is_call = rest_is_call(next, rest);
        if is_name && !is_call && !WORDS.contains(&ended.as_str()) {
            names.insert(ended);
        }
        let end = match next {
            '{' => Some('}'),
            '[' => Some(']'),
            '"' => Some('"'),
            '(' if is_list_next => Some(')'),
            _ => None,
        };
        if let Some(end) = end {
            rest = skipped(rest, end);
            is_list_next = false;
        }
    }
    if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        names.insert(word);
    }
    names
}

/// Whether a word before `next` is a function or an aggregation: `sum(`, `sum by (…) (`.
fn rest_is_call(next: char, rest: &str) -> bool {
    next == '(' || (next == ' ' && ["by ", "without ", "("].iter().any(|word| rest.starts_with(word)))
}

fn skipped(rest: &str, end: char) -> &str {
    rest.find(end).map_or("", |place| &rest[place + end.len_utf8()..])
}

/// The test of one alert, as `promtool test rules` reads it: that it fires with these labels, or that it does not.
pub fn alert_test(alert: &str, labels: &Value, at: &str, series: &Value, fires: bool) -> Value {
    let labels: Vec<(&String, &str)> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.as_str().unwrap_or_default()))
        .collect();
    let names = labels.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
    let set = labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join(", ");
    let samples = if fires { json!([{"labels": format!("{{{set}}}"), "value": 1}]) } else { json!([]) };
    json!({
        "name": format!("{alert} {}", if fires { "fires" } else { "does not fire" }),
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{
            "expr": format!("count by ({names}) (ALERTS{{alertname={alert:?},alertstate=\"firing\"}})"),
            "eval_time": at,
            "exp_samples": samples,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_a_query_are_found() {
        let found = |query: &str| metrics(query).into_iter().collect::<Vec<_>>();
        assert_eq!(found(r#"sum by (a, b) (rate(x_total{c="d", e!="f"}[5m])) / up > 0.1"#), ["up", "x_total"]);
        assert_eq!(found("min by (a) (\n  x / y\n) < 0.1"), ["x", "y"]);
        assert_eq!(found(r#"(x < 1) and on (n) label_replace(group by (m) (z), "n", "$1", "m", "(.+)")"#), ["x", "z"]);
        assert_eq!(found("absent(l == 1)"), ["l"]);
        assert_eq!(found("histogram_quantile(0.99, sum by (le) (rate(d_bucket[5m])))"), ["d_bucket"]);
        assert_eq!(found("x"), ["x"]);
    }
}

//! The condition `TrafficHealthy`: the calls between the components of the stack.
//!
//! Strangers count in the figures and in the audit of the policy. Here they do not: whoever knocks at a closed door would otherwise
//! make the stack unhealthy.

use temporal_stack_common::{
    api::TrafficClass,
    condition::{Reason, Statement},
    message::{counted, listed},
};

use super::report::{Report, port_name};
use crate::reason;

/// The type of the condition.
const TRAFFIC_HEALTHY: &str = "TrafficHealthy";
/// How many edges or pods a message names.
const NAMED: usize = 3;

/// The condition that a report gives.
pub(crate) fn statement(report: &Report) -> Statement {
    if report.targets == 0 {
        let message = "no pod has a proxy whose metrics can be read; see the condition Injected";
        return Statement::unknown(TRAFFIC_HEALTHY, reason::NO_METRICS, message);
    }
    if report.read == 0 {
        return Statement::unknown(TRAFFIC_HEALTHY, reason::METRICS_UNREACHABLE, unreachable(report));
    }
    if report.is_first {
        let message = "the metrics of the proxies have been read once; rates follow with the second time";
        return Statement::unknown(TRAFFIC_HEALTHY, reason::NO_METRICS, message);
    }
    let worst = [TrafficClass::Denied, TrafficClass::Failing, TrafficClass::Slow];
    let found = worst.into_iter().map(|class| (class, edges(report, class))).find(|(_, edges)| !edges.is_empty());
    if let Some((class, edges)) = found {
        let (reason, state) = trouble(class);
        let message = format!("{} {state}", listed(&edges, NAMED));
        return Statement::fails(TRAFFIC_HEALTHY, reason, with_unread(report, message));
    }
    if edges(report, TrafficClass::Healthy).is_empty() {
        let message = with_unread(report, "no component calls another".to_owned());
        return Statement::holds(TRAFFIC_HEALTHY, reason::NO_TRAFFIC, message);
    }
    let message = with_unread(report, "calls between components succeed".to_owned());
    Statement::holds(TRAFFIC_HEALTHY, reason::AS_EXPECTED, message)
}

/// The edges between components that have this class, as a message names them.
fn edges(report: &Report, class: TrafficClass) -> Vec<String> {
    let ours = report.edges.iter().filter(|edge| edge.class == class);
    let ours = ours.filter(|edge| edge.ends.client.is_component() && edge.ends.server.is_component());
    ours.map(|edge| format!("{} → {} {}", edge.ends.client, edge.ends.server, port_name(&edge.ends))).collect()
}

fn trouble(class: TrafficClass) -> (Reason, &'static str) {
    match class {
        TrafficClass::Denied => (
            reason::CALLS_DENIED,
            "denied: a policy refuses calls between components; see the condition PolicyEnforced, and delete policies of others for that port",
        ),
        TrafficClass::Slow => (
            reason::CALLS_SLOW,
            "slow: answers take seconds; check the load of the server's pods and their limits, and spec.routes",
        ),
        _ => (
            reason::CALLS_FAILING,
            "failing: the server answers with errors, or has no ready endpoint; check the conditions of the server's object and the logs of its pods",
        ),
    }
}

fn unreachable(report: &Report) -> String {
    let cause = report.unread.first().map_or("no answer", |unread| unread.cause.as_str());
    format!("metrics of all proxies unreachable: {cause}; let this controller's pods reach port 4191 of the proxies")
}

/// The message, with the pods that it does not cover.
fn with_unread(report: &Report, message: String) -> String {
    let Some(first) = report.unread.first() else { return message };
    let names: Vec<String> = report.unread.iter().map(|unread| unread.pod.clone()).collect();
    format!(
        "{message}; metrics of {} unreachable ({}): {}; let this controller's pods reach port 4191",
        counted(names.len(), "pod"),
        listed(&names, NAMED),
        first.cause
    )
}

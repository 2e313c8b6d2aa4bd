//! Waiting until everything is Ready, with progress on the terminal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use k8s_openapi::jiff::Timestamp;

use super::cause::{causes, suspended};
use super::component::{Component, Id, State, Word};
use super::snapshot::Snapshot;
use super::{kinds, tree};
use crate::kubectl::Kubectl;
use crate::step::Step;

/// How long the stack may take: on a slow machine with a slow registry.
const READY_WITHIN: Duration = Duration::from_secs(600);
/// How long an object may be stalled. A controller that has just started, or whose object was just corrected, needs a pass or
/// two.
const STALLED_FOR: Duration = Duration::from_secs(15);
/// How long the API server may fail to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until these are Ready. Fails when one of them is stalled, or after ten minutes, with the root causes.
pub fn wait(step: &Step, kubectl: &Kubectl, namespace: &str, ids: &[Id]) -> Result<Snapshot> {
    let began = Instant::now();
    let mut answered = began;
    let (kinds, mut reported, mut patience) = (kinds(), Reported::default(), Patience::default());
    loop {
        let mut snapshot = match Snapshot::take(step, kubectl, &kinds, Some(namespace)) {
            Ok(snapshot) => snapshot,
            // The API server of a busy machine may answer late once.
            Err(error) if answered.elapsed() < ANSWERS_WITHIN => {
                step.log(format!("{error:#}"));
                std::thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        answered = Instant::now();
        keep_stack(&mut snapshot, ids);
        step.show(&tree::components(&snapshot, namespace, Timestamp::now()));
        for line in reported.changes(&snapshot) {
            if step.is_watched() {
                step.log(line);
            } else {
                step.say(format!("  {:>6.1} s  {line}", began.elapsed().as_secs_f64()));
            }
        }
        if ids.iter().all(|id| snapshot.component(id).is_some_and(Component::is_ready)) {
            return Ok(snapshot);
        }
        let stalled = patience.is_over(&snapshot, Instant::now());
        if stalled || began.elapsed() > READY_WITHIN {
            let mut all = causes(&snapshot);
            if all.is_empty() {
                all = suspended(&snapshot);
            }
            let why = all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n           ");
            let state = if stalled { "stalled" } else { "not Ready after ten minutes" };
            bail!("stack {state}: {why}\n{}", tree::components(&snapshot, namespace, Timestamp::now()).trim_end());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Keeps these and the objects that they refer to: others in the namespace do not matter.
fn keep_stack(snapshot: &mut Snapshot, ids: &[Id]) {
    let chosen = snapshot.components.iter().filter(|component| ids.contains(&component.id));
    let mut kept: Vec<Id> = chosen.flat_map(|component| component.refers_to.clone()).collect();
    kept.extend_from_slice(ids);
    snapshot.components.retain(|component| kept.contains(&component.id));
}

/// The state of each object that was reported last.
#[derive(Debug, Default)]
struct Reported(BTreeMap<Id, State>);

impl Reported {
    /// The changes since the last call, a line each.
    fn changes(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        for component in &snapshot.components {
            let before = self.0.insert(component.id.clone(), component.state.clone());
            let key = |state: &State| (state.word, state.reason.clone());
            if before.as_ref().map(key) != Some(key(&component.state)) {
                let State { word, reason, message, .. } = &component.state;
                let Id { kind, name, .. } = &component.id;
                lines.push(format!("{kind} {name}: {word}, {reason}: {message}"));
            }
        }
        lines
    }
}

/// Since when each object has been stalled, as seen by this run.
#[derive(Debug, Default)]
struct Patience(BTreeMap<Id, Instant>);

impl Patience {
    /// Whether an object has been stalled for too long.
    fn is_over(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        // One that is suspended waits for the user as well.
        let stalled = |component: &&Component| matches!(component.state.word, Word::Stalled | Word::Suspended);
        let stalled: Vec<&Id> = snapshot.components.iter().filter(stalled).map(|component| &component.id).collect();
        self.0.retain(|id, _| stalled.contains(&id));
        for id in stalled {
            self.0.entry(id.clone()).or_insert(now);
        }
        self.0.values().any(|since| now.duration_since(*since) >= STALLED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn unchanged_state_is_not_reported_again() {
        let mut reported = Reported::default();
        assert_eq!(reported.changes(&fixture::all_ready()).len(), 4);
        assert_eq!(reported.changes(&fixture::all_ready()), Vec::<String>::new());
        let lines = reported.changes(&fixture::database_stalled());
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("PostgresDatabase temporal: Stalled, NoStorageClass: there is no"), "{lines:?}");
    }

    #[test]
    fn references_are_kept_and_others_are_not() {
        let mut snapshot = fixture::all_ready();
        snapshot.components.push(fixture::component("MessageQueue", "other", Word::Stalled, "NameTaken"));
        let temporal = snapshot.components.iter().find(|one| one.id.kind == "Temporal").unwrap().id.clone();
        keep_stack(&mut snapshot, &[temporal]);
        assert_eq!(snapshot.components.len(), 4);
        assert!(snapshot.components.iter().all(|component| component.id.name == "temporal"));
    }

    #[test]
    fn patience_ends_when_stalled_for_long() {
        let (began, mut patience) = (Instant::now(), Patience::default());
        assert!(!patience.is_over(&fixture::database_stalled(), began));
        assert!(!patience.is_over(&fixture::all_ready(), began + STALLED_FOR));
        assert!(!patience.is_over(&fixture::database_stalled(), began + STALLED_FOR));
        assert!(patience.is_over(&fixture::database_stalled(), began + STALLED_FOR * 2));
    }
}

//! Root causes: the components and controllers that all others wait for.

use std::fmt;

use super::component::{Component, Id, Word};
use super::snapshot::{Deployed, Snapshot};
use crate::controllers::NAMESPACE;

/// A component or a controller that is not Ready by itself, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A component or a controller.
    pub what: String,
    /// The reason, from its conditions.
    pub reason: String,
    /// The message of its condition, or a command.
    pub remedy: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.what, self.reason, self.remedy)
    }
}

/// The root causes: stalled ones first, and among these the one that most others wait for. None if everything is Ready.
///
/// A component that waits for another one is no cause; nor is one whose controller does not run.
pub fn causes(snapshot: &Snapshot) -> Vec<Cause> {
    let controllers = snapshot.controllers.iter().filter_map(|controller| controller_cause(snapshot, controller));
    let mut found: Vec<Cause> = controllers.collect();
    let mut roots: Vec<Root> = Vec::new();
    for component in &snapshot.components {
        for missing in component.refers_to.iter().filter(|id| snapshot.component(id).is_none()) {
            roots.push(Root {
                stalled: true,
                waiting: count_waiting(snapshot, missing),
                cause: missing_reference(missing, component),
            });
        }
        let has_controller = snapshot.controller(&component.id.kind).is_none_or(Deployed::is_available);
        let waiting = count_waiting(snapshot, &component.id);
        // One that is suspended is as its user wants it, unless another waits for it.
        let is_wanted = component.is_ready() || (component.is_suspended() && waiting == 0);
        if !is_wanted && has_controller && !is_waiting(snapshot, component) {
            let stalled = matches!(component.state.word, Word::Stalled | Word::Suspended);
            roots.push(Root { stalled, waiting, cause: cause_of(component) });
        }
    }
    roots.sort_by_key(|root| std::cmp::Reverse((root.stalled, root.waiting)));
    found.extend(roots.into_iter().map(|root| root.cause));
    found.dedup();
    found
}

/// The components that are suspended, which keeps them from ever being Ready.
pub fn suspended(snapshot: &Snapshot) -> Vec<Cause> {
    snapshot.components.iter().filter(|component| component.is_suspended()).map(cause_of).collect()
}

/// A cause, with its rank.
struct Root {
    stalled: bool,
    waiting: usize,
    cause: Cause,
}

fn cause_of(component: &Component) -> Cause {
    let state = &component.state;
    Cause { what: component.id.to_string(), reason: state.reason.clone(), remedy: state.message.clone() }
}

fn missing_reference(id: &Id, referrer: &Component) -> Cause {
    Cause {
        what: id.to_string(),
        reason: "Missing".to_owned(),
        remedy: format!("{} refers to it; create it, or change the reference", referrer.id),
    }
}

/// Whether something that the component refers to is not Ready or does not exist.
fn is_waiting(snapshot: &Snapshot, component: &Component) -> bool {
    component.refers_to.iter().any(|id| snapshot.component(id).is_none_or(|other| !other.is_ready()))
}

/// How many components wait for this one.
fn count_waiting(snapshot: &Snapshot, id: &Id) -> usize {
    let waits =
        |component: &&Component| !component.is_ready() && !component.is_suspended() && component.refers_to.contains(id);
    snapshot.components.iter().filter(waits).count()
}

fn controller_cause(snapshot: &Snapshot, controller: &Deployed) -> Option<Cause> {
    let has_objects = snapshot.components.iter().any(|component| component.id.kind == controller.kind);
    let (reason, remedy) = match &controller.deployment {
        None if has_objects => {
            let remedy = format!("no controller reconciles {}; run `cargo xtask deploy`", controller.kind);
            ("NotInstalled", remedy)
        }
        Some(deployment) if deployment.wanted == 0 => {
            let scale = format!("kubectl scale --namespace {NAMESPACE} deployment/{} --replicas=1", controller.program);
            ("ScaledToZero", format!("Deployment scaled to 0 replicas; run `{scale}`"))
        }
        Some(_) if !controller.is_available() => {
            let describe = format!("kubectl describe pods --namespace {NAMESPACE} --selector=app.kubernetes.io/name");
            ("NotAvailable", format!("no ready pod; see `{describe}={}`", controller.program))
        }
        _ => return None,
    };
    Some(Cause { what: controller.program.to_owned(), reason: reason.to_owned(), remedy })
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn named(snapshot: &Snapshot) -> Vec<(String, String)> {
        causes(snapshot).into_iter().map(|cause| (cause.what, cause.reason)).collect()
    }

    fn pair(what: &str, reason: &str) -> (String, String) {
        (what.to_owned(), reason.to_owned())
    }

    #[test]
    fn ready_stack_has_no_cause() {
        assert_eq!(causes(&fixture::all_ready()), []);
    }

    #[test]
    fn stalled_component_is_the_cause_for_those_that_wait() {
        let snapshot = fixture::database_stalled();
        assert_eq!(named(&snapshot), [pair("PostgresDatabase default/temporal", "NoStorageClass")]);
        assert!(causes(&snapshot)[0].remedy.contains("name a class"));
    }

    #[test]
    fn cause_with_more_waiting_comes_first() {
        let mut snapshot = fixture::database_stalled();
        snapshot.components.insert(0, fixture::component("MessageQueue", "alone", Word::Stalled, "NameTaken"));
        let database = pair("PostgresDatabase default/temporal", "NoStorageClass");
        assert_eq!(named(&snapshot), [database, pair("MessageQueue default/alone", "NameTaken")]);
    }

    #[test]
    fn missing_reference_is_the_cause() {
        let mut snapshot = fixture::database_stalled();
        snapshot.components.retain(|component| component.id.kind != "PostgresDatabase");
        assert_eq!(named(&snapshot), [pair("PostgresDatabase default/temporal", "Missing")]);
    }

    #[test]
    fn absent_controller_is_the_cause_for_its_objects() {
        let snapshot = fixture::controller_absent();
        assert_eq!(named(&snapshot), [pair("database-controller", "NotInstalled")]);
    }

    #[test]
    fn absent_controller_without_objects_is_no_cause() {
        let mut snapshot = fixture::all_ready();
        snapshot.components.retain(|component| component.id.kind == "IpfsCluster");
        snapshot.controllers[0].deployment = None;
        assert_eq!(causes(&snapshot), []);
    }

    #[test]
    fn controller_without_ready_pods_is_a_cause() {
        let mut snapshot = fixture::all_ready();
        snapshot.controllers[1].deployment.as_mut().unwrap().available = 0;
        assert_eq!(named(&snapshot), [pair("queue-controller", "NotAvailable")]);
    }

    #[test]
    fn suspended_component_is_a_cause_only_if_another_waits() {
        let mut snapshot = fixture::database_stalled();
        for component in &mut snapshot.components {
            if component.id.kind == "PostgresDatabase" {
                (component.state.word, component.state.reason) = (Word::Suspended, "Suspended".to_owned());
            }
        }
        assert_eq!(named(&snapshot)[0].1, "Suspended");
        assert_eq!(suspended(&snapshot).len(), 1);
        for component in &mut snapshot.components {
            component.state.word = Word::Suspended;
        }
        assert_eq!(named(&snapshot), []);
    }
}

//! Why not everything is Ready: what everything else waits for.

use std::fmt;

use super::component::{Component, Id, Word};
use super::snapshot::{Deployed, Snapshot};
use crate::controllers::NAMESPACE;

/// Something that is not well by itself, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A component or a controller.
    pub what: String,
    /// Why, in a word of its conditions.
    pub reason: String,
    /// What its condition says, or what makes it come.
    pub remedy: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.what, self.reason, self.remedy)
    }
}

/// The root causes, the one first that must be acted on, and before others the one that most wait for. Nothing when
/// all is well.
///
/// A component that waits for another one is no cause; nor is one whose controller is not there to say how it is.
pub fn causes(snapshot: &Snapshot) -> Vec<Cause> {
    let controllers = snapshot.controllers.iter().filter_map(|controller| controller_cause(snapshot, controller));
    let mut found: Vec<Cause> = controllers.collect();
    let mut roots: Vec<Root> = Vec::new();
    for component in &snapshot.components {
        for missing in component.refers_to.iter().filter(|id| snapshot.component(id).is_none()) {
            roots.push(Root { stalled: true, waiting: waiting(snapshot, missing), cause: absent(missing, component) });
        }
        let has_controller = snapshot.controller(&component.id.kind).is_none_or(Deployed::is_available);
        if !component.is_ready() && has_controller && !waits(snapshot, component) {
            let stalled = component.state.word == Word::Stalled;
            roots.push(Root { stalled, waiting: waiting(snapshot, &component.id), cause: of(component) });
        }
    }
    roots.sort_by_key(|root| std::cmp::Reverse((root.stalled, root.waiting)));
    found.extend(roots.into_iter().map(|root| root.cause));
    found.dedup();
    found
}

/// A cause, and what says how much it matters.
struct Root {
    stalled: bool,
    waiting: usize,
    cause: Cause,
}

fn of(component: &Component) -> Cause {
    let state = &component.state;
    Cause { what: component.id.to_string(), reason: state.reason.clone(), remedy: state.message.clone() }
}

fn absent(id: &Id, of: &Component) -> Cause {
    Cause {
        what: id.to_string(),
        reason: "Missing".to_owned(),
        remedy: format!("{} refers to it; make it, or refer to another one", of.id),
    }
}

/// Whether something that the component refers to is not Ready or not there.
fn waits(snapshot: &Snapshot, component: &Component) -> bool {
    component.refers_to.iter().any(|id| snapshot.component(id).is_none_or(|other| !other.is_ready()))
}

/// How many components wait for this one.
fn waiting(snapshot: &Snapshot, id: &Id) -> usize {
    let waits = |component: &&Component| !component.is_ready() && component.refers_to.contains(id);
    snapshot.components.iter().filter(waits).count()
}

fn controller_cause(snapshot: &Snapshot, controller: &Deployed) -> Option<Cause> {
    let has_objects = snapshot.components.iter().any(|component| component.id.kind == controller.kind);
    let (reason, remedy) = match &controller.deployment {
        None if has_objects => {
            let remedy = format!("nobody takes care of {} objects; run `cargo xtask deploy`", controller.kind);
            ("NotInstalled", remedy)
        }
        Some(deployment) if deployment.wanted == 0 => {
            let scale = format!("kubectl scale --namespace {NAMESPACE} deployment/{} --replicas=1", controller.program);
            ("ScaledToZero", format!("it should have no pods; run `{scale}`"))
        }
        Some(_) if !controller.is_available() => {
            let describe = format!("kubectl describe pods --namespace {NAMESPACE} --selector=app.kubernetes.io/name");
            ("NotAvailable", format!("none of its pods is ready; see `{describe}={}`", controller.program))
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
    fn nothing_is_the_cause_when_all_is_ready() {
        assert_eq!(causes(&fixture::all_ready()), []);
    }

    #[test]
    fn what_is_stalled_is_the_cause_and_what_waits_for_it_is_not() {
        let snapshot = fixture::database_stalled();
        assert_eq!(named(&snapshot), [pair("PostgresDatabase default/temporal", "NoStorageClass")]);
        assert!(causes(&snapshot)[0].remedy.contains("name a class"));
    }

    #[test]
    fn what_others_wait_for_comes_before_what_is_alone() {
        let mut snapshot = fixture::database_stalled();
        snapshot.components.insert(0, fixture::component("MessageQueue", "alone", Word::Stalled, "NameTaken"));
        let database = pair("PostgresDatabase default/temporal", "NoStorageClass");
        assert_eq!(named(&snapshot), [database, pair("MessageQueue default/alone", "NameTaken")]);
    }

    #[test]
    fn what_is_referred_to_and_not_there_is_the_cause() {
        let mut snapshot = fixture::database_stalled();
        snapshot.components.retain(|component| component.id.kind != "PostgresDatabase");
        assert_eq!(named(&snapshot), [pair("PostgresDatabase default/temporal", "Missing")]);
    }

    #[test]
    fn a_controller_that_is_not_there_is_the_cause_of_what_its_objects_say() {
        let snapshot = fixture::controller_absent();
        assert_eq!(named(&snapshot), [pair("database-controller", "NotInstalled")]);
    }

    #[test]
    fn a_controller_without_objects_need_not_be_there() {
        let mut snapshot = fixture::all_ready();
        snapshot.components.retain(|component| component.id.kind == "IpfsCluster");
        snapshot.controllers[0].deployment = None;
        assert_eq!(causes(&snapshot), []);
    }

    #[test]
    fn a_controller_whose_pods_are_not_ready_is_a_cause() {
        let mut snapshot = fixture::all_ready();
        snapshot.controllers[1].deployment.as_mut().unwrap().available = 0;
        assert_eq!(named(&snapshot), [pair("queue-controller", "NotAvailable")]);
    }
}

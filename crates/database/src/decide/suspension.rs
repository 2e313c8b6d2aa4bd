//! What must stop of a suspended database, and what waits meanwhile.

use temporal_stack_common::{
    component::{Decision, Stalled},
    condition::{SUSPENDED, Statement},
    suspension::Suspension,
};

use super::{
    moving::{
        self,
        view::{Stage, View as MoveView},
    },
    view::View,
};
use crate::{Database, cloud_native_pg::Cluster, moving::ProviderName, names::HIBERNATION, observed::Provider, reason};

/// The decision about a database that may be suspended.
pub(super) fn suspended(view: &View<'_>, decision: Decision<Database>) -> Decision<Database> {
    let is_asked = view.object.spec.suspend;
    let elsewhere = matches!(view.provider, Provider::External(_)).then_some("external");
    let Some(moving) = view.moving.as_ref().filter(|_| is_asked) else {
        let decision = decision.suspended(is_asked, elsewhere);
        let cluster = view.provider.administered().and_then(|server| server.cluster()?.cluster());
        return awaiting(decision, cluster);
    };
    if moving.observed.record.is_some() && moving.stage != Stage::Failed {
        return delayed(moving, decision);
    }
    let decision = Decision { serving: None, ..decision }.suspended(is_asked, elsewhere);
    if decision.suspension.is_none() {
        return decision;
    }
    let cluster = moving.observed.cluster.as_ref().filter(|_| moving.way.from == ProviderName::CloudNativePg);
    match moving.stage {
        Stage::Failed => awaiting(decision, cluster),
        _ => awaiting(Decision { intent: Err(not_begun(moving, cluster)), ..decision }, cluster),
    }
}

/// What runs without a pod of the controller.
fn awaiting(decision: Decision<Database>, cluster: Option<&Cluster>) -> Decision<Database> {
    let running = cluster.filter(|cluster| !has_stopped(cluster));
    let awaited = running.and_then(|cluster| cluster.metadata.name.as_ref()).map(|name| {
        format!(
            "CloudNativePG is stopping the servers of Cluster/{name}; if this lasts, check the pods of its operator"
        )
    });
    Decision { suspension: decision.suspension.map(|_| Suspension { awaited }), ..decision }
}

/// CloudNativePG reports it under the name of the annotation.
fn has_stopped(cluster: &Cluster) -> bool {
    let status = cluster.status.as_ref();
    let reported = status.and_then(|status| status.condition(HIBERNATION));
    cluster.is_hibernated() && reported.is_some_and(|condition| condition.status == "True")
}

/// A move that has begun comes to its end first: half of the data would be of no use.
fn delayed(moving: &MoveView<'_>, mut decision: Decision<Database>) -> Decision<Database> {
    let message =
        format!("suspension waits: {} has begun; the database stops when it has ended", moving::about(moving.way));
    decision.conditions.push(Statement::fails(SUSPENDED, reason::MOVING, message));
    decision
}

/// A move does not begin while there is no server that the data could be read from.
fn not_begun(moving: &MoveView<'_>, cluster: Option<&Cluster>) -> Stalled {
    let what = moving::about(moving.way);
    let runs = cluster.is_some_and(|cluster| !has_stopped(cluster));
    let (from, place) = (moving.way.from.as_str(), if runs { ", which still runs" } else { "" });
    let message = format!(
        "{what} not begun: the database is suspended; set spec.suspend to false to move, or set spec.provider back to {from}{place}"
    );
    Stalled::new(reason::MOVE_BLOCKED, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::condition::reason::INVALID_SPEC;

    use crate::{
        decide::decide,
        fixture::{applied, defaults, delegated, external, login, object, observed},
        names::{HIBERNATED, HIBERNATION},
    };

    fn spec(suspend: bool) -> Value {
        json!({"provider": {"cloudNativePg": {"image": "postgres:17.6"}}, "suspend": suspend})
    }

    /// The annotations of the cluster, and what is awaited until the database is suspended.
    fn decided(suspend: bool, live: Option<&Value>) -> (Option<Value>, Option<String>) {
        let (object, first) = (object(&spec(suspend)), login(1, "temporal_a"));
        let cluster = live.map(|live| applied(&crate::fixture::object(&spec(false)), live));
        let decision = decide(&object, &delegated(cluster, &[&first], Some(&first)), &defaults());
        let intent = decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"));
        let cluster = intent.manifests.iter().find(|manifest| manifest.resource.kind == "Cluster");
        let annotations = cluster.map(|cluster| cluster.object["metadata"]["annotations"].clone());
        assert_eq!(decision.suspension.is_some(), suspend);
        (annotations, decision.suspension.and_then(|suspension| suspension.awaited))
    }

    #[test]
    fn suspended_cluster_is_hibernated_and_awaited() {
        let annotated = json!({"metadata": {"annotations": {HIBERNATION: "on"}}});
        let stopped = |status: &str| {
            let conditions = json!([{"type": HIBERNATION, "status": status, "message": ""}]);
            json!({"metadata": annotated["metadata"], "status": {"conditions": conditions}})
        };
        for live in [json!({}), annotated.clone(), stopped("False")] {
            let (annotations, awaited) = decided(true, Some(&live));
            assert_eq!(annotations, Some(json!({HIBERNATION: "on"})));
            assert!(
                awaited.unwrap().starts_with("CloudNativePG is stopping the servers of Cluster/temporal-"),
                "{live}"
            );
        }
        assert_eq!(decided(true, Some(&stopped("True"))), (Some(json!({HIBERNATION: "on"})), None));
        let (annotations, awaited) = decided(false, Some(&stopped("True")));
        assert_eq!((annotations, awaited), (Some(Value::Null), None), "the annotation is taken back");
    }

    #[test]
    fn cluster_of_an_earlier_object_is_not_woken_to_be_suspended() {
        let live = json!({"metadata": {"annotations": {HIBERNATION: "on", HIBERNATED: "an-uid"}}});
        assert_eq!(decided(true, Some(&live)).0, Some(json!({HIBERNATION: "on", HIBERNATED: ""})));
    }

    #[test]
    fn suspended_cluster_is_not_set_up() {
        assert_eq!(decided(true, None), (None, None));
        assert!(decided(false, None).0.is_some());
    }

    #[test]
    fn server_of_the_controller_is_suspended_and_another_is_not() {
        let decision = decide(&object(&json!({"suspend": true})), &observed(), &defaults());
        assert_eq!(decision.suspension.map(|suspension| suspension.awaited), Some(None));
        let spec = json!({"suspend": true, "provider": {"external": {"secretName": "theirs"}}});
        let decision = decide(&object(&spec), &external(None), &defaults());
        assert_eq!((decision.intent.err().unwrap().reason, decision.suspension), (INVALID_SPEC, None));
    }
}

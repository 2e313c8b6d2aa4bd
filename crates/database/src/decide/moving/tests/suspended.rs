//! A move of a database that is suspended.

use serde_json::json;
use temporal_stack_common::manifest::Manifest;

use super::scene::{CloudNativePg, Postgres, Scene, condition};
use crate::{moving::Phase, names::HIBERNATION, reason};

fn suspended(mut scene: Scene) -> Scene {
    scene.suspend = true;
    scene
}

#[test]
fn move_does_not_begin_while_suspended() {
    let decision = suspended(Scene::new(Postgres, CloudNativePg, None)).decide();
    assert_eq!(decision.suspension.map(|suspension| suspension.awaited), Some(None), "the source stops");
    assert!(decision.serving.is_none());
    let stalled = decision.intent.err().unwrap();
    assert_eq!(stalled.reason, reason::MOVE_BLOCKED);
    let parts = "moving the data from postgres to cloudNativePg not begun: the database is suspended; set spec.suspend to false";
    assert!(stalled.message.starts_with(parts), "{stalled:?}");
}

#[test]
fn source_of_another_operator_must_have_stopped_before() {
    let scene = || suspended(Scene::new(CloudNativePg, Postgres, None));
    let decision = scene().decide();
    assert!(decision.suspension.unwrap().awaited.is_some());
    assert!(decision.intent.err().unwrap().message.ends_with("back to cloudNativePg, which still runs"));
    let mut stopped = scene();
    stopped.found.cluster = Some(crate::fixture::cluster(&json!({
        "metadata": {"annotations": {HIBERNATION: "on"}},
        "status": {"conditions": [{"type": HIBERNATION, "status": "True", "message": ""}]},
    })));
    assert_eq!(stopped.decide().suspension.map(|suspension| suspension.awaited), Some(None));
}

#[test]
fn hibernated_source_must_run_before() {
    let mut scene = Scene::new(CloudNativePg, Postgres, None);
    let annotations = json!({"metadata": {"annotations": {HIBERNATION: "on"}}});
    scene.found.cluster = Some(crate::fixture::cluster(&annotations));
    let stalled = scene.decide().intent.err().unwrap();
    assert_eq!(stalled.reason, reason::MOVE_BLOCKED);
    assert!(stalled.message.contains("not running; set spec.provider to cloudNativePg"), "{stalled:?}");
}

#[test]
fn move_that_has_begun_ends_before_the_database_stops() {
    for phase in [Phase::Preparing, Phase::Copying, Phase::Switched, Phase::Returning] {
        let decision = suspended(Scene::in_phase(phase)).decide();
        assert_eq!(decision.suspension, None, "{phase:?}");
        let intent = decision.intent.as_ref().unwrap_or_else(|stalled| panic!("{phase:?}: {stalled:?}"));
        let sleeps = |manifest: &Manifest| manifest.object["metadata"]["annotations"][HIBERNATION] == "on";
        assert!(!intent.manifests.iter().any(sleeps), "{phase:?}: the target must serve");
        let statement = condition(&decision, "Suspended").unwrap();
        assert!(statement.contains("has begun; the database stops when it has ended"), "{statement}");
    }
}

//! A move of a database that is suspended.

use serde_json::json;

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
fn move_that_has_begun_ends_before_the_database_stops() {
    for phase in [Phase::Preparing, Phase::Copying, Phase::Switched, Phase::Returning] {
        let decision = suspended(Scene::in_phase(phase)).decide();
        assert_eq!(decision.suspension, None, "{phase:?}");
        assert!(decision.intent.is_ok(), "{phase:?}");
        let statement = condition(&decision, "Suspended").unwrap();
        assert!(statement.contains("has begun; the database stops when it has ended"), "{statement}");
    }
}

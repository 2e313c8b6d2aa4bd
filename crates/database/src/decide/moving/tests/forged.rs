//! A record that was restored, forged, or written by an earlier leader deletes nothing that serves.

use super::{scene::OLDER, *};
use crate::moving::Observed;

const PHASES: [Phase; 5] = [Phase::Preparing, Phase::Copying, Phase::Switched, Phase::Returning, Phase::Failed];
const SECRET: &str = "Secret/temporal-postgresdatabase-administrator";

/// Whether a decision deletes or leaves out anything of the server of this provider.
fn is_spared(scene: Scene, provider: ProviderName) -> bool {
    let Ok(intent) = scene.decide().intent else { return true };
    match provider {
        Postgres => manifest(&intent, SET).is_some() && !is_deleted(&intent, CLAIM) && !is_deleted(&intent, SECRET),
        _ => !is_deleted(&intent, CLUSTER),
    }
}

/// A target that has served for long: a record of its move comes back in this phase.
fn restored(way: (ProviderName, ProviderName), before: Phase, policy: &'static str) -> Scene {
    let mut scene = Scene { bound: Some(way.1), policy, ..Scene::new(way.0, way.1, Some(before)) };
    scene.found.cluster_part = Some(OLDER);
    let parts = scene::parts();
    scene.found.embedded = EmbeddedParts { claim: Some(OLDER), administrator: Some(OLDER), ..parts };
    scene
}

#[test]
fn restored_record_leaves_the_server_of_the_binding() {
    for policy in ["Retain", "Delete"] {
        for before in PHASES {
            for way in [(Postgres, CloudNativePg), (CloudNativePg, Postgres), (External, CloudNativePg)] {
                for step in [None, Some(Step::Failed), Some(Step::Copying), Some(Step::Done)] {
                    let scene = || match step {
                        Some(step) => restored(way, before, policy).at(step),
                        None => restored(way, before, policy),
                    };
                    assert!(is_spared(scene(), way.1), "{way:?} {before:?} {step:?} {policy}");
                    assert!(is_spared(scene().taken_back(), way.1), "{way:?} {before:?} {step:?} {policy}");
                }
            }
        }
    }
}

#[test]
fn restored_record_leaves_the_data_of_the_source() {
    for before in [Phase::Preparing, Phase::Copying, Phase::Returning, Phase::Failed] {
        let mut scene = restored((Postgres, CloudNativePg), before, "Delete");
        scene.found.embedded = EmbeddedParts { set: false, pod: false, ..scene.found.embedded };
        let intent = scene.intent();
        assert!(!is_deleted(&intent, CLAIM) && !is_deleted(&intent, SECRET), "{before:?}");
        assert_eq!(phase(&intent), None, "{before:?}");
    }
}

#[test]
fn forged_record_stops_no_server() {
    for before in PHASES {
        for way in
            [(CloudNativePg, Postgres), (External, Postgres), (External, CloudNativePg), (Postgres, CloudNativePg)]
        {
            for bound in [Some(Postgres), None] {
                // The embedded server serves, and is older.
                let base = || {
                    let mut scene = Scene { bound, has_claim: true, ..Scene::new(way.0, way.1, Some(before)) };
                    scene.wanted = Postgres;
                    scene.spec = json!({"postgres": {}});
                    let parts = scene::parts();
                    scene.found.embedded = EmbeddedParts { claim: Some(OLDER), administrator: Some(OLDER), ..parts };
                    let kinds = ["StatefulSet", "Service", "NetworkPolicy"];
                    let existing = kinds.iter().map(|kind| format!("{kind}/temporal-postgresdatabase"));
                    scene.found = Observed { existing: existing.collect(), ..scene.found };
                    scene
                };
                assert!(is_spared(base(), Postgres), "{way:?} {before:?} {bound:?}");
            }
        }
    }
}

#[test]
fn target_that_is_older_than_the_record_is_refused() {
    for before in [Phase::Preparing, Phase::Copying, Phase::Returning] {
        let mut scene = Scene::in_phase(before).at(Step::Failed);
        scene.found.cluster_part = Some(OLDER);
        let stalled = scene.stalled();
        assert_eq!(stalled.reason, reason::MOVE_BLOCKED);
        for part in ["Cluster/temporal-postgresdatabase is older", "delete secret temporal-postgresdatabase-move"] {
            assert!(stalled.message.contains(part), "`{part}` is not in: {}", stalled.message);
        }
    }
    // What is older stays when the spec names the source, and does not keep the record.
    let mut back = Scene::in_phase(Phase::Returning).taken_back();
    back.found.cluster_part = Some(OLDER);
    let intent = back.intent();
    assert!(!is_deleted(&intent, CLUSTER));
    assert_eq!(phase(&intent), None);
}

#[test]
fn record_that_contradicts_the_binding_is_refused() {
    let third = Scene { bound: Some(CloudNativePg), ..Scene::new(External, Postgres, Some(Phase::Copying)) };
    assert!(third.stalled().message.contains("the binding leads to cloudNativePg"));
    let mut other = Scene::new(External, Postgres, Some(Phase::Copying)).at(Step::Copying);
    let record = other.found.record.take().unwrap();
    other.found.record = Some(Record { theirs: Some(scene::access("evil.example.com")), ..record });
    assert!(other.stalled().message.contains("the binding leads to another server"));
}

#[test]
fn database_of_another_name_is_refused_during_the_move() {
    for before in [Phase::Preparing, Phase::Switched] {
        for is_back in [false, true] {
            let stalled = renamed(before, is_back).stalled();
            assert_eq!(stalled.reason, reason::MOVE_BLOCKED);
            assert!(stalled.message.contains("temporal; set it back to before"), "{}", stalled.message);
        }
    }
}

#[test]
fn database_of_another_name_opens_the_source_that_is_closed() {
    for is_back in [false, true] {
        let intent = renamed(Phase::Copying, is_back).intent();
        assert_eq!(phase(&intent), Some(Phase::Returning), "{is_back}");
    }
    let intent = renamed(Phase::Returning, true).intent();
    assert!(intent.stalled.is_none());
}

/// A move whose object names another database than at the beginning.
fn renamed(phase: Phase, is_back: bool) -> Scene {
    let scene = Scene::in_phase(phase).at(Step::Copying);
    let mut scene = if is_back { scene.taken_back() } else { scene };
    let record = scene.found.record.take().unwrap();
    scene.found.record = Some(Record { database: "before".to_owned(), ..record });
    scene
}

#[test]
fn source_that_was_deleted_with_its_object_is_named() {
    for before in [Phase::Preparing, Phase::Copying, Phase::Returning, Phase::Failed] {
        let mut scene = Scene { bound: None, ..Scene::in_phase(before) };
        scene.found.embedded = EmbeddedParts { set: false, pod: false, ..scene::parts() };
        let stalled = scene.stalled();
        assert!(stalled.message.contains("not running; set spec.provider to postgres"), "{}", stalled.message);
    }
    let mut back = Scene { bound: None, ..Scene::in_phase(Phase::Copying).taken_back() };
    back.found.embedded = EmbeddedParts { set: false, pod: false, ..scene::parts() };
    assert!(manifest(&back.intent(), SET).is_some_and(|set| matches!(set.mode, Mode::Applied)));
}

#[test]
fn record_is_written_only_in_the_version_that_was_read() {
    let intent = Scene::in_phase(Phase::Preparing).at(Step::Copying).intent();
    assert!(manifest(&intent, "Secret/temporal-postgresdatabase-move").unwrap().is_guarded);
}

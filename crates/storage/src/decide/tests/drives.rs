//! What is reported of drives that are lost or being healed, and how soon they are looked at again.

use super::*;
use crate::{
    engine::{Drive, Healing},
    observed::Embedded,
};

const SOON: Duration = health::LOOK_SOON;
const DEGRADED: Duration = Duration::from_secs(10);

/// Four servers, of which something is changed.
fn four(change: impl Fn(&mut Embedded)) -> (ObjectStorage, Observed) {
    let object = sized(4);
    let mut observed = healthy(&object);
    change(engine(&mut observed));
    (object, observed)
}

/// The same, with a change of the last drive.
fn with_drive(change: impl Fn(&mut Drive)) -> (ObjectStorage, Observed) {
    four(|engine| {
        let Some(Ok(health)) = &mut engine.health else { panic!("no health") };
        change(&mut health.drives.as_mut().unwrap()[3]);
    })
}

/// The condition about the drives, as text.
fn told((object, observed): &(ObjectStorage, Observed)) -> String {
    condition(object, observed, "DrivesHealthy")
}

fn silent() -> Failure {
    refused(Code::SlowDown)
}

#[test]
fn drive_of_a_server_without_a_pod_is_offline() {
    let missing = four(|engine| drop(engine.pods.pop()));
    let pending = four(|engine| engine.pods[3].ip = None);
    let silent = four(|engine| {
        engine.pods.pop();
        engine.health = Some(Err(silent()));
    });
    for state in [missing, pending, silent] {
        let told = told(&state);
        assert!(told.contains("DrivesOffline") && told.contains("photos-objectstorage-3/data1"), "{told}");
        assert!(!told.contains("photos-objectstorage-0"), "{told}");
    }
}

#[test]
fn server_that_the_set_does_not_have_is_not_missed() {
    let stopping = four(|engine| {
        engine.pods.pop();
        engine.replicas = Some(0);
    });
    let told = told(&stopping);
    assert!(!told.contains("DrivesOffline"), "{told}");
}

#[test]
fn drive_that_two_sources_report_is_named_once() {
    let (object, mut observed) = with_drive(|drive| drive.is_online = false);
    engine(&mut observed).pods.pop();
    let told = told(&(object, observed));
    assert_eq!(told.matches("photos-objectstorage-3/data1").count(), 1, "{told}");
}

#[test]
fn drives_are_unknown_while_no_server_says_more() {
    let starting = four(|engine| {
        engine.pods.clear();
        engine.health = None;
    });
    let silent = four(|engine| engine.health = Some(Err(silent())));
    for (state, reason) in [(starting, "ChildrenNotReady"), (silent, "EngineUnreachable")] {
        let told = told(&state);
        assert!(told.contains("is_known: false") && told.contains(reason), "{told}");
    }
}

#[test]
fn lost_quorum_names_the_lost_drives() {
    let told = told(&four(|engine| {
        engine.pods.truncate(2);
        let Some(Ok(health)) = &mut engine.health else { panic!("no health") };
        health.can_write = Some(false);
    }));
    for part in ["QuorumLost", "photos-objectstorage-2/data1", "photos-objectstorage-3/data1"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn version_stands_while_only_the_drives_are_reported() {
    let (mut object, observed) = four(|engine| {
        let Some(Ok(health)) = &mut engine.health else { panic!("no health") };
        health.version = None;
    });
    let told = |object: &ObjectStorage| condition(object, &observed, "EngineMaintained");
    assert!(told(&object).contains("NotReported"));
    object.status = Some(ObjectStorageStatus {
        engine_version: Some("2026-09-16T00:00:00Z".to_owned()),
        ..ObjectStorageStatus::default()
    });
    assert!(told(&object).contains("AsExpected"));
}

#[test]
fn healing_is_told_with_its_progress() {
    for (restored, total, expected) in [
        (120, 1000, "(12 % of objects restored)"),
        (5000, 1000, "(99 % of objects restored)"),
        (1, 0, "(1 object restored)"),
        (u64::MAX, 1, "(99 % of objects restored)"),
    ] {
        let told = told(&with_drive(|drive| drive.healing = Some(Healing { restored, total })));
        assert!(told.contains("DrivesHealing") && told.contains(expected), "{told}");
    }
}

#[test]
fn degraded_engine_is_looked_at_more_often() {
    for (state, expected) in [
        (with_drive(|drive| drive.healing = Some(Healing::default())), SOON),
        (four(|engine| engine.pods[3].ready_seconds = Some(59)), SOON),
        (with_drive(|drive| drive.is_online = false), DEGRADED),
        (four(|engine| drop(engine.pods.pop())), DEGRADED),
        (four(|engine| (engine.pods[3].is_ready, engine.pods[3].ready_seconds) = (false, None)), DEGRADED),
        (four(|engine| engine.pods[3].ready_seconds = Some(60)), health::LOOK_EVERY),
    ] {
        let (object, observed) = &state;
        assert_eq!(intent_of(object, observed).look_again, Some(expected), "{}", told(&state));
    }
    // Of a single drive there is nothing to heal from.
    let object = sized(1);
    let mut observed = healthy(&object);
    engine(&mut observed).pods[0].ready_seconds = Some(1);
    assert_eq!(intent_of(&object, &observed).look_again, Some(health::LOOK_EVERY));
}

//! What makes a move impossible, found while the source serves.

use super::*;
use crate::moving::{Locale, Target};

/// The reason to refuse it, while Ready stays about the source.
fn refused(scene: Scene) -> String {
    let decision = scene.decide();
    assert!(decision.serving.is_some());
    let stalled = decision.intent.err().unwrap();
    assert_eq!(stalled.reason, reason::MOVE_BLOCKED, "{}", stalled.message);
    stalled.message
}

fn preparing() -> Scene {
    Scene::in_phase(Phase::Preparing)
}

#[track_caller]
fn assert_told(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn target_with_data_from_before_is_refused() {
    let cluster = Scene { has_cluster: true, ..Scene::new(Postgres, CloudNativePg, None) };
    assert_told(&refused(cluster), &["Cluster/temporal-postgresdatabase has data from before", "delete clusters"]);
    for from in [CloudNativePg, External] {
        let claim = Scene { has_claim: true, ..Scene::new(from, Postgres, None) };
        assert_told(&refused(claim), &["has data from before", "delete pvc data-temporal-postgresdatabase-0"]);
    }
}

#[test]
fn source_that_was_lost_is_refused() {
    let claim = Scene { has_claim: false, ..Scene::new(Postgres, CloudNativePg, None) };
    assert_told(&refused(claim), &["PersistentVolumeClaim/data-temporal-postgresdatabase-0 lost"]);
    let cluster = Scene { has_cluster: false, ..Scene::new(CloudNativePg, Postgres, None) };
    let told = ["Cluster/temporal-postgresdatabase lost", "delete secret temporal-postgresdatabase-binding"];
    assert_told(&refused(cluster), &told);
}

#[test]
fn older_server_is_refused() {
    let message = refused(preparing().with_target(Target { version: 160_010, ..target() }));
    assert_told(&message, &["PostgreSQL 16, the old one 17", "back to postgres"]);
    let newer = preparing().with_target(Target { version: 180_001, ..target() });
    assert!(newer.decide().intent.is_ok());
}

#[test]
fn extension_that_is_not_offered_is_refused() {
    let extensions = vec!["pg_trgm".to_owned(), "postgis".to_owned()];
    let offers =
        |names: &[&str]| Target { extensions: names.iter().map(|name| (*name).to_owned()).collect(), ..target() };
    let scene = || preparing().with_source(Source { extensions: extensions.clone(), ..source() });
    assert_told(&refused(scene().with_target(offers(&["pg_trgm"]))), &["does not offer postgis"]);
    assert!(scene().with_target(offers(&["pg_trgm", "postgis"])).decide().intent.is_ok());
}

#[test]
fn other_locale_is_refused() {
    let locale = |collate: &str| Locale {
        encoding: "UTF8".to_owned(),
        collate: collate.to_owned(),
        ctype: "C.UTF-8".to_owned(),
    };
    let scene = |old: &str| {
        let (source, target) = (source(), target());
        preparing()
            .with_source(Source { locale: locale(old), ..source })
            .with_target(Target { locale: locale("C.UTF-8"), ..target })
    };
    let told =
        ["locale C.UTF-8, the old one 'en_US'", "DROP DATABASE \"temporal\"; CREATE DATABASE", "LC_COLLATE 'en_US'"];
    assert_told(&refused(scene("en_US")), &told);
    assert!(scene("C.utf8").decide().intent.is_ok());
}

#[test]
fn database_that_lost_its_record_while_closed_is_named() {
    let closed = |scene: Scene| scene.with_source(Source { is_closed: true, ..source() });
    let cluster = Scene { has_cluster: true, ..Scene::new(Postgres, CloudNativePg, None) };
    let message = refused(closed(cluster));
    assert_told(&message, &["closed to clients", "set spec.provider back to postgres, which opens it"]);
    assert!(!message.contains("has data from before"), "{message}");
    assert_told(&refused(closed(Scene::new(External, Postgres, None))), &["RESET default_transaction_read_only"]);
}

#[test]
fn source_that_does_not_run_is_refused() {
    let mut scene = Scene::new(Postgres, CloudNativePg, None);
    scene.found.embedded = EmbeddedParts { set: false, pod: false, ..scene::parts() };
    assert_told(&refused(scene), &["not running; set spec.provider to postgres"]);
}

#[test]
fn replication_is_refused() {
    let replicated = preparing().with_source(Source { replication: 1, ..source() });
    assert_told(&refused(replicated), &["logical replication", "drop the subscriptions"]);
}

#[test]
fn volume_below_the_size_of_the_database_is_refused() {
    let big = || Source { size: 11 << 30, ..source() };
    assert_told(&refused(preparing().with_source(big())), &["cloudNativePg.storage.size is 10Gi", "12Gi or more"]);
    let mut roomy = preparing().with_source(big());
    roomy.spec = json!({"cloudNativePg": {"storage": {"size": "20Gi"}}});
    assert!(roomy.decide().intent.is_ok());
}

#[test]
fn target_that_is_not_empty_is_refused() {
    assert_told(&refused(preparing().with_target(Target { is_empty: false, ..target() })), &["not empty"]);
}

#[test]
fn writers_that_cannot_be_stopped_are_refused() {
    let prepared = preparing().with_source(Source { prepared: 2, ..source() });
    assert_told(&refused(prepared), &["2 prepared transactions", "commit or roll back"]);
    let external = |source| Scene::new(External, Postgres, Some(Phase::Preparing)).with_source(source);
    assert_told(&refused(external(Source { is_owned: false, ..source() })), &["does not own the database"]);
    let strangers = vec!["analyst".to_owned()];
    assert_told(&refused(external(Source { strangers, ..source() })), &["analyst are connected"]);
    assert!(external(source()).decide().intent.is_ok());
}

#[test]
fn another_name_of_the_database_is_refused() {
    let mut scene = Scene::new(Postgres, CloudNativePg, None);
    scene.spec = json!({"cloudNativePg": {}});
    let mut object = scene.object();
    object.spec.database = Some("other".to_owned());
    let decision = super::super::super::decide(&object, &scene.observed(), &crate::fixture::defaults());
    assert_told(&decision.intent.err().unwrap().message, &["changes its name to other"]);
}

#[test]
fn invalid_target_is_not_begun() {
    let mut scene = Scene::new(Postgres, CloudNativePg, None);
    scene.spec = json!({"cloudNativePg": {"instances": 0}});
    let decision = scene.decide();
    assert!(decision.serving.is_some());
    assert_eq!(decision.intent.err().unwrap().reason, reason::INVALID_SPEC);
}

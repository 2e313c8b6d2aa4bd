mod buckets;
mod drives;
mod messages;
mod owners;

use serde_json::json;
use temporal_stack_common::{
    api::ObjectStorageStatus,
    condition::Reason,
    login::LoginState,
    s3::{Code, Locking, Versioning},
};

use super::*;
use crate::{
    engine::Fact,
    fixture::{
        KEYS, annotated, bound, defaults, embedded, engine, external, facts, healthy, known, login, object, sized,
        with_bucket, with_status,
    },
    observed::{Facts, Found, Known, Refusal},
};

fn decision(object: &ObjectStorage, observed: &Observed) -> Decision<Storage> {
    decide(object, observed, &defaults())
}

fn intent_of(object: &ObjectStorage, observed: &Observed) -> Intent<Storage> {
    decision(object, observed).intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

fn stalled(object: &ObjectStorage, observed: &Observed) -> Reason {
    decision(object, observed).intent.err().unwrap().reason
}

fn waiting(object: &ObjectStorage, observed: &Observed) -> Option<Reason> {
    intent_of(object, observed).waiting.map(|waiting| waiting.reason)
}

fn actions_of(object: &ObjectStorage, observed: &Observed) -> Vec<String> {
    intent_of(object, observed).actions.iter().map(ToString::to_string).collect()
}

fn status_of(object: &ObjectStorage, observed: &Observed) -> ObjectStorageStatus {
    decision(object, observed).status
}

/// The condition of this type, as text.
fn condition(object: &ObjectStorage, observed: &Observed, kind: &str) -> String {
    let conditions = decision(object, observed).conditions;
    format!("{:?}", conditions.iter().find(|condition| condition.kind() == kind).unwrap())
}

/// A healthy engine in which the bucket has these facts.
fn with_facts(object: &ObjectStorage, facts: Facts) -> Observed {
    let mut observed = healthy(object);
    known(&mut observed).buckets.insert("albums".to_owned(), Found::Usable(facts));
    observed
}

fn refused(code: Code) -> Failure {
    let (address, request) = ("10.0.0.1:9000".to_owned(), "GET /".to_owned());
    Failure::Refused { address, request, status: 403, code, message: "no".to_owned() }
}

/// An object whose bucket has left the spec, with what is observed of the bucket.
fn left(policy: &str, found: Option<Found>) -> (ObjectStorage, Observed) {
    let object = with_status(object(&json!({})), "minio", &[("albums", policy)]);
    let mut observed = healthy(&with_bucket(&json!({})));
    match found {
        Some(found) => known(&mut observed).buckets.insert("albums".to_owned(), found),
        None => known(&mut observed).buckets.remove("albums"),
    };
    (object, observed)
}

fn content(is_empty: bool) -> Found {
    Found::Usable(Facts { is_empty: Some(is_empty), ..facts() })
}

#[test]
fn healthy_engine_needs_no_action() {
    for object in [with_bucket(&json!({})), sized(4), object(&json!({"provider": {"versity": {}}}))] {
        let intent = intent_of(&object, &healthy(&object));
        assert!(intent.actions.is_empty() && intent.waiting.is_none());
        assert_eq!(intent.look_again, Some(health::LOOK_EVERY));
    }
}

#[test]
fn provider_cannot_change_while_there_are_data() {
    let versity = object(&json!({"provider": {"versity": {}}}));
    let mut volumes = healthy(&sized(1));
    volumes.bound.clear();
    assert_eq!(stalled(&versity, &volumes), reason::PROVIDER_CHANGED);
    let buckets = with_status(versity.clone(), "external", &[("albums", "Retain")]);
    assert_eq!(stalled(&buckets, &embedded()), reason::PROVIDER_CHANGED);
    let status = status_of(&buckets, &embedded());
    assert_eq!((status.provider.as_deref(), status.buckets.len()), (Some("external"), 1));
    let external = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let mut elsewhere = self::external(Some(&KEYS), Survey::Known(Known::default()));
    elsewhere.claims = vec!["data1-photos-objectstorage-0".to_owned()];
    assert_eq!(stalled(&external, &elsewhere), reason::PROVIDER_CHANGED);
    let without = with_status(versity, "external", &[]);
    assert_eq!(waiting(&without, &embedded()), Some(reason::CHILDREN_NOT_READY));
}

#[test]
fn layout_cannot_change_while_there_are_volumes() {
    let mut observed = healthy(&sized(1));
    assert_eq!(stalled(&sized(4), &observed), reason::INVALID_SPEC);
    observed.claims.clear();
    assert!(decision(&sized(4), &observed).intent.is_ok());
}

#[test]
fn spec_that_the_schema_refuses_is_invalid() {
    for spec in [
        json!({"provider": {"minio": {"servers": 2}}}),
        json!({"provider": {"minio": {"drivesPerServer": 2}}}),
        json!({"provider": {"minio": {"servers": 4, "drivesPerServer": 17}}}),
        json!({"provider": {"minio": {}, "versity": {}}}),
        json!({"buckets": [{"name": "Albums"}]}),
        json!({"buckets": [{"name": "10.0.0.1"}]}),
        json!({"buckets": [{"name": "a..b"}]}),
        json!({"buckets": [{"name": "albums"}, {"name": "albums"}]}),
        json!({"buckets": [{"name": "albums", "objectLock": {"mode": "Governance", "days": 1}}]}),
        json!({"buckets": [{"name": "albums", "expirationDays": 0}]}),
        json!({"buckets": [{"name": "albums", "quota": "much"}]}),
    ] {
        assert_eq!(stalled(&object(&spec), &embedded()), reason::INVALID_SPEC, "{spec}");
    }
}

#[test]
fn servers_that_start_are_waited_for() {
    assert_eq!(waiting(&object(&json!({})), &embedded()), Some(reason::CHILDREN_NOT_READY));
    let object = sized(4);
    let mut observed = healthy(&object);
    engine(&mut observed).survey = Survey::Unasked;
    let mut lost = crate::fixture::health(4);
    lost.drives.as_mut().unwrap().iter_mut().skip(1).for_each(|drive| drive.is_online = false);
    engine(&mut observed).health = Some(Ok(lost));
    assert_eq!(waiting(&object, &observed), Some(reason::QUORUM_LOST));
}

#[test]
fn engine_that_refuses_its_root_stalls() {
    let object = sized(1);
    let mut observed = healthy(&object);
    engine(&mut observed).survey = Survey::Silent(refused(Code::SignatureDoesNotMatch));
    assert_eq!(stalled(&object, &observed), reason::ADMINISTRATOR_REFUSED);
    engine(&mut observed).survey = Survey::Silent(refused(Code::SlowDown));
    assert_eq!(waiting(&object, &observed), Some(reason::ENGINE_UNREACHABLE));
}

#[test]
fn full_stop_of_servers_is_waited_for_without_actions() {
    let object = annotated(sized(4), "temporal-stack.dev/full-restart", "now");
    let mut observed = healthy(&object);
    engine(&mut observed).roots.push(crate::fixture::root(2, Some("now"), "minio-4x1"));
    known(&mut observed).buckets.insert("albums".to_owned(), Found::Absent);
    assert_eq!(waiting(&object, &observed), Some(reason::FULL_RESTART));
    assert_eq!(actions_of(&object, &observed), [] as [String; 0]);
}

#[test]
fn lost_root_stalls_until_a_full_restart_is_permitted() {
    let object = sized(4);
    let mut observed = healthy(&object);
    engine(&mut observed).roots.clear();
    assert_eq!(stalled(&object, &observed), reason::SECRET_INCOMPLETE);
    let permitted = annotated(object, "temporal-stack.dev/full-restart", "now");
    assert!(decision(&permitted, &observed).intent.is_ok());
}

#[test]
fn server_restarts_only_when_it_says_that_it_may() {
    let gate = |servers: i32, may_stop: Option<bool>| {
        let object = sized(servers);
        let mut observed = healthy(&object);
        engine(&mut observed).may_stop = may_stop;
        engine(&mut observed).pods[0].is_outdated = true;
        intent_of(&object, &observed).restart
    };
    assert_eq!(gate(1, None), Gate::Open);
    assert_eq!(gate(4, Some(true)), Gate::Open);
    assert!(matches!(gate(4, Some(false)), Gate::Closed(_)));
    assert!(matches!(gate(4, None), Gate::Closed(_)));
}

#[test]
fn server_that_just_came_back_keeps_the_others_running() {
    let object = sized(4);
    let mut observed = healthy(&object);
    engine(&mut observed).may_stop = Some(true);
    engine(&mut observed).pods[0].is_outdated = true;
    engine(&mut observed).pods[3].ready_seconds = Some(19);
    assert!(matches!(intent_of(&object, &observed).restart, Gate::Closed(why) if why.contains("objectstorage-3")));
    engine(&mut observed).pods[3].ready_seconds = Some(20);
    assert_eq!(intent_of(&object, &observed).restart, Gate::Open);
}

#[test]
fn external_secret_is_probed_and_a_missing_one_stalls() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}, "buckets": [{"name": "albums"}]}));
    assert_eq!(stalled(&object, &external(None, Survey::Unasked)), reason::SECRET_MISSING);
    let buckets = [("albums".to_owned(), Found::Usable(facts()))].into_iter().collect();
    let mut observed = external(Some(&KEYS), Survey::Known(Known { buckets, ..Known::default() }));
    assert_eq!(waiting(&object, &observed), Some(reason::PREPARING), "its binding is written first");
    observed.bound.insert("albums".to_owned(), bound(1));
    let probe = intent_of(&object, &observed).probe.unwrap();
    assert!(probe.managed_by == ManagedBy::User && !probe.targets[0].access.is_restricted);
}

#[test]
fn failures_of_an_external_storage_name_who_must_act() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let silent = |code| external(Some(&KEYS), Survey::Silent(refused(code)));
    assert_eq!(stalled(&object, &silent(Code::InvalidAccessKeyId)), reason::LOGIN_REFUSED);
    assert_eq!(stalled(&object, &silent(Code::SignatureDoesNotMatch)), reason::LOGIN_REFUSED);
    assert_eq!(waiting(&object, &silent(Code::RequestTimeTooSkewed)), Some(reason::CLOCK_SKEWED));
}

#[test]
fn conditions_and_actions_show_no_key() {
    let lists = |object: &ObjectStorage, observed: &Observed| {
        let decision = decision(object, observed);
        let intent = decision.intent.unwrap();
        let actions: Vec<String> = intent.actions.iter().map(|action| format!("{action} {action:?}")).collect();
        format!("{:?} {actions:?} {:?} {:?}", decision.conditions, intent.probe, intent.manifests)
            + &serde_json::to_string(&decision.status).unwrap()
    };
    let object = with_bucket(&json!({}));
    let mut observed = healthy(&object);
    known(&mut observed).login_states.insert("albums".to_owned(), vec![LoginState::Absent]);
    let text = lists(&object, &observed);
    assert!(text.contains("set a login on bucket albums"), "{text}");
    for secret in ["key-id", "key-secret", "root-id", "root-secret"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn only_servers_of_the_controller_are_suspended() {
    let suspended = |provider: serde_json::Value| object(&json!({"suspend": true, "provider": provider}));
    let own = suspended(json!({"minio": {}}));
    let decided = decision(&own, &healthy(&own));
    assert!(decided.suspension.is_some() && decided.intent.is_ok());
    let theirs = suspended(json!({"external": {"secretName": "theirs"}}));
    let refused = decision(&theirs, &external(None, Survey::Unasked));
    assert_eq!((refused.intent.err().unwrap().reason.as_str(), refused.suspension), ("InvalidSpec", None));
}

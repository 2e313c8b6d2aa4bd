//! The conditions and events of an object, and how often they are written.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use temporal_stack_common::{component::Verdict, condition::reason, testkit::FakeApi};

use crate::{
    lamp::Lamp,
    stage::{Stage, time_passes},
};

fn failed() -> Verdict {
    Verdict::Failed { reason: reason::VERIFICATION_FAILED, message: "it is dark".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn ready_comes_after_a_verdict_about_the_newest_state() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red"})).await;
    let used = stage.product().used;
    assert!(used > 0);
    stage.product().verdict = failed();
    stage.edit_spec("x", json!({"colour": "blue"})).await;
    stage.until_reason("x", "VerificationFailed").await;
    assert!(stage.product().used > used);
    let ready = stage.condition("x", "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["message"]), (&json!("False"), &json!("it is dark")));
    assert_eq!(stage.condition("x", "Reconciling").unwrap()["reason"], "VerificationFailed");

    stage.product().verdict = Verdict::Verified("it shines".to_owned());
    stage.until_ready("x").await;
    assert_eq!(stage.condition("x", "Reconciling"), None);
}

#[tokio::test(start_paused = true)]
async fn pass_that_changed_something_takes_ready_back() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let before = stage.api.calls().len();
    stage.edit_spec("x", json!({"colour": "blue"})).await;
    stage.until_ready("x").await;
    let calls = &stage.api.calls()[before..];
    let said: Vec<_> = calls
        .iter()
        .filter(|call| call.resource == "lamps/status")
        .map(|call| call.body["status"]["conditions"][0]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(said.first(), Some(&"Applying"));
    assert_eq!(said.last(), Some(&"Verified"));
}

#[tokio::test(start_paused = true)]
async fn upkeep_keeps_ready() {
    let stage = Stage::new();
    stage.ready("x", json!({"say": "hi again"})).await;
    stage.product().told.clear();
    let before = stage.api.calls().len();
    stage.look_again("x").await;
    stage.api.until("it to be told", |_| (!stage.product().told.is_empty()).then_some(())).await;
    stage.until_ready("x").await;
    let statuses = stage.api.calls()[before..].iter().filter(|call| call.resource == "lamps/status").count();
    assert_eq!(statuses, 0);
}

#[tokio::test(start_paused = true)]
async fn repeated_futile_writes_back_off() {
    let stage = Stage::new();
    stage.product().forgets = true;
    stage.make("x", json!({"say": "hi"})).await;
    time_passes(60).await;
    let told = stage.product().told.len();
    // Ten times at once, then after 1, 2, 4, 8 and 16 seconds.
    assert!((11..=20).contains(&told), "{told}");
}

#[tokio::test(start_paused = true)]
async fn endless_different_writes_back_off() {
    let stage = Stage::new();
    stage.product().restless = true;
    stage.make("x", json!({})).await;
    time_passes(60).await;
    let told = stage.product().told.len();
    // 500 of a long rollout and ten more at once, then after 1, 2, 4, 8 and 16 seconds.
    assert!((511..=530).contains(&told), "{told}");
}

#[tokio::test(start_paused = true)]
async fn unready_object_is_reported_by_the_first_idle_pass() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let calls = stage.api.calls();
    let first_report = calls.iter().position(|call| call.resource == "lamps/status").unwrap();
    let last_write = calls.iter().rposition(|call| call.resource == "statefulsets").unwrap();
    assert!(first_report > last_write);
    assert_eq!(calls[first_report].body["status"]["conditions"][0]["reason"], "ChildrenNotReady");
}

#[tokio::test(start_paused = true)]
async fn component_is_verified_every_few_minutes() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    time_passes(30).await;
    let used = stage.product().used;
    time_passes(3 * 180).await;
    assert_eq!(stage.product().used, used + 3);
    stage.product().verdict = failed();
    stage.until_reason("x", "VerificationFailed").await;
}

#[tokio::test(start_paused = true)]
async fn changed_child_causes_a_new_verdict() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.look_again("x").await;
    let used = stage.product().used;
    stage.look_again("x").await;
    assert_eq!(stage.product().used, used);
    stage.edit::<ConfigMap>("x", json!({"data": {"theirs": "1"}})).await;
    time_passes(10).await;
    assert_eq!(stage.product().used, used + 1);
}

#[tokio::test(start_paused = true)]
async fn stalled_verdict_stalls_the_object() {
    let stage = Stage::new();
    stage.product().verdict = Verdict::Stalled { reason: reason::SECRET_INCOMPLETE, message: "no bulb".to_owned() };
    stage.make("x", json!({})).await;
    stage.until_reason("x", "SecretIncomplete").await;
    assert_eq!(stage.condition("x", "Stalled").unwrap()["message"], "no bulb");
    assert_eq!(stage.condition("x", "Reconciling"), None);
}

#[tokio::test(start_paused = true)]
async fn unready_children_are_named() {
    let stage = Stage::new();
    stage.api.admit("statefulsets", |set| {
        if set["status"].is_object() {
            set["status"]["readyReplicas"] = json!(1);
        }
    });
    stage.make("x", json!({"replicas": 3})).await;
    let said = || stage.condition("x", "Ready").map(|ready| ready["message"].clone());
    let wanted = json!("StatefulSet/x: 1 of 3 pods ready");
    stage.api.until("the missing pods", |_| (said().as_ref() == Some(&wanted)).then_some(())).await;
    assert_eq!(stage.reason("x").as_deref(), Some("ChildrenNotReady"));
    assert_eq!(stage.product().used, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_reported_while_children_are_created() {
    let stage = Stage::new();
    stage.make("x", json!({"colour": "dawn"})).await;
    // Together with the missing children, and alone when they exist.
    let said = || stage.condition("x", "Reconciling").map(|reconciling| reconciling["message"].to_string());
    let begins = |text: &str| said().filter(|said| said.starts_with(text)).map(drop);
    stage.api.until("the cause first", |_| begins("\"the sun must rise (StatefulSet/x: ")).await;
    stage.api.until("the cause alone", |_| begins("\"the sun must rise\"")).await;
    assert_eq!(stage.reason("x").as_deref(), Some("SecretMissing"));
    assert_eq!(stage.api.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn invalid_spec_stalls_before_anything_is_written() {
    let stage = Stage::new();
    stage.make("x", json!({"colour": "invisible"})).await;
    stage.until_reason("x", "InvalidSpec").await;
    assert_eq!(stage.api.writes(), [] as [&str; 0]);
    stage.edit_spec("x", json!({"colour": "red"})).await;
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn transition_time_survives_and_a_foreign_status_is_undone() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let old = "2001-01-01T00:00:00Z";
    let mut conditions = stage.object("lamps", "x")["status"]["conditions"].clone();
    conditions[0]["lastTransitionTime"] = json!(old);
    conditions[0]["message"] = json!("somebody was here");
    stage
        .others::<Lamp>()
        .patch_status(
            "x",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(json!({"status": {"conditions": conditions}})),
        )
        .await
        .unwrap();
    stage.look_again("x").await;
    let ready = stage.condition("x", "Ready").unwrap();
    assert_eq!((&ready["lastTransitionTime"], &ready["message"]), (&json!(old), &json!("it shines")));
}

#[tokio::test(start_paused = true)]
async fn each_transition_has_one_event() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    assert_eq!(stage.events("x"), ["ChildrenNotReady", "Verified"]);
    stage.look_again("x").await;
    time_passes(1800).await;
    assert_eq!(stage.events("x"), ["ChildrenNotReady", "Verified"]);
}

#[tokio::test(start_paused = true)]
async fn repeated_transition_is_one_event_with_a_count() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    for turn in 1..=3 {
        stage.product().verdict = failed();
        stage.edit::<ConfigMap>("x", json!({"data": {"theirs": turn.to_string()}})).await;
        stage.until_reason("x", "VerificationFailed").await;
        stage.product().verdict = Verdict::Verified("it shines".to_owned());
        stage.until_ready("x").await;
        time_passes(10).await;
    }
    assert_eq!(stage.events("x"), ["ChildrenNotReady", "VerificationFailed", "Verified"]);
    let counts: Vec<_> = stage.api.list("events").into_iter().map(|event| event["series"]["count"].clone()).collect();
    assert!(counts.contains(&json!(3)) && counts.contains(&json!(4)), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn first_passes_come_before_second_passes() {
    let api = FakeApi::new();
    let (stage, control) = Stage::standby(api);
    for n in 0..100 {
        stage.make(&format!("x-{n}"), json!({})).await;
    }
    control.lead();
    stage.until_ready("x-99").await;
    time_passes(60).await;
    let calls = stage.api.calls();
    let first_report = calls.iter().position(|call| call.resource == "lamps/status").unwrap();
    let sets = calls[..first_report].iter().filter(|call| call.resource == "statefulsets" && call.verb.is_write());
    let sets = sets.count();
    assert!(sets > 60, "{sets} objects were applied before the first report");
    assert!((0..100).all(|n| stage.reason(&format!("x-{n}")).as_deref() == Some("Verified")));
}

#[tokio::test(start_paused = true)]
async fn status_is_not_written_twice_while_the_watch_is_behind() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.product().verdict = failed();
    stage.api.hold_watches("lamps");
    let before = stage.api.calls().len();
    time_passes(600).await;
    let calls: Vec<_> = stage.api.calls()[before..].iter().map(|call| call.resource.clone()).collect();
    assert_eq!(calls, ["lamps/status", "events"]);
}

#[tokio::test(start_paused = true)]
async fn reordered_conditions_cause_no_write() {
    let stage = Stage::new();
    stage.api.admit("lamps", |lamp| {
        if let Some(conditions) = lamp["status"]["conditions"].as_array_mut() {
            conditions.sort_by_key(|condition| std::cmp::Reverse(condition["type"].to_string()));
        }
    });
    stage.make("x", json!({"colour": "dawn"})).await;
    stage.until_reason("x", "SecretMissing").await;
    stage.look_again("x").await;
    let before = stage.api.calls().len();
    time_passes(600).await;
    assert_eq!(stage.api.calls()[before..], []);
}

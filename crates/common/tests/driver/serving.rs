//! A product that serves while the intended one is prepared in its place.

use serde_json::{Value, json};
use temporal_stack_common::{component::Verdict, condition::reason};

use crate::stage::Stage;

/// Waits until the condition has this reason, and returns Ready.
async fn ready_beside(stage: &Stage, kind: &str, reason: &str) -> Value {
    let is_said = |_: &_| stage.condition("x", kind).filter(|said| said["reason"] == reason).map(drop);
    stage.api.until(reason, is_said).await;
    stage.condition("x", "Ready").unwrap()
}

#[tokio::test(start_paused = true)]
async fn ready_is_about_the_product_that_serves() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    let before = stage.api.calls().len();
    for (colour, kind, reason) in [("dawn", "Reconciling", "SecretMissing"), ("invisible", "Stalled", "InvalidSpec")] {
        stage.edit_spec("x", json!({"relieved": true, "colour": colour})).await;
        let ready = ready_beside(&stage, kind, reason).await;
        assert_eq!((&ready["status"], &ready["message"]), (&json!("True"), &json!("it shines")), "{colour}");
    }
    let statuses = stage.api.calls()[before..].to_vec();
    let mut statuses = statuses.iter().filter(|call| call.resource == "lamps/status");
    let is_ready = |conditions: &Value| {
        let mut all = conditions.as_array().unwrap().iter();
        all.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    assert!(statuses.all(|call| is_ready(&call.body["status"]["conditions"])));

    stage.edit_spec("x", json!({"relieved": false, "colour": "red"})).await;
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn failure_of_the_product_that_serves_takes_ready_back() {
    let stage = Stage::new();
    stage.ready("x", json!({})).await;
    stage.product().verdict = Verdict::Failed { reason: reason::VERIFICATION_FAILED, message: "it is dark".to_owned() };
    stage.edit_spec("x", json!({"relieved": true, "colour": "dawn"})).await;
    let ready = ready_beside(&stage, "Reconciling", "VerificationFailed").await;
    assert_eq!((&ready["status"], &ready["message"]), (&json!("False"), &json!("it is dark")));
}

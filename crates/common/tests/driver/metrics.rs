//! The states of objects in the metrics.

use serde_json::json;
use temporal_stack_common::testkit::FakeApi;

use crate::stage::Stage;

fn series(stage: &Stage, name: &str) -> Vec<String> {
    let text = stage.process.metrics.encode().unwrap();
    text.lines().filter(|line| line.starts_with(&format!("temporal_stack_{name}{{"))).map(str::to_owned).collect()
}

fn condition(name: &str, status: &str) -> String {
    let labels = format!(r#"kind="Lamp",object_namespace="a",object="{name}",condition="Ready",status="{status}""#);
    format!("temporal_stack_object_condition{{{labels}}} 1")
}

#[tokio::test(start_paused = true)]
async fn condition_of_an_object_is_a_series() {
    let stage = Stage::new();
    stage.product().panics.push(("bad".to_owned(), "decide"));
    stage.make("bad", json!({})).await;
    stage.until_reason("bad", "InternalError").await;
    stage.ready("good", json!({"say": "hi"})).await;
    let shown = |line: String| series(&stage, "object_condition").contains(&line).then_some(());
    stage.api.until("good is Ready", |_| shown(condition("good", "True"))).await;
    stage.api.until("bad is not Ready", |_| shown(condition("bad", "False"))).await;
    let conditions = series(&stage, "object_condition");
    assert!(!conditions.contains(&condition("good", "False")), "{conditions:?}");
}

#[tokio::test(start_paused = true)]
async fn object_is_pending_until_a_leader_reports_on_it() {
    let (stage, control) = Stage::standby(FakeApi::new());
    let has = |name: &str, value: u8| {
        let line = format!(r#"temporal_stack_{name}{{kind="Lamp"}} {value}"#);
        (series(&stage, name) == [line]).then_some(())
    };
    stage.api.until("nothing is pending", |_| has("objects_pending", 0)).await;
    stage.make("x", json!({"say": "hi"})).await;
    stage.api.until("x is pending", |_| has("objects_pending", 1)).await;
    assert_eq!(has("leading", 0), Some(()));
    control.lead();
    stage.until_ready("x").await;
    stage.api.until("x is reported", |_| has("objects_pending", 0)).await;
    assert_eq!(has("leading", 1), Some(()));
}

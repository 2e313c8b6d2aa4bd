//! The states of objects in the metrics.

use serde_json::json;
use temporal_stack_common::testkit::FakeApi;

use crate::stage::Stage;

fn series(stage: &Stage, name: &str) -> Vec<String> {
    let text = stage.process.metrics.encode().unwrap();
    text.lines().filter(|line| line.starts_with(&format!("temporal_stack_{name}{{"))).map(str::to_owned).collect()
}

fn condition(name: &str, status: &str, reason: &str) -> String {
    let object = format!(r#"kind="Lamp",object_namespace="a",object="{name}""#);
    let condition = format!(r#"condition="Ready",status="{status}",reason="{reason}""#);
    format!("temporal_stack_object_condition{{{object},{condition}}} 1")
}

#[tokio::test(start_paused = true)]
async fn condition_of_an_object_is_a_series() {
    let stage = Stage::new();
    stage.product().panics.push(("bad".to_owned(), "decide"));
    stage.make("bad", json!({})).await;
    stage.until_reason("bad", "InternalError").await;
    stage.ready("good", json!({"say": "hi"})).await;
    let shown = |line: String| series(&stage, "object_condition").contains(&line).then_some(());
    stage.api.until("good is Ready", |_| shown(condition("good", "True", "Verified"))).await;
    stage.api.until("bad is not Ready", |_| shown(condition("bad", "False", "InternalError"))).await;
    let ready = r#"condition="Ready""#;
    assert_eq!(series(&stage, "object_condition").iter().filter(|line| line.contains(ready)).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_result_of_a_pass_is_counted_from_zero() {
    let stage = Stage::new();
    stage.ready("x", json!({"say": "hi"})).await;
    let passes = series(&stage, "passes_total");
    assert_eq!(passes.len(), 6, "{passes:?}");
    assert!(passes.contains(&r#"temporal_stack_passes_total{result="panicked"} 0"#.to_owned()), "{passes:?}");
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

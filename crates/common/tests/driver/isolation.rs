//! A failing object, namespace or dependency does not delay the others.

use serde_json::json;
use temporal_stack_common::{
    process::Scope,
    testkit::{FakeApi, LogBuffer},
};
use tokio::time::Instant;

use crate::stage::{Stage, time_passes};

fn two_namespaces() -> Scope {
    Scope::Namespaces(vec!["a".to_owned(), "b".to_owned()])
}

fn message(stage: &Stage, name: &str) -> String {
    stage.condition(name, "Ready").unwrap()["message"].to_string()
}

#[tokio::test(start_paused = true)]
async fn panicking_pass_affects_only_its_object() {
    for place in ["observe", "decide", "carry out", "verify"] {
        let stage = Stage::new();
        stage.product().panics.push(("x".to_owned(), place));
        stage.make("x", json!({"say": "hi"})).await;
        stage.until_reason("x", "InternalError").await;
        let message = message(&stage, "x");
        assert!(message.contains(&format!("stage `{place}`")) && message.contains("lamp.rs:"), "{message}");
        assert!(!message.contains("password"), "{message}");
        let metrics = stage.process.metrics.encode().unwrap();
        assert!(!metrics.contains("temporal_stack_passes_total{result=\"panicked\"} 0"), "{metrics}");

        stage.ready("y", json!({"say": "hi"})).await;
        stage.product().panics.clear();
        stage.until_ready("x").await;
    }
}

#[tokio::test(start_paused = true)]
async fn pass_that_panics_is_retried_with_backoff() {
    let stage = Stage::new();
    stage.product().panics.push(("x".to_owned(), "decide"));
    stage.make("x", json!({})).await;
    stage.until_reason("x", "InternalError").await;
    let before = stage.product().passes;
    time_passes(900).await;
    let passes = stage.product().passes - before;
    assert!((8..=14).contains(&passes), "{passes} passes in a quarter of an hour");
}

#[tokio::test(start_paused = true)]
async fn pass_beyond_its_deadline_is_cancelled_and_reported() {
    let stage = Stage::new();
    stage.product().hangs.push("x".to_owned());
    stage.make("x", json!({})).await;
    stage.until_reason("x", "DeadlineExceeded").await;
    let message = message(&stage, "x");
    assert!(message.contains("stage `verify`"), "{message}");
    let metrics = stage.process.metrics.encode().unwrap();
    assert!(!metrics.contains("temporal_stack_passes_total{result=\"overran\"} 0"), "{metrics}");
    stage.product().hangs.clear();
    stage.until_ready("x").await;
}

#[tokio::test(start_paused = true)]
async fn many_slow_objects_do_not_keep_others_waiting() {
    let stage = Stage::new();
    let slow: Vec<String> = (0..40).map(|number| format!("slow-{number}")).collect();
    stage.product().hangs.extend(slow.iter().cloned());
    for name in &slow {
        stage.make(name, json!({})).await;
    }
    time_passes(20).await;
    let there = stage.within("b");
    let start = Instant::now();
    there.ready("x", json!({})).await;
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());

    // When all are known to be slow, no other object waits for them.
    time_passes(1800).await;
    let start = Instant::now();
    there.ready("y", json!({})).await;
    let here = there.within("a");
    here.ready("z", json!({})).await;
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn namespace_without_its_role_does_not_block_others() {
    for refused in ["lamps", "statefulsets", "configmaps", "services"] {
        let api = FakeApi::new();
        api.refuse(refused, "b", 403);
        let here = Stage::with(api.clone(), two_namespaces());
        here.ready("x", json!({})).await;
        assert!(here.process.ready.is_set());
        let there = here.within("b");
        there.make("x", json!({})).await;
        time_passes(600).await;
        let writes = api.calls().into_iter().filter(|call| call.namespace == "b").count();
        assert_eq!(writes, 0, "{refused}: nothing is done where it is not known what exists");

        api.permit_all();
        there.until_ready("x").await;
    }
}

#[tokio::test(start_paused = true)]
async fn absent_kind_is_picked_up_when_it_appears() {
    let buffer = LogBuffer::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(buffer.clone()).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let api = FakeApi::new();
    api.refuse("lamps", "", 404);
    let stage = Stage::with(api.clone(), Scope::Cluster);
    time_passes(600).await;
    assert!(!stage.process.ready.is_set());
    let is_missing = |line: &&str| line.contains("WARN") && line.contains("CustomResourceDefinition/lamps");
    let log = buffer.text();
    let lines: Vec<&str> = log.lines().filter(is_missing).collect();
    assert!((1..4).contains(&lines.len()), "{} lines in ten minutes: {log}", lines.len());
    assert!(lines[0].contains("is missing; install it"), "{log}");
    api.permit_all();
    stage.ready("x", json!({})).await;
    assert!(stage.process.ready.is_set());
    assert!(buffer.text().contains("is working again"), "{}", buffer.text());
}

#[tokio::test(start_paused = true)]
async fn large_configuration_is_used_and_not_kept() {
    let stage = Stage::new();
    let filler = "x".repeat(100 << 10);
    stage.config_map("lamp-config", json!({"colour": "gold", "filler": filler})).await;
    stage.ready("x", json!({"colour": "red"})).await;
    assert_eq!(stage.object("configmaps", "x")["data"]["colour"], "gold");
    let reads = |stage: &Stage| {
        let calls = stage.api.calls();
        calls.iter().filter(|call| call.to_string() == "get configmaps/lamp-config").count()
    };
    let before = reads(&stage);
    stage.look_again("x").await;
    time_passes(5).await;
    assert!(reads(&stage) > before);
}

#[tokio::test(start_paused = true)]
async fn configuration_is_read_once_for_each_version() {
    let stage = Stage::new();
    stage.config_map("lamp-config", json!({"colour": "gold"})).await;
    stage.ready("x", json!({"colour": "red"})).await;
    let before = stage.api.calls().len();
    for _ in 0..5 {
        stage.look_again("x").await;
        time_passes(200).await;
    }
    assert_eq!(stage.api.calls()[before..], []);
}

#[tokio::test(start_paused = true)]
async fn restored_cluster_replaces_the_cache() {
    let stage = Stage::new();
    stage.ready("x", json!({"colour": "red"})).await;
    let before = stage.api.snapshot();
    for colour in ["blue", "green", "pink"] {
        stage.edit_spec("x", json!({"colour": colour})).await;
        stage.until_ready("x").await;
    }
    stage.ready("y", json!({})).await;
    stage.api.restore(&before);
    time_passes(60).await;
    // Children that were still written for an object of the lost time are garbage-collected with their owner.
    stage.api.collect_garbage();
    time_passes(10).await;
    let colour = || stage.object("configmaps", "x")["data"]["colour"].clone();
    assert_eq!(colour(), "red");
    let calls = stage.api.calls().len();
    time_passes(120).await;
    assert_eq!(stage.api.calls()[calls..], [], "what was restored is as it should be");

    // Versions of the lost time are not waited for.
    stage.edit_spec("x", json!({"colour": "gold"})).await;
    time_passes(5).await;
    assert_eq!((colour(), stage.reason("x").as_deref()), ("gold".into(), Some("Verified")));
    stage.ready("y", json!({})).await;
}

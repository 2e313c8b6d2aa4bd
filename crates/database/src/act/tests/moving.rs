//! A change of the provider while the database of a server elsewhere serves, which does not answer here.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret, storage::v1::StorageClass};

use super::*;
use crate::moving::Move;

const RECORD: &str = "temporal-postgresdatabase-move";
const BINDING: &str = "temporal-postgresdatabase-binding";

/// A database elsewhere, with its binding, in a cluster with volumes.
async fn elsewhere(api: &FakeApi) -> Value {
    let class = json!({
        "metadata": {"name": "disk", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "example.com/disk",
    });
    let class: StorageClass = serde_json::from_value(class).unwrap();
    Api::all(api.others()).create(&PostParams::default(), &class).await.unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"},
        "data": {"host": "MTI3LjAuMC4x", "port": "MQ==", "username": "dQ==", "password": "cA==", "database": "ZA=="},
    });
    let secret = serde_json::from_value(secret).unwrap();
    objects::<Secret>(api).create(&PostParams::default(), &secret).await.unwrap();
    let object = json!({
        "apiVersion": "temporal-stack.dev/v1alpha1", "kind": "PostgresDatabase", "metadata": {"name": "temporal"},
        "spec": {"provider": {"external": {"secretName": "theirs"}}},
    });
    let object = serde_json::from_value(object).unwrap();
    objects::<PostgresDatabase>(api).create(&PostParams::default(), &object).await.unwrap();
    api.until("the binding", |api| api.get("secrets", "a", BINDING).filter(|binding| binding.get("data").is_some()))
        .await
}

async fn name(api: &FakeApi, provider: Value) {
    let mut all = json!({"postgres": null, "cloudNativePg": null, "external": null});
    all.as_object_mut().into_iter().zip(provider.as_object()).for_each(|(all, one)| all.extend(one.clone()));
    let patch = Patch::Merge(json!({"spec": {"provider": all}}));
    objects::<PostgresDatabase>(api).patch("temporal", &PatchParams::default(), &patch).await.unwrap();
}

fn bound(api: &FakeApi) -> Value {
    api.get("secrets", "a", BINDING).unwrap()["data"].clone()
}

/// Waits until the target is there.
async fn until_prepared(api: &FakeApi, kind: &str) {
    api.until("the target", |api| api.get(kind, "a", CLUSTER)).await;
    api.until("the condition", |api| {
        let object = object(api)?;
        let mut conditions = object["status"]["conditions"].as_array()?.iter();
        conditions.find(|condition| condition["type"] == "Moving" && condition["reason"] == "Preparing").map(drop)
    })
    .await;
}

async fn until_returned(api: &FakeApi, kind: &str) {
    api.until("the end of the target", |api| api.get(kind, "a", CLUSTER).is_none().then_some(())).await;
    api.until("the end of the record", |api| api.get("secrets", "a", RECORD).is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn target_is_made_after_its_record_and_goes_with_the_change() {
    for (provider, kind) in [(json!({"postgres": {}}), "statefulsets"), (json!({"cloudNativePg": {}}), "clusters")] {
        let (api, _control) = start();
        let binding = elsewhere(&api).await["data"].clone();
        let before = api.writes().len();
        name(&api, provider).await;
        until_prepared(&api, kind).await;
        let writes = api.writes()[before..].to_vec();
        let at = |write: &str| writes.iter().position(|made| made.starts_with(write));
        let (record, target) = (at(&format!("create secrets/{RECORD}")), at(&format!("create {kind}/{CLUSTER}")));
        assert!(record.is_some() && record < target, "{writes:#?}");
        assert_eq!(bound(&api), binding, "the binding has changed");

        name(&api, json!({"external": {"secretName": "theirs"}})).await;
        until_returned(&api, kind).await;
        assert_eq!(bound(&api), binding, "the binding has changed");
        assert!(api.get("secrets", "a", "theirs").is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn move_goes_on_after_the_process_has_ended() {
    let (api, control) = start();
    let binding = elsewhere(&api).await["data"].clone();
    name(&api, json!({"postgres": {}})).await;
    api.until("the record", |api| api.get("secrets", "a", RECORD)).await;
    drop(control);
    let control = drive(&api);
    until_prepared(&api, "statefulsets").await;
    drop(control);
    // The next one finds another spec.
    name(&api, json!({"external": {"secretName": "theirs"}})).await;
    let _control = drive(&api);
    until_returned(&api, "statefulsets").await;
    assert_eq!(bound(&api), binding);
    assert!(objects::<StatefulSet>(&api).list(&kube::api::ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_a_record_that_another_writer_has_changed() {
    let (api, _control) = start();
    elsewhere(&api).await;
    name(&api, json!({"postgres": {}})).await;
    until_prepared(&api, "statefulsets").await;
    api.refuse_next("secrets", 409, "it has changed");
    let before = api.calls().len();
    name(&api, json!({"external": {"secretName": "theirs"}})).await;
    until_returned(&api, "statefulsets").await;
    let calls = api.calls()[before..].iter().map(ToString::to_string).collect::<Vec<_>>();
    let at = |part: &str| calls.iter().position(|call| call.contains(part));
    let (record, gone) = (at(RECORD), at("delete"));
    assert!(record.is_some() && record < gone, "{calls:#?}");
    let again = calls.iter().enumerate().filter(|(_, call)| call.contains(RECORD)).nth(1).map(|(at, _)| at);
    assert!(again < gone, "{calls:#?}");
}

#[test]
fn object_that_is_deleted_during_a_move_opens_the_server_elsewhere() {
    let endpoint = temporal_stack_common::address::Endpoint { host: "db".to_owned(), port: 5432 };
    let part = |text: &str| text.to_owned();
    let theirs = Access { endpoint, username: part("u"), password: part("p"), scope: part("theirs") };
    let opened = |from, phase, is_closed| {
        let record = Record {
            way: Move { from, to: ProviderName::CloudNativePg },
            phase,
            is_closed,
            failure: None,
            attempt: None,
            database: part("temporal"),
            theirs: (from == ProviderName::External).then(|| theirs.clone()),
        };
        opening(&record.secret("r".to_owned())).map(|action| action.to_string())
    };
    for phase in [Phase::Copying, Phase::Returning] {
        let action = opened(ProviderName::External, phase, true);
        assert_eq!(action.as_deref(), Some("open database theirs to clients"));
        assert_eq!(opened(ProviderName::Postgres, phase, true), None);
    }
    assert_eq!(opened(ProviderName::External, Phase::Preparing, false), None);
    assert_eq!(opened(ProviderName::External, Phase::Switched, true), None, "its data are old");
}

#[tokio::test(start_paused = true)]
async fn object_that_moves_has_a_finalizer() {
    let (api, _control) = start();
    elsewhere(&api).await;
    assert_eq!(object(&api).unwrap()["metadata"].get("finalizers"), None);
    name(&api, json!({"postgres": {}})).await;
    api.until("the finalizer", |api| object(api)?["metadata"]["finalizers"].as_array().cloned()).await;
    name(&api, json!({"external": {"secretName": "theirs"}})).await;
    let is_free = |api: &FakeApi| object(api)?["metadata"]["finalizers"].as_array()?.is_empty().then_some(());
    api.until("its end", is_free).await;
}

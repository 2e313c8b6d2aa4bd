//! What the API server refuses, and what the controller says of what got past it.

use anyhow::{Result, bail, ensure};
use e2e::{
    Controller, Space, Subject as _, prepare::api_server, snapshot::children, subject::assert_told, with_namespace,
};
use serde_json::{Value, json};
use temporal_stack_common::api::Temporal;

use super::{complete, siblings, spec, waits_for_the_broker, with_controller};
use crate::schema::{SCHEMA, put, put_past_the_schema, stalled, unparsable};

#[tokio::test]
async fn impossible_temporal_is_refused_with_the_reason() {
    let cluster = api_server().await.expect("an API server");
    let _in_force = SCHEMA.lock().await;
    let attempt = async |space: &Space, name: &str, spec: &Value, parts: &str| -> Result<()> {
        let Err(error) = put::<Temporal>(space, name, spec, true).await else { bail!("{name} with {spec} was taken") };
        let error = format!("{error:?}");
        ensure!(error.contains(parts), "`{parts}` is not in: {error}");
        Ok(())
    };
    with_namespace(&cluster, async |space| {
        let api = |fields: Value| json!({"api": fields});
        let workers = |replicas: i32| json!({"workers": {"keyCreation": {"replicas": replicas}}});
        for (spec, parts) in [
            (api(json!({"replicas": 0})), "must be 1 to 100"),
            (api(json!({"replicas": -1})), "must be 1 to 100"),
            (api(json!({"replicas": 101})), "must be 1 to 100"),
            (api(json!({"drainSeconds": 0})), "must be 1 to 3600"),
            (api(json!({"drainSeconds": 3601})), "must be 1 to 3600"),
            (api(json!({"service": {"type": "ExternalName"}})), "Unsupported value: \"ExternalName\""),
            (workers(-1), "must be 0 to 100"),
            (workers(101), "must be 0 to 100"),
            (json!({"database": {"name": ""}}), "must not be empty"),
            (json!({"queue": {"name": ""}}), "must not be empty"),
            (json!({"ipfs": {"name": ""}}), "must not be empty"),
            (json!({"database": {}}), "spec.database.name: Required value"),
            (json!({"bridge": "Perhaps"}), "Unsupported value: \"Perhaps\""),
            (json!({"krab": {"storage": {"size": "plenty"}}}), "must be a quantity above zero"),
            (json!({"krab": {"storage": {"size": "0"}}}), "must be a quantity above zero"),
            (json!({"krab": {"storage": {"size": "-1Gi"}}}), "must be a quantity above zero"),
            (json!({"ingress": {"host": ""}}), "must not be empty"),
            (json!({"ingress": {}}), "spec.ingress.host: Required value"),
            (json!({"admins": [{"secretName": ""}]}), "must not be empty"),
            (json!({"deletionPolicy": "Shred"}), "Unsupported value: \"Shred\""),
            (json!({"rollout": "Never"}), "Unsupported value: \"Never\""),
        ] {
            attempt(space, "temporal", &spec, parts).await?;
        }
        attempt(space, &"x".repeat(36), &json!({}), "metadata.name: at most 35 characters").await?;
        attempt(space, "1st", &json!({}), "must be a DNS label that starts with a letter").await?;
        attempt(space, "a.b", &json!({}), "must be a DNS label that starts with a letter").await?;
        // Just what is allowed.
        let most = json!({"api": {"replicas": 100, "drainSeconds": 3600}, "workers": {"pin": {"replicas": 0}}});
        put::<Temporal>(space, &"x".repeat(35), &most, true).await
    })
    .await;
}

#[tokio::test]
async fn unparsable_temporal_is_reported_and_others_go_on() {
    let cluster = &api_server().await.expect("an API server");
    let schema = SCHEMA.lock().await;
    with_namespace(cluster, async |space| {
        let past = unparsable();
        put_past_the_schema::<Temporal>(space, std::slice::from_ref(&past)).await?;
        drop(schema);

        let controller = Controller::start::<Temporal>(space).await?;
        let (name, _, parts) = &past;
        assert_told(&stalled::<Temporal>(space, name, "Unparsable").await?, parts)?;
        ensure!(children(space).await?.is_empty(), "something was made");
        siblings(space).await?;
        space.one::<Temporal>().create(&spec(&json!({}))).await?;
        complete(&space.one(), &controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn volume_without_a_class_names_the_field_to_set() {
    with_controller(async |space, _| {
        siblings(space).await?;
        let mut wanted = spec(&json!({}));
        wanted["krab"] = json!({"storage": {"size": "1Gi"}});
        space.create(&wanted).await?;
        let field = "spec.krab.storage.storageClassName";
        space.stalled("NoStorageClass", &[field, "no default StorageClass", "set the field"]).await?;
        space.patch(&json!({"spec": {"krab": {"storage": {"storageClassName": "missing"}}}})).await?;
        space.stalled("StorageClassMissing", &[field, "neither StorageClass missing nor a PersistentVolume"]).await?;
        space.patch(&json!({"spec": Temporal::embedded()})).await?;
        waits_for_the_broker(space).await
    })
    .await;
}

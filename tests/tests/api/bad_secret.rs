//! Secrets of users that are missing, lack a key, or lead nowhere.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Space,
    database::{NAME, assert_told, child::BINDING, condition_of, embedded, external},
    snapshot::children,
    until,
};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Condition};
use kube::api::{ObjectMeta, Patch, PatchParams};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{PostgresDatabase, label},
    condition::STALLED,
};

use crate::{
    step::{complete, quiet},
    with_controller,
};

/// Writes the user's Secret, with the label that has an edit acted on at once.
async fn write(space: &Space, name: &str, keys: &Value) -> Result<()> {
    let bytes = |value: &Value| ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let data = keys.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), bytes(value))).collect();
    let labels = [(label::CONFIG.to_owned(), "true".to_owned())].into();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    // Not `stringData`: what is left out there stays in the object.
    let secret = Secret { metadata, data: Some(data), ..Secret::default() };
    space.api::<Secret>().patch(name, &PatchParams::apply("user").force(), &Patch::Apply(secret)).await?;
    Ok(())
}

fn complete_keys() -> Value {
    json!({"host": "127.0.0.1", "port": "1", "username": "u", "password": "s3cret", "database": "d"})
}

/// Waits until it is stalled and says these words.
async fn stalled_about(space: &Space, words: &str) -> Result<Condition> {
    let stalled = |object: &PostgresDatabase| {
        condition_of(object, STALLED).filter(|stalled| stalled.message.contains(words)).cloned()
    };
    let what = format!("Stalled with `{words}`");
    let object = until(&space.databases(), NAME, &what, |object| stalled(object).is_some()).await?;
    stalled(&object).context("it was stalled")
}

#[tokio::test]
async fn an_external_secret_is_asked_for_key_by_key_until_it_is_complete() {
    const FIELD: &str = "spec.provider.external.secretName";
    with_controller(async |space, controller| {
        space.create(&external("theirs")).await?;
        space
            .stalled("SecretMissing", &[FIELD, "no Secret/theirs", "host, port, username, password and database"])
            .await?;
        for key in ["host", "username", "password", "database"] {
            let mut keys = complete_keys();
            keys.as_object_mut().map(|keys| keys.remove(key));
            write(space, "theirs", &keys).await?;
            let about = format!("key {key} is absent or empty; set it");
            let stalled = stalled_about(space, &about).await?;
            ensure!(stalled.reason == "SecretIncomplete", "{stalled:?}");
            assert_told(&stalled, &[FIELD, "Secret/theirs"])?;
        }
        let mut keys = complete_keys();
        keys["port"] = json!("99999");
        write(space, "theirs", &keys).await?;
        stalled_about(space, "port is no port number; set it to 1 to 65535").await?;
        ensure!(children(space).await?.is_empty(), "something was made");

        write(space, "theirs", &complete_keys()).await?;
        let reconciling = space.condition("Reconciling", "True", "VerificationFailed").await?;
        assert_told(&reconciling, &["127.0.0.1"])?;
        ensure!(!reconciling.message.contains("s3cret"), "the password is told: {}", reconciling.message);
        until(&space.api::<Secret>(), BINDING, "been made", |_| true).await?;
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_password_that_the_spec_refers_to_is_asked_for() {
    with_controller(async |space, controller| {
        let mut spec = embedded();
        spec["username"] = json!("app");
        spec["password"] = json!({"secretName": "word"});
        space.create(&spec).await?;
        space.stalled("SecretMissing", &["spec.password.secretName", "no Secret/word", "key password"]).await?;
        write(space, "word", &json!({"other": "x"})).await?;
        space.stalled("SecretIncomplete", &["spec.password", "key password of Secret/word", "set it"]).await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        write(space, "word", &json!({"password": "s3cret"})).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

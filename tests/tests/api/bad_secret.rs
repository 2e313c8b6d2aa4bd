//! Secrets of users that are missing, lack a key, or lead nowhere.

use anyhow::ensure;
use e2e::{Subject, database::embedded, snapshot::children, subject::condition_of, until};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::{
    api::{ObjectStorage, PostgresDatabase},
    condition::{RECONCILING, STALLED},
};

use crate::{
    step::{complete, complete_secret, ensure_untold, quiet, write_secret},
    with_controller,
};

e2e::for_each_kind!(incomplete_external_secret_reports_each_missing_key);

async fn incomplete_external_secret_reports_each_missing_key<K: Subject>() {
    const FIELD: &str = "spec.provider.external.secretName";
    with_controller::<K>(async |space, controller| {
        space.create(&K::external("theirs")).await?;
        space.stalled("SecretMissing", &[&[FIELD, "Secret/theirs does not exist"], K::THEIRS].concat()).await?;
        let complete = complete_secret("s3cret");
        for key in K::THEIRS {
            let mut keys = complete.clone();
            keys.as_object_mut().map(|keys| keys.remove(*key));
            write_secret(space, "theirs", &keys).await?;
            let about = format!("key {key} is absent or empty");
            let parts = [FIELD, "Secret/theirs", &about];
            space.condition_about(STALLED, "True", "SecretIncomplete", &parts).await?;
        }
        let mut keys = complete.clone();
        let (key, value, parts) = K::WRONG;
        keys[key] = json!(value);
        write_secret(space, "theirs", &keys).await?;
        space.condition_about(STALLED, "True", "SecretIncomplete", &[parts]).await?;
        ensure!(children(space).await?.is_empty(), "something was made");

        write_secret(space, "theirs", &complete).await?;
        space
            .until("been tried at its address", |object| {
                condition_of(object, RECONCILING).is_some_and(|condition| condition.message.contains("127.0.0.1"))
            })
            .await?;
        // There is no binding for a bucket that nobody has seen.
        if K::PROGRAM != ObjectStorage::PROGRAM {
            until(&space.api::<Secret>(), &K::binding(), "been made", |_| true).await?;
        }
        quiet(space, controller).await?;
        ensure_untold(space, controller, "s3cret").await
    })
    .await;
}

#[tokio::test]
async fn missing_password_secret_is_reported_until_created() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let mut spec = embedded();
        spec["username"] = json!("app");
        spec["password"] = json!({"secretName": "word"});
        space.create(&spec).await?;
        space
            .stalled("SecretMissing", &["spec.password.secretName", "Secret/word does not exist", "key password"])
            .await?;
        write_secret(space, "word", &json!({"other": "x"})).await?;
        space
            .stalled(
                "SecretIncomplete",
                &["spec.password", "Secret/word", "the key password is absent or empty, found other"],
            )
            .await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        write_secret(space, "word", &json!({"password": "s3cret"})).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

//! Secrets of users that are missing, lack a key, or lead nowhere.

use anyhow::ensure;
use e2e::{
    Subject,
    database::embedded,
    snapshot::children,
    subject::{condition_of, external},
    until,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use temporal_stack_common::{
    api::PostgresDatabase,
    condition::{RECONCILING, STALLED},
};

use crate::{
    step::{complete, complete_secret, ensure_untold, quiet, write_secret},
    with_controller,
};

for_each_kind!(an_external_secret_is_asked_for_key_by_key_until_it_is_complete);

async fn an_external_secret_is_asked_for_key_by_key_until_it_is_complete<K: Subject>() {
    const FIELD: &str = "spec.provider.external.secretName";
    with_controller::<K>(async |space, controller| {
        space.create(&external("theirs")).await?;
        space.stalled("SecretMissing", &[&[FIELD, "no Secret/theirs"], K::THEIRS].concat()).await?;
        let complete = complete_secret("s3cret");
        for key in K::THEIRS {
            let mut keys = complete.clone();
            keys.as_object_mut().map(|keys| keys.remove(*key));
            write_secret(space, "theirs", &keys).await?;
            let about = format!("key {key} is absent or empty");
            let told = [FIELD, "Secret/theirs", &about];
            space.condition_about(STALLED, "True", "SecretIncomplete", &told).await?;
        }
        let mut keys = complete.clone();
        keys["port"] = json!("99999");
        write_secret(space, "theirs", &keys).await?;
        let told = ["port is no port number; set it to 1 to 65535"];
        space.condition_about(STALLED, "True", "SecretIncomplete", &told).await?;
        ensure!(children(space).await?.is_empty(), "something was made");

        write_secret(space, "theirs", &complete).await?;
        space
            .until("been tried at its address", |object| {
                condition_of(object, RECONCILING).is_some_and(|condition| condition.message.contains("127.0.0.1"))
            })
            .await?;
        until(&space.api::<Secret>(), &K::binding(), "been made", |_| true).await?;
        quiet(space, controller).await?;
        ensure_untold(space, controller, "s3cret").await
    })
    .await;
}

#[tokio::test]
async fn a_password_that_the_spec_refers_to_is_asked_for() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let mut spec = embedded();
        spec["username"] = json!("app");
        spec["password"] = json!({"secretName": "word"});
        space.create(&spec).await?;
        space.stalled("SecretMissing", &["spec.password.secretName", "no Secret/word", "key password"]).await?;
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

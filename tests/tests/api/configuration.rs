//! The seed's ConfigMap, line by line of `keys.md`: what is honoured, adapted or refused, and what it says.
//!
//! What becomes of it on the server is tested where there is one.

use anyhow::{Result, ensure};
use e2e::{
    Space,
    database::{
        assert_told,
        child::{FIRST_LOGIN, SECOND_LOGIN},
        condition_of, embedded,
    },
    until,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PostParams;
use serde_json::{Value, json};
use temporal_stack_common::{api::PostgresDatabase, binding::text, condition::CONFIG_HONOURED};

use crate::{
    step::{self, complete, ensure_untold, quiet},
    with_controller,
};

const SEED: &str = include_str!("../../fixtures/seed/postgres-config.yaml");

async fn configure(space: &Space, data: &Value) -> Result<()> {
    step::configure(space, "postgres-config", data).await
}

/// Writes the ConfigMap, and waits until the condition says so with these words.
async fn said(space: &Space, data: &Value, status: &str, reason: &str, parts: &[&str]) -> Result<PostgresDatabase> {
    configure(space, data).await?;
    let what = format!("ConfigHonoured {status}/{reason} with {parts:?}");
    until(&space.databases(), e2e::database::NAME, &what, |object| {
        condition_of(object, CONFIG_HONOURED).is_some_and(|honoured| {
            honoured.status == status && honoured.reason == reason && assert_told(honoured, parts).is_ok()
        })
    })
    .await
}

async fn login(space: &Space, name: &str) -> Result<(String, String)> {
    let secret = until(&space.api::<Secret>(), name, "been made", |_| true).await?;
    let value = |key| text(&secret, key).unwrap_or_default().to_owned();
    Ok((value("username"), value("password")))
}

#[tokio::test]
async fn unchanged_seed_is_adapted() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let seed: ConfigMap = serde_saphyr::from_str(SEED)?;
        space.api::<ConfigMap>().create(&PostParams::default(), &seed).await?;
        space.create(&embedded()).await?;
        complete(space, controller).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        let superuser = "POSTGRES_USER is created as a plain login";
        assert_told(
            &honoured,
            &["ConfigMap/postgres-config", superuser, "not a superuser", "POSTGRES_PASSWORD is in a ConfigMap"],
        )?;
        ensure!(!honoured.message.contains("POSTGRES_DB"), "{}", honoured.message);
        let taken = login(space, FIRST_LOGIN).await?;
        ensure!(taken == ("postgres".to_owned(), "password123".to_owned()), "{}", taken.0);
        ensure_untold(space, controller, "password123").await
    })
    .await;
}

#[tokio::test]
async fn each_key_of_the_config_map_gets_its_ruling() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        space.create(&embedded()).await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        for (data, status, reason, parts) in [
            (json!({"POSTGRES_DB": "other"}), "True", "AsWritten", vec!["is used as written"]),
            (json!({"POSTGRES_DB": ""}), "False", "Refused", vec!["POSTGRES_DB is empty", "give another name"]),
            (
                json!({"POSTGRES_DB": "template1"}),
                "False",
                "Refused",
                vec!["POSTGRES_DB", "keeps for itself", "give another name"],
            ),
            (json!({"POSTGRES_DB": "x".repeat(57)}), "False", "Refused", vec!["POSTGRES_DB is longer than 56 bytes"]),
            (
                json!({"POSTGRES_USER": "pg_me"}),
                "False",
                "Refused",
                vec!["POSTGRES_USER begins with pg_", "give another name"],
            ),
            (json!({"POSTGRES_USER": ""}), "False", "Refused", vec!["POSTGRES_USER is empty"]),
            (
                json!({"POSTGRES_PASSWORD": ""}),
                "False",
                "Refused",
                vec!["POSTGRES_PASSWORD is empty", "remove the key"],
            ),
            (
                json!({"POSTGRES_USERNAME": "x"}),
                "True",
                "Adapted",
                vec!["POSTGRES_USERNAME is not a known key", "did you mean POSTGRES_USER?"],
            ),
            (json!({"CLUSTER_SECRET": "x"}), "True", "Adapted", vec!["CLUSTER_SECRET is not a known key", "ignored"]),
        ] {
            said(space, &data, status, reason, &parts).await?;
        }
        // Of all this nothing was so bad that it stops the database.
        complete(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn named_login_follows_the_config_map_or_keeps_its_password() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        configure(space, &json!({"POSTGRES_USER": "app", "POSTGRES_PASSWORD": "a 'b' \\c"})).await?;
        space.create(&embedded()).await?;
        complete(space, controller).await?;
        let first = login(space, FIRST_LOGIN).await?;
        ensure!(first == ("app".to_owned(), "a 'b' \\c".to_owned()), "quote, space and backslash were not kept");

        configure(space, &json!({"POSTGRES_USER": "app", "POSTGRES_PASSWORD": "changed1"})).await?;
        ensure!(
            login(space, SECOND_LOGIN).await? == ("app".to_owned(), "changed1".to_owned()),
            "the change was not taken"
        );

        said(space, &json!({"POSTGRES_USER": "app"}), "True", "AsWritten", &[]).await?;
        quiet(space, controller).await?;
        let third = SECOND_LOGIN.replace('2', "3");
        ensure!(space.api::<Secret>().get_opt(&third).await?.is_none(), "the last password did not stay");

        configure(space, &json!({"POSTGRES_USER": "other"})).await?;
        ensure!(login(space, &third).await?.0 == "other", "the other login was not made");
        ensure_untold(space, controller, "changed1").await
    })
    .await;
}

#[tokio::test]
async fn named_config_map_is_read_and_named() {
    with_controller::<PostgresDatabase>(async |space, controller| {
        let map = json!({"metadata": {"name": "mine"}, "data": {"POSTGRES_USER": "app", "POSTGRES_PORT": "1"}});
        space.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map)?).await?;
        let mut spec = embedded();
        spec["config"] = json!({"configMap": "mine"});
        space.create(&spec).await?;
        complete(space, controller).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(&honoured, &["ConfigMap/mine", "POSTGRES_PORT is not a known key"])?;
        ensure!(login(space, FIRST_LOGIN).await?.0 == "app", "the login is another");
        Ok(())
    })
    .await;
}

//! The user's ConfigMap beside references: what is honoured, adapted or refused, and what it says. Whatever stands in it, what
//! runs goes on.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PostParams;
use serde_json::{Value, json};
use temporal_stack_common::condition::CONFIG_HONOURED;

use super::{CONFIG, Subjects, complete, made, spec, text, with_controller};
use crate::step::{configure, ensure_untold, quiet};

const ENVIRONMENT: &str = "temporal-temporal-environment";

async fn said(space: &Subjects<'_>, data: &Value, status: &str, reason: &str, parts: &[&str]) -> Result<()> {
    configure(space, CONFIG, data).await?;
    space.condition_about(CONFIG_HONOURED, status, reason, parts).await.map(drop)
}

/// What the API and the workers are told.
async fn environment(space: &Subjects<'_>) -> Result<String> {
    let secret = space.api::<Secret>().get(ENVIRONMENT).await?;
    Ok(serde_json::to_string(&secret.data)?)
}

#[tokio::test]
async fn seed_with_references_uses_the_bindings_addresses() {
    with_controller(async |space, controller| {
        let mut seed: ConfigMap = serde_saphyr::from_str(include_str!("../../../fixtures/seed/temporal-config.yaml"))?;
        seed.metadata.namespace = None;
        space.api::<ConfigMap>().create(&PostParams::default(), &seed).await?;
        made(space, controller, &json!({})).await?;
        let parts = [
            "ConfigMap/temporal-config",
            "DATABASE_URL is overridden by spec.database",
            "DATABASE_PORT is overridden by spec.database",
            "DATABASE_USERNAME is overridden by spec.database",
            "DATABASE_PASSWORD is overridden by spec.database",
            "RABBITMQ_URL is overridden by spec.queue",
            "IPFS_KEYSTORE_PATH is replaced by the key server's volume",
        ];
        let honoured = space.condition_about(CONFIG_HONOURED, "True", "Adapted", &parts).await?;
        for key in ["CONFIG_DAG", "DATABASE_NAME", "CERTPATH", "KEYPATH", "CONNECTION_HOST", "CONNECTION_PORT"] {
            ensure!(!honoured.message.contains(key), "nothing is to be said of {key}: {}", honoured.message);
        }
        for (key, value) in [
            ("DATABASE_URL", "127.0.0.1"),
            ("DATABASE_PORT", "1"),
            ("API_CONNECTION_CERTIFICATES_CERTPATH", "/temporal/api.cert"),
            ("API_CONNECTION_LIMIT", "1000000"),
            ("LOGDIR", "/var/log/temporal/"),
        ] {
            let parts = text(space, ENVIRONMENT, key).await?;
            ensure!(parts == value, "{key} is {parts}");
        }
        ensure_untold(space, controller, "password123").await
    })
    .await;
}

#[tokio::test]
async fn each_key_gets_its_ruling_and_refused_keys_change_nothing() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        let before = environment(space).await?;
        let numbers = "is not a whole number above 0; the default is used until you correct it";
        for (data, parts) in [
            (json!({"API_CONNECTION_LIMIT": "many"}), vec!["API_CONNECTION_LIMIT", numbers]),
            (json!({"API_CONNECTION_LIMIT": "-1"}), vec!["API_CONNECTION_LIMIT", numbers]),
            (json!({"API_SIZE_LIMIT_IN_GIGA_BYTES": "1GB"}), vec!["API_SIZE_LIMIT_IN_GIGA_BYTES", numbers]),
            (
                json!({"SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE": "fast"}),
                vec!["SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE is not a whole number", "correct it"],
            ),
            (json!({"CONFIG_DAG": "/config.json"}), vec!["CONFIG_DAG names a file", "remove it"]),
            (
                json!({"DATABASE_NAME": "other"}),
                vec!["DATABASE_NAME is not used", "the name temporal is built into Temporal"],
            ),
            (
                json!({"API_CONNECTION_CERTIFICATES_CERTPATH": "api.cert"}),
                vec!["API_CONNECTION_CERTIFICATES_CERTPATH is not an absolute path of a file"],
            ),
            (json!({"LOGDIR": "logs"}), vec!["LOGDIR is not an absolute path of a directory"]),
            (
                json!({"RABBITMQ_TLSCONFIG_CERTFILE": "/tls/cert"}),
                vec!["RABBITMQ_TLSCONFIG_CERTFILE names a file that exists in no pod"],
            ),
        ] {
            said(space, &data, "False", "Refused", &[&[&*format!("ConfigMap/{CONFIG}: ")], &parts[..]].concat())
                .await?;
            quiet(space, controller).await?;
            ensure!(environment(space).await? == before, "{data} has changed the environment");
        }
        for (data, reason, parts) in [
            (json!({"API_CONECTION_LIMIT": "5"}), "Adapted", vec!["did you mean API_CONNECTION_LIMIT?"]),
            (
                json!({"CLUSTER_SECRET": "x", "POSTGRES_DB": "y"}),
                "Adapted",
                vec!["CLUSTER_SECRET is not a known key", "POSTGRES_DB is not a known key"],
            ),
            (
                json!({"not a NAME at all".replace(' ', "."): "x"}),
                "Adapted",
                vec!["not.a.NAME.at.all is not a known key"],
            ),
            (json!({"DATABASE_URL": "elsewhere"}), "Adapted", vec!["DATABASE_URL is overridden by spec.database"]),
            (json!({"WALLETS_BTC": "x"}), "Adapted", vec!["WALLETS_BTC is not read by Temporal"]),
            (
                json!({"API_CONNECTION_CERTIFICATES_KEYPATH": "/api.key"}),
                "Adapted",
                vec!["API_CONNECTION_CERTIFICATES_KEYPATH is not used", "set both, or neither"],
            ),
            (json!({}), "AsWritten", vec!["is used as written"]),
            (json!({"API_JWT_REALM": "", "API_CONNECTION_CERTIFICATES_CERTPATH": ""}), "AsWritten", vec![]),
        ] {
            said(space, &data, "True", reason, &parts).await?;
            quiet(space, controller).await?;
            ensure!(environment(space).await? == before, "{data} has changed the environment");
        }
        said(
            space,
            &json!({"API_JWT_REALM": "mine", "LOGDIR": "/logs"}),
            "True",
            "Adapted",
            &["LOGDIR lacks a trailing /"],
        )
        .await?;
        complete(space, controller).await?;
        ensure!(text(space, ENVIRONMENT, "API_JWT_REALM").await? == "mine");
        ensure!(text(space, ENVIRONMENT, "LOGDIR").await? == "/logs/");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn oversized_values_are_refused_and_long_lists_counted() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        let before = environment(space).await?;
        // A ConfigMap takes 1 MiB in all.
        let much = "x".repeat(900 * 1024);
        let parts = ["SENDGRID_EMAILNAME is not passed", "at most 64 KiB of text", "shorten it"];
        // One that is too long to be remembered is read by every pass.
        said(space, &json!({"SENDGRID_EMAILNAME": much}), "False", "Refused", &parts).await?;
        ensure!(environment(space).await? == before, "the environment has changed");
        said(space, &json!({"UNKNOWN": much}), "False", "Refused", &["UNKNOWN is not passed"]).await?;

        // More than a condition has room for.
        let keys: Value = (0..2_000).map(|n| (format!("UNKNOWN_{n}_{}", "X".repeat(50)), json!("x"))).collect();
        configure(space, CONFIG, &keys).await?;
        let honoured = space.condition_about(CONFIG_HONOURED, "True", "Adapted", &["is not a known key"]).await?;
        println!("what is said of 2000 unknown keys: {} bytes", honoured.message.len());
        ensure!(
            honoured.message.len() <= 32 * 1024,
            "a condition takes 32 KiB, this one has {}",
            honoured.message.len()
        );
        said(space, &json!({}), "True", "AsWritten", &[]).await?;
        complete(space, controller).await?;
        ensure!(environment(space).await? == before, "the environment has changed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn named_config_map_is_read_and_named() {
    with_controller(async |space, controller| {
        configure(space, "mine", &json!({"API_JWT_REALM": "mine", "CLUSTER_ID": "x"})).await?;
        configure(space, CONFIG, &json!({"API_JWT_REALM": "not mine"})).await?;
        super::siblings(space).await?;
        space.create(&spec(&json!({"config": {"configMap": "mine"}}))).await?;
        complete(space, controller).await?;
        space.condition_about(CONFIG_HONOURED, "True", "Adapted", &["ConfigMap/mine: CLUSTER_ID"]).await?;
        ensure!(text(space, ENVIRONMENT, "API_JWT_REALM").await? == "mine");
        Ok(())
    })
    .await;
}

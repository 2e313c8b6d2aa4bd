//! Bindings that Temporal cannot use, and those that lead nowhere.

use anyhow::{Result, ensure};
use e2e::{Space, snapshot::children};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{MessageQueue, PostgresDatabase},
    condition::RECONCILING,
};

use super::{
    PASSWORD, Sibling as _, bind, content, made, sibling, siblings, spec, waits_for_the_broker, with_controller,
};
use crate::step::{configure, ensure_untold, quiet};

/// The binding of a database, with another value.
async fn bind_database(space: &Space, key: &str, value: &str) -> Result<()> {
    let mut keys = PostgresDatabase::bound();
    keys[key] = json!(value);
    bind::<PostgresDatabase>(space, &keys).await
}

#[tokio::test]
async fn unusable_database_is_named_with_the_reason() {
    with_controller(async |space, controller| {
        siblings(space).await?;
        bind_database(space, "database", "other").await?;
        space.create(&spec(&json!({}))).await?;
        let parts = [
            "PostgresDatabase/temporal",
            "its database is other",
            "the name temporal is built into Temporal",
            "POSTGRES_DB",
        ];
        space.stalled("UnusableBinding", &parts).await?;
        space.condition_about("DependenciesReady", "False", "UnusableBinding", &parts).await?;
        ensure!(children(space).await?.is_empty(), "something was made");

        // What is Stalled is looked at again after half a minute: a change that is noticed sooner was seen by the watch.
        for (key, wrong, parts) in [
            ("password", format!("{PASSWORD}'"), "its password contains a quote"),
            ("password", format!("\"{PASSWORD}"), "its password contains a quote"),
            ("password", format!("{PASSWORD} {PASSWORD}"), "its password contains a space"),
            ("password", format!("{PASSWORD}\n"), "its password contains a space"),
            ("password", format!("{PASSWORD}\\"), "its password contains a backslash"),
            ("username", "a'b".to_owned(), "its login contains a quote"),
        ] {
            bind_database(space, key, &wrong).await?;
            let parts = ["PostgresDatabase/temporal", parts, "use letters and digits"];
            space.condition_about("Stalled", "True", "UnusableBinding", &parts).await?;
            ensure_untold(space, controller, PASSWORD).await?;
        }
        ensure!(children(space).await?.is_empty(), "something was made");
        sibling_corrected(space).await?;
        waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        ensure_untold(space, controller, PASSWORD).await
    })
    .await;
}

async fn sibling_corrected(space: &Space) -> Result<()> {
    bind::<PostgresDatabase>(space, &PostgresDatabase::bound()).await
}

#[tokio::test]
async fn later_unusable_credential_changes_no_child() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        let before = content(space).await?;
        bind_database(space, "password", &format!("{PASSWORD} x")).await?;
        space.stalled("UnusableBinding", &["its password contains a space"]).await?;
        quiet(space, controller).await?;
        ensure!(content(space).await? == before, "children have changed");
        sibling_corrected(space).await?;
        waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        ensure!(content(space).await? == before, "children have changed");

        // One that can be used goes to those who read it.
        bind_database(space, "password", "another").await?;
        let environment = "temporal-temporal-environment";
        let has_it = |secret: &k8s_openapi::api::core::v1::Secret| {
            temporal_stack_common::binding::text(secret, "DATABASE_PASSWORD") == Some("another")
        };
        e2e::until(&space.api(), environment, "the other password", has_it).await?;
        quiet(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn silent_broker_is_named_without_its_password() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        space.condition_about("QueuesServed", "False", "BrokerUnreachable", &["RabbitMQ", "refused"]).await?;
        ensure_untold(space, controller, PASSWORD).await?;
        // It may be anything: its owner is another controller.
        for uri in [
            format!("amqp://app:{PASSWORD}@127.0.0.1:none/temporal"),
            format!("amqp://app:{PASSWORD}@/temporal"),
            PASSWORD.to_string(),
            format!("http://app:{PASSWORD}@127.0.0.1:1/"),
        ] {
            bind::<MessageQueue>(space, &json!({"uri": uri})).await?;
            quiet(space, controller).await?;
            space.condition_about(RECONCILING, "True", "BrokerUnreachable", &["RabbitMQ"]).await?;
            ensure_untold(space, controller, PASSWORD).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn incomplete_binding_is_waited_for() {
    with_controller(async |space, _| {
        siblings(space).await?;
        let mut keys = PostgresDatabase::bound();
        keys.as_object_mut().map(|keys| keys.remove("password"));
        bind::<PostgresDatabase>(space, &keys).await?;
        space.create(&spec(&json!({}))).await?;
        let parts = ["PostgresDatabase/temporal is Ready, but its binding is missing or incomplete"];
        space.condition_about(RECONCILING, "True", "DependencyNotReady", &parts).await?;
        sibling_corrected(space).await?;
        waits_for_the_broker(space).await
    })
    .await;
}

#[tokio::test]
async fn password_that_breaks_the_connection_string_is_refused() {
    with_controller(async |space, controller| {
        sibling::<MessageQueue>(space).await?;
        sibling::<temporal_stack_common::api::IpfsCluster>(space).await?;
        let mut wanted = spec(&json!({}));
        wanted["database"] = Value::Null;
        space.create(&wanted).await?;
        let users = |password: &str| json!({"DATABASE_URL": "database.invalid", "DATABASE_PASSWORD": password});
        for (wrong, parts) in [("'", "a quote"), (" ", "a space"), ("\\", "a backslash")] {
            configure(space, super::CONFIG, &users(&format!("{PASSWORD}{wrong}"))).await?;
            let parts = ["ConfigMap/temporal-config: DATABASE_PASSWORD", parts];
            space.condition_about("Stalled", "True", "UnusableBinding", &parts).await?;
        }
        configure(space, super::CONFIG, &users(PASSWORD)).await?;
        waits_for_the_broker(space).await?;
        ensure_untold(space, controller, PASSWORD).await
    })
    .await;
}

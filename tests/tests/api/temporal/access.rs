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
async fn a_database_that_temporal_cannot_use_is_named_with_what_is_wrong_with_it() {
    with_controller(async |space, controller| {
        siblings(space).await?;
        bind_database(space, "database", "other").await?;
        space.create(&spec(&json!({}))).await?;
        let told =
            ["PostgresDatabase/temporal", "its database is other", "has the name temporal built in", "POSTGRES_DB"];
        space.stalled("UnusableBinding", &told).await?;
        space.condition_about("DependenciesReady", "False", "UnusableBinding", &told).await?;
        ensure!(children(space).await?.is_empty(), "something was made");

        // What is Stalled is looked at again after half a minute: a change that is noticed sooner was seen by the watch.
        for (key, wrong, told) in [
            ("password", format!("{PASSWORD}'"), "its password has a quote"),
            ("password", format!("\"{PASSWORD}"), "its password has a quote"),
            ("password", format!("{PASSWORD} {PASSWORD}"), "its password has a space"),
            ("password", format!("{PASSWORD}\n"), "its password has a space"),
            ("password", format!("{PASSWORD}\\"), "its password has a backslash"),
            ("username", "a'b".to_owned(), "its login has a quote"),
        ] {
            bind_database(space, key, &wrong).await?;
            let told = ["PostgresDatabase/temporal", told, "use letters and digits"];
            space.condition_about("Stalled", "True", "UnusableBinding", &told).await?;
            ensure_untold(space, controller, PASSWORD).await?;
        }
        ensure!(children(space).await?.is_empty(), "something was made");
        sibling_mended(space).await?;
        waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        ensure_untold(space, controller, PASSWORD).await
    })
    .await;
}

async fn sibling_mended(space: &Space) -> Result<()> {
    bind::<PostgresDatabase>(space, &PostgresDatabase::bound()).await
}

#[tokio::test]
async fn a_credential_that_cannot_be_used_later_on_changes_nothing_of_what_was_made() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        let before = content(space).await?;
        bind_database(space, "password", &format!("{PASSWORD} x")).await?;
        space.stalled("UnusableBinding", &["its password has a space"]).await?;
        quiet(space, controller).await?;
        ensure!(content(space).await? == before, "children have changed");
        sibling_mended(space).await?;
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
async fn a_broker_that_does_not_answer_is_named_without_its_password() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        space.condition_about("QueuesServed", "False", "Unreachable", &["RabbitMQ", "refused"]).await?;
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
            space.condition_about(RECONCILING, "True", "Unreachable", &["RabbitMQ"]).await?;
            ensure_untold(space, controller, PASSWORD).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_binding_that_lacks_a_key_is_waited_for() {
    with_controller(async |space, _| {
        siblings(space).await?;
        let mut keys = PostgresDatabase::bound();
        keys.as_object_mut().map(|keys| keys.remove("password"));
        bind::<PostgresDatabase>(space, &keys).await?;
        space.create(&spec(&json!({}))).await?;
        let told = ["PostgresDatabase/temporal is Ready and its binding is not to be read yet"];
        space.condition_about(RECONCILING, "True", "DependencyNotReady", &told).await?;
        sibling_mended(space).await?;
        waits_for_the_broker(space).await
    })
    .await;
}

#[tokio::test]
async fn a_password_of_the_users_own_that_breaks_the_connection_string_is_refused_by_the_name_of_its_key() {
    with_controller(async |space, controller| {
        sibling::<MessageQueue>(space).await?;
        sibling::<temporal_stack_common::api::IpfsCluster>(space).await?;
        let mut wanted = spec(&json!({}));
        wanted["database"] = Value::Null;
        space.create(&wanted).await?;
        let users = |password: &str| json!({"DATABASE_URL": "database.invalid", "DATABASE_PASSWORD": password});
        for (wrong, told) in [("'", "a quote"), (" ", "a space"), ("\\", "a backslash")] {
            configure(space, super::CONFIG, &users(&format!("{PASSWORD}{wrong}"))).await?;
            let told = ["ConfigMap/temporal-config: DATABASE_PASSWORD", told];
            space.condition_about("Stalled", "True", "UnusableBinding", &told).await?;
        }
        configure(space, super::CONFIG, &users(PASSWORD)).await?;
        waits_for_the_broker(space).await?;
        ensure_untold(space, controller, PASSWORD).await
    })
    .await;
}

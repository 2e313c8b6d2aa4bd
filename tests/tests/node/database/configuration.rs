use anyhow::{Result, ensure};
use e2e::{Binding, Space};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use temporal_stack_common::condition::CONFIG_HONOURED;

use crate::database::{embedded, made, with_space};

/// A password that breaks what is put together without care.
const AWKWARD: &str = r#"it's a "word" with \ and % and @:/?#"#;

/// Writes the seed's ConfigMap with these values.
async fn configure(space: &Space, values: &[(&str, &str)]) -> Result<()> {
    let data: serde_json::Map<_, _> = values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "postgres-config"}, "data": data});
    let params = PatchParams::apply("e2e").force();
    space.api::<ConfigMap>().patch("postgres-config", &params, &Patch::Apply(map)).await?;
    Ok(())
}

async fn until(space: &Space, what: &str, wanted: impl Fn(&Binding) -> bool) -> Result<Binding> {
    let binding = space.until_binding(what, wanted).await?;
    space.ready().await?;
    Ok(binding)
}

#[tokio::test]
async fn each_configuration_change_is_applied_and_loses_nothing() {
    with_space(async |space| {
        let (database, user, password) = ("POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD");
        configure(space, &[(database, "first"), (user, "alice"), (password, "one")]).await?;
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let alice = space.binding().await?;
        ensure!((alice.scope.as_str(), alice.username.as_str(), alice.password.as_str()) == ("first", "alice", "one"));
        let session = space.connect(&alice).await?;
        session.run("create table kept (n int); insert into kept select generate_series(1, 100)").await?;

        configure(space, &[(database, "second"), (user, "alice"), (password, "one")]).await?;
        let second = until(space, "the second database", |binding| binding.scope == "second").await?;
        watch.step("another database after");
        let tables = "select count(*) from pg_tables where schemaname = 'public'";
        ensure!(space.connect(&second).await?.one(tables).await? == "0", "the second database is not new");
        let rows = space.connect(&alice).await?.one("select count(*) from kept").await?;
        ensure!(rows == "100", "the first database has {rows} rows");

        configure(space, &[(database, "second"), (user, "bob"), (password, "one")]).await?;
        let bob = until(space, "the login bob", |binding| binding.username == "bob").await?;
        watch.step("another login after");
        let session = space.connect(&bob).await?;
        ensure!(session.one("select session_user || ' as ' || current_user").await? == "bob as second_owner");

        configure(space, &[(database, "second"), (user, "bob"), (password, AWKWARD)]).await?;
        let awkward = until(space, "the awkward password", |binding| binding.password == AWKWARD).await?;
        watch.step("another password after");
        // The session is opened with the binding's uri.
        ensure!(space.connect(&awkward).await?.one("select session_user").await? == "bob");
        ensure!(space.connect(&bob).await.is_err(), "the password before still works");
        ensure!(space.run_in_pod("select session_user").await? == "bob");
        watch.step("and used in a pod after");

        configure(space, &[(database, "second"), (user, "bob")]).await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        space.ready().await?;
        ensure!(space.binding().await? == awkward, "the last password did not stay");
        ensure!(space.connect(&awkward).await?.one("select session_user").await? == "bob");
        Ok(())
    })
    .await;
}

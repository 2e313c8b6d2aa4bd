use anyhow::{Result, ensure};
use e2e::{Space, sql::until_answer};
use serde_json::json;

use crate::database::{embedded, made, with_space};

/// An edit that says nothing, so that the controller looks at once and not when its verdict is old.
async fn look(space: &Space, why: &str) -> Result<()> {
    space.annotate("e2e", &json!(why)).await.map(drop)
}

#[tokio::test]
async fn foreign_change_on_the_server_is_undone() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({}))).await?;
        let binding = space.binding().await?;
        let administrator = space.administrator().await?;
        let user = &binding.username;

        administrator.run(&format!("alter role {user} superuser createrole bypassrls")).await?;
        look(space, "power").await?;
        let powers = format!("select rolsuper or rolcreaterole or rolbypassrls from pg_roles where rolname = '{user}'");
        until_answer(&administrator, &powers, "f").await?;
        watch.step("a login that was given power has none after");

        administrator.run(&format!("alter role {user} password 'theirs'")).await?;
        look(space, "password").await?;
        ensure!(space.until_connects().await?.one("select session_user").await? == *user);
        watch.step("a login whose password was changed has the binding's after");

        administrator.run(&format!("alter role {user} nologin connection limit 0")).await?;
        look(space, "login").await?;
        ensure!(space.until_connects().await?.one("select session_user").await? == *user);
        watch.step("a login that may not log in may after");

        administrator.run(&format!("alter database temporal owner to {}", "temporal_stack_administrator")).await?;
        administrator.run(&format!("revoke temporal_owner from {user}")).await?;
        look(space, "owner").await?;
        let owner = "select datdba::regrole::text from pg_database where datname = 'temporal'";
        until_answer(&administrator, owner, "temporal_owner").await?;
        let member = format!("select pg_has_role('{user}', 'temporal_owner', 'member')");
        until_answer(&administrator, &member, "t").await?;
        watch.step("a database that was given to another belongs to its owner after");

        space.ready().await?;
        ensure!(space.binding().await? == binding, "the binding has changed");
        Ok(())
    })
    .await;
}

use anyhow::{Result, ensure};
use e2e::Space;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use temporal_stack_common::api::label;

use crate::database::{application, embedded, made, with_space};

/// Gives the login of the test this password.
async fn give(space: &Space, password: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mine", "labels": {label::CONFIG: "true"}},
        "stringData": {"password": password},
    });
    let params = PatchParams::apply("e2e").force();
    space.api::<Secret>().patch("mine", &params, &Patch::Apply(secret)).await?;
    Ok(())
}

#[tokio::test]
async fn named_login_fails_only_until_the_binding_is_read_again() {
    with_space(async |space| {
        give(space, "the first password").await?;
        let spec = embedded(&json!({"username": "me", "password": {"secretName": "mine"}}));
        let mut watch = made(space, &spec).await?;
        let first = space.binding().await?;
        ensure!((first.username.as_str(), first.password.as_str()) == ("me", "the first password"));
        let session = space.connect(&first).await?;
        let application = application::start(space, 0).await?;
        application.answered(first.login, 20).await?;
        watch.step("a second's worth of connections after");

        give(space, "the second password").await?;
        let second = space.until_binding("the second password", |binding| binding.password != first.password).await?;
        watch.step("rotated in place after");
        ensure!((second.username.as_str(), second.password.as_str()) == ("me", "the second password"));
        application.answered(second.login, 60).await?;

        let outcome = application.outcome();
        let failed = |login| outcome.failed.get(&login).map_or(0, Vec::len);
        println!(
            "connections by login: {:?}; failed before the binding was read again: {}",
            outcome.answered,
            failed(first.login)
        );
        ensure!(failed(second.login) == 0, "connections failed after the binding was read again: {outcome:?}");
        ensure!(session.one("select current_user = 'temporal_owner'").await? == "t", "the session before has ended");
        ensure!(space.connect(&first).await.is_err(), "the password before still works");
        space.ready().await?;
        Ok(())
    })
    .await;
}

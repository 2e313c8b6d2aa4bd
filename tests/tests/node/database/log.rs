use anyhow::ensure;
use e2e::host::SERVER;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{LogParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::database::{made, with_space};

#[tokio::test]
async fn logging_every_statement_logs_no_password() {
    with_space(async |space| {
        let (old, new) = ("the-password-before", "the-password-after");
        let map: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "postgres-config"},
            "data": {"POSTGRES_USER": "me", "POSTGRES_PASSWORD": old},
        }))?;
        let maps = space.api::<ConfigMap>();
        maps.create(&PostParams::default(), &map).await?;
        let parameters = json!({"log_statement": "all", "log_min_duration_statement": "0", "log_connections": "on"});
        let postgres = json!({"storage": {"size": "1Gi"}, "parameters": parameters});
        made(space, &json!({"provider": {"postgres": postgres}})).await?;
        let patch = Patch::Merge(json!({"data": {"POSTGRES_PASSWORD": new}}));
        maps.patch("postgres-config", &PatchParams::default(), &patch).await?;
        space.until_binding("the new password", |binding| binding.password == new).await?;
        space.ready().await?;

        let pods = space.api::<Pod>();
        let params = |container: &str| LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        let served = pods.logs(SERVER, &params("postgres")).await?;
        let initialised = pods.logs(SERVER, &params("initialise")).await?;
        let set = served.lines().filter(|line| line.contains("PASSWORD") && line.contains("SCRAM-SHA-256$")).count();
        println!("{} lines in the log, {set} of them set a password", served.lines().count());
        ensure!(set >= 2, "the log does not show the statements that set the passwords:\n{served}");
        let administrator = space.api::<k8s_openapi::api::core::v1::Secret>();
        let administrator = administrator.get("temporal-postgresdatabase-administrator").await?;
        let drawn = temporal_stack_common::binding::text(&administrator, "password").unwrap_or_default().to_owned();
        for password in [old, new, &drawn] {
            ensure!(!password.is_empty() && !served.contains(password), "a password is in the server's log");
            ensure!(!initialised.contains(password), "a password is in the log of the initialisation");
        }
        Ok(())
    })
    .await;
}

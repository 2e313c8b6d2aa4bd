use anyhow::{Context as _, Result, ensure};
use e2e::{Binding, Session, Space, Stopwatch, database::external, with_namespace};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use temporal_stack_common::api::label;

use crate::{
    cluster,
    database::{embedded, made, with_space},
};

/// Writes the Secret that names the database of another object.
async fn name(
    space: &Space,
    theirs: &Binding,
    (host, port): (&str, &str),
    password: &str,
    database: &str,
) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "theirs", "labels": {label::CONFIG: "true"}},
        "stringData": {
            "host": host, "port": port, "username": theirs.username, "password": password, "database": database,
        },
    });
    let params = PatchParams::apply("e2e").force();
    space.api::<Secret>().patch("theirs", &params, &Patch::Apply(secret)).await?;
    Ok(())
}

/// The server is in a namespace of its own, as somebody else's is.
#[tokio::test]
async fn external_database_is_verified_and_its_faults_are_reported() {
    with_space(async |server| {
        made(server, &embedded(&json!({}))).await?;
        with_namespace(&cluster(), async |space| user_of(space, server).await).await;
        Ok(())
    })
    .await;
}

async fn user_of(space: &Space, server: &Space) -> Result<()> {
    let mut watch = Stopwatch::new();
    let theirs = server.binding().await?;
    let (service, word) = ((theirs.host.as_str(), "5432"), theirs.password.as_str());
    name(space, &theirs, service, word, "temporal").await?;
    space.create(&external("theirs")).await?;
    space.ready().await?;
    watch.step("an external database is Ready after");
    let binding = space.binding().await?;
    let session: Session = server.connect(&binding).await?;
    ensure!(session.one("select session_user || ' on ' || current_database()").await? == "temporal_a on temporal");

    name(space, &theirs, service, "wrong", "temporal").await?;
    space.stalled("LoginRefused", &["temporal_a", "correct username and password in the Secret"]).await?;
    watch.step("a wrong password is told after");
    name(space, &theirs, service, word, "temporal").await?;
    space.ready().await?;
    watch.step("the right one makes it Ready after");
    ensure!(space.binding().await? == binding, "the binding does not say what the Secret says");

    name(space, &theirs, service, word, "missing").await?;
    space.stalled("DatabaseMissing", &["has no database missing", "create the database, or correct the key"]).await?;
    watch.step("a missing database is told after");

    let pod = server.server().await?;
    let address = pod.status.and_then(|status| status.pod_ip).context("the server's pod has no address")?;
    name(space, &theirs, (&address, "5433"), word, "temporal").await?;
    let told = space.condition("Reconciling", "True", "VerificationFailed").await?;
    ensure!(told.message.contains(&format!("{address}:5433 does not answer")), "{}", told.message);
    watch.step("an address that nobody answers at is told after");
    name(space, &theirs, service, word, "temporal").await?;
    space.ready().await?;
    watch.step("the right Secret makes it Ready after");
    Ok(())
}

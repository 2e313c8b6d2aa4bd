//! What Temporal refers to: missing, elsewhere, not Ready, and what becomes of that.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{Controller, Identity, One, prepare::api_server, subject::NAME, with_namespace};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal},
    condition::RECONCILING,
};

use super::{
    Sibling, Subjects, bind, content, say, say_of, sibling, siblings, spec, waits_for_the_broker, with_controller,
};
use crate::step::quiet;

/// Waits until this is said of what Temporal needs, in both conditions that are about it.
async fn lacks(space: &Subjects<'_>, reason: &str, parts: &[&str]) -> Result<()> {
    space.condition_about(RECONCILING, "True", reason, parts).await?;
    space.condition_about("DependenciesReady", "False", reason, parts).await?;
    space.condition_about("Ready", "False", reason, parts).await.map(drop)
}

/// How often a Secret was read by name.
fn reads_of_secrets(controller: &Controller) -> Result<u64> {
    let requests = controller.requests()?;
    let is_read = |verb: &str, resource: &str| verb == "get" && resource == "secrets";
    Ok(requests.0.iter().filter(|(call, _)| is_read(&call.verb.to_string(), &call.resource)).map(|(_, n)| n).sum())
}

/// All siblings but one.
async fn siblings_but<K: Sibling>(space: &Subjects<'_>) -> Result<()> {
    if K::FIELD != PostgresDatabase::FIELD {
        sibling::<PostgresDatabase>(space).await?;
    }
    if K::FIELD != MessageQueue::FIELD {
        sibling::<MessageQueue>(space).await?;
    }
    if K::FIELD != IpfsCluster::FIELD {
        sibling::<IpfsCluster>(space).await?;
    }
    Ok(())
}

async fn incomplete_reference_is_reported_and_each_step_seen_at_once<K: Sibling>() {
    with_controller(async |space, controller| {
        let referred = format!("{}/{NAME}", K::kind(&()));
        siblings_but::<K>(space).await?;
        space.create(&spec(&json!({}))).await?;
        let missing = format!("{} refers to {referred}, which does not exist in namespace {}", K::FIELD, space.name);
        lacks(space, "ReferenceMissing", &[&missing, "create it, or name another"]).await?;

        space.one::<K>().create(&K::embedded()).await?;
        let silent = ["its controller has not reported yet", "check that the controller of", K::kind(&()).as_ref()]
            .map(str::to_owned);
        lacks(space, "DependencyNotReady", &silent.each_ref().map(String::as_str)).await?;
        say::<K>(space, "False", "ChildrenNotReady", "0 of 1 pods ready").await?;
        let unready = format!("{referred} is not Ready: ChildrenNotReady: 0 of 1 pods ready");
        lacks(space, "DependencyNotReady", &[&unready]).await?;
        say::<K>(space, "False", "SecretMissing", "Secret/theirs does not exist; create it").await?;
        let unready = format!("{referred} is not Ready: SecretMissing: Secret/theirs does not exist; create it");
        lacks(space, "DependencyNotReady", &[&unready]).await?;

        // The binding comes before the word, as it does from a controller.
        bind::<K>(space, &K::bound()).await?;
        quiet(space, controller).await?;
        let reads = reads_of_secrets(controller)?;
        let started = Instant::now();
        say::<K>(space, "True", "Verified", "answers").await?;
        waits_for_the_broker(space).await?;
        println!(
            "from the {} being Ready to Temporal's next step: {:.2} s",
            K::kind(&()),
            started.elapsed().as_secs_f64()
        );
        ensure!(reads_of_secrets(controller)? == reads, "the binding was read by name, not seen by the watch");
        Ok(())
    })
    .await;
}

async fn lost_reference_is_reported_and_children_are_kept<K: Sibling>() {
    with_controller(async |space, controller| {
        siblings(space).await?;
        space.create(&spec(&json!({}))).await?;
        waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        let before = content(space).await?;
        ensure!(before.contains_key("Secret/temporal-temporal-environment"), "{:?}", before.keys());

        let referred = format!("{}/{NAME}", K::kind(&()));
        say::<K>(space, "False", "VerificationFailed", "does not answer").await?;
        lacks(space, "DependencyNotReady", &[&format!("{referred} is not Ready: VerificationFailed: does not answer")])
            .await?;
        quiet(space, controller).await?;
        ensure!(content(space).await? == before, "children have changed");

        // What it says of another spec is no word about this one.
        space.one::<K>().patch(&json!({"spec": {"deletionPolicy": "Delete"}})).await?;
        say_of::<K>(space, Some(1), "True", "Verified", "answers").await?;
        lacks(space, "DependencyNotReady", &[&referred, "its newest spec"]).await?;
        quiet(space, controller).await?;
        ensure!(content(space).await? == before, "children have changed");

        say::<K>(space, "True", "Verified", "answers").await?;
        waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        ensure!(content(space).await? == before, "children have changed");

        space.api::<Secret>().delete(&K::binding(), &DeleteParams::default()).await?;
        lacks(
            space,
            "DependencyNotReady",
            &[&format!("{referred} is Ready, but its binding is missing or incomplete")],
        )
        .await?;
        space.api::<K>().delete(NAME, &DeleteParams::default()).await?;
        lacks(space, "ReferenceMissing", &[&referred, "create it, or name another"]).await
    })
    .await;
}

e2e::for_each_dependency!(
    incomplete_reference_is_reported_and_each_step_seen_at_once,
    lost_reference_is_reported_and_children_are_kept,
);

#[tokio::test]
async fn missing_reference_names_no_other_namespace() {
    let cluster = &api_server().await.expect("an API server");
    with_namespace(cluster, async |elsewhere| {
        siblings(elsewhere).await?;
        with_namespace(cluster, async |space| {
            let identity = Identity::of_cluster::<Temporal>(space).await?;
            let controller = Controller::start_with(space, &identity, &[elsewhere]).await?;
            controller.leads().await?;
            let space: One<'_, Temporal> = space.one();
            space.create(&spec(&json!({}))).await?;
            let is_here = format!("does not exist in namespace {}; create it", space.name);
            lacks(&space, "ReferenceMissing", &[PostgresDatabase::FIELD, &is_here]).await?;
            let object = space.api::<Temporal>().get(NAME).await?;
            let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
            ensure!(!conditions.is_empty(), "nothing was reported");
            for condition in conditions {
                ensure!(!condition.message.contains(&elsewhere.name), "{}", condition.message);
            }
            sibling::<PostgresDatabase>(&space).await?;
            lacks(&space, "ReferenceMissing", &[MessageQueue::FIELD, &is_here]).await?;
            sibling::<MessageQueue>(&space).await?;
            lacks(&space, "ReferenceMissing", &[IpfsCluster::FIELD, &is_here]).await?;
            sibling::<IpfsCluster>(&space).await?;
            waits_for_the_broker(&space).await
        })
        .await;
        Ok(())
    })
    .await;
}

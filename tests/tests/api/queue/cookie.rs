//! The seed's Secret `rabbitmq-config`: what becomes of the cookie, now and later.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Record, Subject as _,
    snapshot::{children, versions},
    subject::assert_told,
    until, until_gone,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::json;
use temporal_stack_common::{
    api::{MessageQueue, annotation::FULL_RESTART},
    binding::text,
    condition::{CONFIG_HONOURED, STALLED},
};

use super::{Queue, with_controller};
use crate::step::{complete, ensure_untold, made, quiet, write_secret};

const SEED: &str = include_str!("../../../fixtures/seed/rabbitmq-config.yaml");
const SOURCE: &str = "rabbitmq-config";
const COOKIE: &str = "erlang-cookie";

async fn write(space: &Queue<'_>, cookie: &str) -> Result<()> {
    write_secret(space, SOURCE, &json!({COOKIE: cookie})).await
}

/// The n-th cookie that was made.
async fn cookie(space: &Queue<'_>, number: u32) -> Result<String> {
    let name = MessageQueue::child(&format!("cookie-{number}"));
    let secret = until(&space.api::<Secret>(), &name, "been made", |_| true).await?;
    text(&secret, COOKIE).map(str::to_owned).context("the Secret has no cookie")
}

/// Which cookies there are.
async fn cookies(space: &Queue<'_>) -> Result<Vec<String>> {
    let prefix = MessageQueue::child("cookie-");
    let secrets = space.api::<Secret>().list(&ListParams::default()).await?;
    Ok(secrets.iter().filter_map(|secret| Some(secret.name_any().strip_prefix(&prefix)?.to_owned())).collect())
}

async fn refused(space: &Queue<'_>, parts: &[&str]) -> Result<()> {
    let parts = [&["Secret/rabbitmq-config", COOKIE], parts].concat();
    space.condition_about(CONFIG_HONOURED, "False", "Refused", &parts).await.map(drop)
}

#[tokio::test]
async fn unchanged_seed_is_taken_and_remarked() {
    with_controller(async |space, controller| {
        let seed: Secret = serde_saphyr::from_str(SEED)?;
        let published =
            seed.string_data.as_ref().and_then(|data| data.get(COOKIE)).context("the seed has no cookie")?;
        space.api::<Secret>().create(&PostParams::default(), &seed).await?;
        made(space, controller).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(&honoured, &["Secret/rabbitmq-config", COOKIE, "published example value", "4369 and 25672"])?;
        ensure!(cookie(space, 1).await? == *published, "another cookie was made");
        ensure_untold(space, controller, published).await
    })
    .await;
}

#[tokio::test]
async fn absent_cookie_is_drawn_and_a_later_one_refused() {
    with_controller(async |space, controller| {
        made(space, controller).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        assert_told(&honoured, &["Secret/rabbitmq-config does not exist", "generated"])?;
        let drawn = cookie(space, 1).await?;
        ensure!(drawn.len() >= 20, "it has {} characters", drawn.len());
        write(space, "comes-later").await?;
        refused(space, &["not applied"]).await?;
        ensure!(cookie(space, 1).await? == drawn, "it was taken");
        ensure_untold(space, controller, &drawn).await
    })
    .await;
}

#[tokio::test]
async fn invalid_cookie_stalls_until_corrected() {
    with_controller(async |space, controller| {
        write(space, "").await?;
        space.create(&MessageQueue::embedded()).await?;
        for (bad, parts) in [
            ("", "is empty"),
            ("of two words", "contains a space"),
            ("kæks", "non-ASCII"),
            (&"x".repeat(256), "more than 255 characters"),
        ] {
            write(space, bad).await?;
            let parts = ["Secret/rabbitmq-config", COOKIE, parts, "or remove the key to have a cookie generated"];
            space.condition_about(STALLED, "True", "SecretIncomplete", &parts).await?;
        }
        write(space, "of two\nlines").await?;
        let parts = ["Secret/rabbitmq-config", COOKIE, "contains a line break"];
        space.condition_about(STALLED, "True", "SecretIncomplete", &parts).await?;
        ensure!(children(space).await?.is_empty(), "something was made");
        write(space, "ends-with-a-line-break\n").await?;
        complete(space, controller).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(&honoured, &[COOKIE, "ends with a line break, which is removed"])?;
        ensure!(cookie(space, 1).await? == "ends-with-a-line-break", "the line break is in it");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn edited_cookie_is_refused_and_changes_nothing() {
    with_controller(async |space, controller| {
        write(space, "one").await?;
        made(space, controller).await?;
        let before = versions(&children(space).await?);
        write(space, "two").await?;
        refused(space, &["not applied", "set it back", FULL_RESTART]).await?;
        for (bad, parts) in [("", "is empty"), ("of two words", "contains a space")] {
            write(space, bad).await?;
            refused(space, &[parts]).await?;
        }
        quiet(space, controller).await?;
        ensure!(versions(&children(space).await?) == before, "something was applied");
        let misspelt = json!({COOKIE: "one", "erlang_cookie": "two"});
        write_secret(space, SOURCE, &misspelt).await?;
        let parts = ["Secret/rabbitmq-config", "erlang_cookie is not a known key"];
        space.condition_about(CONFIG_HONOURED, "True", "Adapted", &parts).await?;
        write(space, "one").await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await.map(drop)
    })
    .await;
}

/// The numbers of replicas that a set has had, one after the other.
fn replicas(record: &Record<StatefulSet>) -> Vec<i32> {
    let mut counts: Vec<i32> = record.seen().iter().filter_map(|set| set.spec.as_ref()?.replicas).collect();
    counts.dedup();
    counts
}

#[tokio::test]
async fn permitted_full_stop_exchanges_the_cookie_once() {
    with_controller(async |space, controller| {
        write(space, "one").await?;
        space
            .create(&MessageQueue::provider(
                &json!({"replicas": 3, "storage": {"storageClassName": e2e::prepare::GROWS}}),
            ))
            .await?;
        complete(space, controller).await?;
        let sets = Record::<StatefulSet>::start(space).await?;
        for (value, permission, number) in [("two", "may", 2), ("three", "june", 3)] {
            write(space, value).await?;
            refused(space, &["not applied"]).await?;
            space.annotate(FULL_RESTART, &json!(permission)).await?;
            ensure!(cookie(space, number).await? == value, "the permitted cookie is another");
            let has_it =
                |pod: &Pod| pod.annotations().get("temporal-stack.dev/shared-secret") == Some(&number.to_string());
            for ordinal in 0..3 {
                until(&space.api::<Pod>(), &MessageQueue::pod(ordinal), &format!("cookie {number}"), has_it).await?;
            }
            complete(space, controller).await?;
            until_gone(&space.api::<Secret>(), &MessageQueue::child(&format!("cookie-{}", number - 1))).await?;
            ensure!(cookies(space).await? == [number.to_string()], "{:?}", cookies(space).await?);
            space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        }
        ensure!(replicas(&sets) == [3, 0, 3, 0, 3], "the set had {:?} replicas", replicas(&sets));
        ensure_untold(space, controller, "three").await
    })
    .await;
}

//! Storages that refuse, lie, or do not end: the condition has the cause, and what is right again is used again.

use anyhow::{Result, ensure};
use e2e::{
    One, Subject as _,
    fake::{
        Harm, S3, Server,
        s3::{ID, Refusal, SECRET as KEY},
    },
    seed,
    step::write_secret,
    subject::{BUCKET, assert_told, condition_of},
};
use serde_json::{Value, json};
use temporal_stack_common::{api::ObjectStorage, condition::READY};

use super::{SECRET, on_fake};
use crate::{
    step::{ensure_untold, look},
    with_controller,
};

/// The field that names the user's Secret, as messages do.
const FIELD: &str = "spec.provider.external";
/// The most that is taken of an answer that does not end, buffers of the kernel included.
const MOST: u64 = 16 << 20;

/// Waits until Ready is False for this reason with these words, none of which is a key.
async fn says(space: &One<'_, ObjectStorage>, reason: &str, parts: &[&str]) -> Result<()> {
    let said = |object: &ObjectStorage| {
        condition_of(object, READY).is_some_and(|ready| {
            ready.status == "False"
                && (reason.is_empty() || ready.reason == reason)
                && assert_told(ready, parts).is_ok()
        })
    };
    space.until(&format!("Ready False {reason} with {parts:?}"), said).await.map(drop)
}

#[tokio::test]
async fn refusals_are_told_by_their_cause() {
    with_controller::<ObjectStorage>(async |space, controller| {
        let fake = on_fake(space, json!([{"name": BUCKET}])).await?;
        space.ready().await?;
        for (refusal, reason, parts) in [
            (Refusal::Skewed, "ClockSkewed", "clock"),
            (Refusal::WrongSecret, "LoginRefused", FIELD),
            (Refusal::Foreign, "", BUCKET),
            (Refusal::Redirect, "", "redirect"),
            (Refusal::Busy, "", "SlowDown"),
        ] {
            fake.refuses(Some(refusal));
            // It is verified now and then, and at once when something has changed.
            write_secret(space, SECRET, &with(&fake, &json!({"region": format!("{refusal:?}").to_lowercase()})))
                .await?;
            says(space, reason, &[parts]).await?;
            fake.refuses(None);
            write_secret(space, SECRET, &fake.keys()).await?;
            space.ready().await?;
        }
        for part in [ID, KEY] {
            ensure_untold(space, controller, part).await?;
        }
        Ok(())
    })
    .await;
}

/// The keys of the fake, with others.
fn with(fake: &S3, more: &Value) -> Value {
    let mut keys = fake.keys();
    keys.as_object_mut().into_iter().zip(more.as_object()).for_each(|(all, more)| all.extend(more.clone()));
    keys
}

#[tokio::test]
async fn wrong_key_is_told_without_its_id() {
    with_controller::<ObjectStorage>(async |space, controller| {
        let fake = S3::start().await?;
        write_secret(space, SECRET, &with(&fake, &json!({"access-key-id": "another-id"}))).await?;
        space.create(&ObjectStorage::external(SECRET)).await?;
        says(space, "LoginRefused", &[FIELD]).await?;
        ensure_untold(space, controller, "another-id").await?;
        write_secret(space, SECRET, &fake.keys()).await?;
        space.ready().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn unreachable_and_untrusted_servers_are_told_with_the_address() {
    with_controller::<ObjectStorage>(async |space, _| {
        let fake = S3::start().await?;
        let place = fake.address().to_string();
        for (endpoint, parts) in
            [("http://127.0.0.1:1".to_owned(), "127.0.0.1:1"), (format!("https://{place}"), place.as_str())]
        {
            write_secret(space, SECRET, &with(&fake, &json!({"endpoint": endpoint}))).await?;
            if space.objects().get_opt(e2e::subject::NAME).await?.is_none() {
                space.create(&ObjectStorage::external(SECRET)).await?;
            }
            says(space, "StorageUnreachable", &[parts]).await?;
        }
        // One that is no authority is no trust in everybody.
        write_secret(space, SECRET, &with(&fake, &json!({"ca.crt": "trust me"}))).await?;
        says(space, "SecretIncomplete", &["ca.crt"]).await?;
        write_secret(space, SECRET, &fake.keys()).await?;
        space.ready().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn endless_answers_cost_no_memory() {
    with_controller::<ObjectStorage>(async |space, controller| {
        let fake = S3::start().await?;
        let mut is_first = true;
        for harm in [Harm::EndlessAnswer, Harm::EndlessHead, Harm::Deep, Harm::Garbage] {
            let server = Server::start(harm, seed()).await?;
            let endpoint = format!("http://{}", server.address());
            write_secret(space, SECRET, &with(&fake, &json!({"endpoint": endpoint}))).await?;
            if std::mem::take(&mut is_first) {
                space.create(&ObjectStorage::external(SECRET)).await?;
            }
            server.until_asked(1).await?;
            says(space, "", &[&server.address().to_string()]).await?;
            println!("{harm:?}: {} MiB", server.largest() >> 20);
            ensure!(server.largest() < MOST, "{harm:?}: {} bytes were taken", server.largest());
        }
        write_secret(space, SECRET, &fake.keys()).await?;
        space.ready().await?;
        look(space, controller).await
    })
    .await;
}

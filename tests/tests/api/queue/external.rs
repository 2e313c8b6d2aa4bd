//! A broker that somebody else runs, and that does not answer.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use e2e::{Subject as _, snapshot::children, subject::external, until};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::json;
use temporal_stack_common::{
    api::MessageQueue,
    condition::{READY, STALLED},
};

use super::{Queue, with_controller};
use crate::step::{ensure_untold, write_secret};

/// Stands in each Secret, and nowhere else.
const PASSWORD: &str = "s3c%2Fret";

async fn write(space: &Queue<'_>, uri: &str) -> Result<()> {
    write_secret(space, "theirs", &json!({"uri": uri})).await
}

#[tokio::test]
async fn invalid_uri_is_reported_without_its_password() {
    with_controller(async |space, controller| {
        space.create(&external("theirs")).await?;
        for (uri, told) in [
            (format!("http://u:{PASSWORD}@h"), "is not an AMQP URI; write it as amqp://"),
            (format!("amqp://u:{PASSWORD}@h:port/"), "is not an AMQP URI; write it as amqp://"),
            (format!("amqps://u:{PASSWORD}@h"), "asks for TLS, which the controller does not support"),
        ] {
            write(space, &uri).await?;
            let told = ["spec.provider.external.secretName", "Secret/theirs", "key uri", told];
            space.condition_about(STALLED, "True", "SecretIncomplete", &told).await?;
        }
        ensure!(children(space).await?.is_empty(), "something was made");
        for secret in [PASSWORD, "s3c/ret"] {
            ensure_untold(space, controller, secret).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn silent_or_closed_address_is_unreachable() {
    with_controller(async |space, controller| {
        write(space, &format!("amqp://u:{PASSWORD}@127.0.0.1:1/app%2Fone")).await?;
        space.create(&external("theirs")).await?;
        let remedy = "correct the address in the Secret, or check the broker";
        space.condition_about(READY, "False", "BrokerUnreachable", &["127.0.0.1:1 does not answer", remedy]).await?;

        // The kernel takes connections for it, and nobody ever says a word.
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let address = silent.local_addr()?;
        write(space, &format!("amqp://u:{PASSWORD}@{address}/app%2Fone")).await?;
        let parts = [&*format!("{address} did not open a connection within"), remedy];
        space.condition_about(READY, "False", "BrokerUnreachable", &parts).await?;

        for secret in [PASSWORD, "s3c/ret"] {
            ensure_untold(space, controller, secret).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn binding_repeats_the_users_secret() {
    with_controller(async |space, _| {
        let keys =
            json!({"host": "127.0.0.1", "port": "1", "username": "u", "password": "s3c/ret", "virtual-host": "a/b"});
        write_secret(space, "theirs", &keys).await?;
        space.create(&external("theirs")).await?;
        let binding = until(&space.api::<Secret>(), &MessageQueue::binding(), "been made", |_| true).await?;
        let by_keys = binding.data.unwrap_or_default();
        for (key, value) in [
            ("type", "rabbitmq"),
            ("provider", "external"),
            ("host", "127.0.0.1"),
            ("port", "1"),
            ("username", "u"),
            ("password", "s3c/ret"),
            ("virtual-host", "a/b"),
            ("uri", "amqp://u:s3c%2Fret@127.0.0.1:1/a%2Fb"),
        ] {
            ensure!(by_keys.get(key) == Some(&ByteString(value.into())), "{key} is another");
        }
        // The same in a URI is the same.
        let object =
            space.until("a binding", |object| object.status.as_ref().is_some_and(|status| status.binding.is_some()));
        let status = object.await?.status.unwrap_or_default();
        ensure!(status.virtual_host.as_deref() == Some("a/b") && status.username.as_deref() == Some("u"), "{status:?}");
        space.patch(&json!({"spec": {"virtualHost": "other"}})).await?;
        let told = ["spec.virtualHost", "ignored", "Secret/theirs"];
        space.condition_about("ConfigHonoured", "True", "Adapted", &told).await.map(drop)
    })
    .await;
}

//! A cluster that somebody else runs, and that does not answer.

use anyhow::ensure;
use e2e::{
    Subject as _,
    subject::{condition_of, external},
    until,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::json;
use temporal_stack_common::{
    api::IpfsCluster,
    condition::{CONFIG_HONOURED, RECONCILING},
};

use super::{CONFIG, with_controller};
use crate::step::{configure, write_secret};

#[tokio::test]
async fn binding_repeats_the_users_secret() {
    with_controller(async |space, _| {
        write_secret(space, "theirs", &json!({"host": "127.0.0.1", "cluster-host": "::1", "cluster-port": "1"}))
            .await?;
        space.create(&external("theirs")).await?;
        let has_keys = |secret: &Secret| secret.data.is_some();
        let binding = until(&space.api::<Secret>(), &IpfsCluster::binding(), "been made", has_keys).await?;
        let by_keys = binding.data.unwrap_or_default();
        for (key, value) in [
            ("type", "ipfs"),
            ("provider", "external"),
            ("host", "127.0.0.1"),
            ("port", "5001"),
            ("uri", "http://127.0.0.1:5001"),
            ("cluster-host", "::1"),
            ("cluster-port", "1"),
            ("cluster-uri", "http://[::1]:1"),
        ] {
            ensure!(by_keys.get(key) == Some(&ByteString(value.into())), "{key} is another: {by_keys:?}");
        }
        space
            .until("tried it", |object| {
                condition_of(object, RECONCILING)
                    .is_some_and(|condition| condition.message.contains("[::1]:1 does not answer"))
            })
            .await?;
        configure(space, CONFIG, &json!({"CLUSTER_PEERNAME": "x"})).await?;
        let parts = ["ignored", "ConfigMap/ipfs-cluster-config"];
        space.condition_about(CONFIG_HONOURED, "True", "Adapted", &parts).await.map(drop)
    })
    .await;
}

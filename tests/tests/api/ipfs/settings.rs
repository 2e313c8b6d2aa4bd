//! The seed's ConfigMap and the spec beside it: what is honoured, adapted or refused, and what it says.

use anyhow::{Result, ensure};
use e2e::{Subject as _, subject::assert_told};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::IpfsCluster,
    condition::{CONFIG_HONOURED, STALLED},
};

use super::{CONFIG, Ipfs, ensure_undisturbed, made, scale, spec, text, variables, with_controller};
use crate::step::{complete, configure, quiet};

const SEED: &str = include_str!("../../../fixtures/seed/ipfs-cluster-config.yaml");
const MIN: &str = "CLUSTER_REPLICATIONFACTORMIN";
const MAX: &str = "CLUSTER_REPLICATIONFACTORMAX";

async fn said(space: &Ipfs<'_>, data: &Value, status: &str, reason: &str, parts: &[&str]) -> Result<()> {
    configure(space, CONFIG, data).await?;
    space.condition_about(CONFIG_HONOURED, status, reason, parts).await.map(drop)
}

/// The two factors that the peers are told.
async fn factors(space: &Ipfs<'_>) -> Result<(String, String)> {
    let variables = variables(space).await?;
    let value = |key| variables.get(key).cloned().unwrap_or_default();
    Ok((value(MIN), value(MAX)))
}

fn pair(min: &str, max: &str) -> (String, String) {
    (min.to_owned(), max.to_owned())
}

#[tokio::test]
async fn unchanged_seed_is_adapted() {
    with_controller(async |space, controller| {
        let mut seed: ConfigMap = serde_saphyr::from_str(SEED)?;
        seed.metadata.namespace = None;
        space.api::<ConfigMap>().create(&PostParams::default(), &seed).await?;
        made(space, controller, 3).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(
            &honoured,
            &[
                "ConfigMap/ipfs-cluster-config",
                "CLUSTER_PEERNAME is the prefix of the peers' names",
                "CLUSTER_SECRET is empty",
                "CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS",
                "0.0.0.0/tcp/9094",
                "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS",
                "CLUSTER_IPFSHTTP_NODEMULTIADDRESS",
                "IPFS_API_CONNECTION_HOST belongs to temporal-config",
                "IPFS_KEYSTORE_PATH belongs to temporal-config",
            ],
        )?;
        let equal = ["CLUSTER_LISTENMULTIADDRESS", "CLUSTER_LEAVEONSHUTDOWN", MAX];
        let is_told = equal.iter().find(|key| honoured.message.contains(**key));
        ensure!(is_told.is_none(), "nothing is to be said of {is_told:?}: {}", honoured.message);
        ensure!(factors(space).await? == pair("-1", "-1"), "{:?}", factors(space).await?);
        for ordinal in 0..3 {
            let key = format!("{}.cluster.env", IpfsCluster::pod(ordinal));
            let own = text(space, &IpfsCluster::child("peers"), &key).await?;
            ensure!(own.contains(&format!("CLUSTER_PEERNAME='cluster-{ordinal}'")), "peer {ordinal} has another name");
        }
        let passed = variables(space).await?;
        ensure!(!passed.keys().any(|key| key.starts_with("IPFS_API") || key.starts_with("API_")), "{passed:?}");
        ensure!(!passed.contains_key("CLUSTER_SECRET"), "the secret is in the template");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn each_key_of_the_config_map_gets_its_ruling() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        for (data, status, reason, parts) in [
            (json!({"CLUSTER_IPFSHTTP_PINTIMEOUT": "5m"}), "True", "AsWritten", vec!["is used as written"]),
            (
                json!({"CLUSTER_LEAVEONSHUTDOWN": "true"}),
                "False",
                "Refused",
                vec!["CLUSTER_LEAVEONSHUTDOWN", "set it to false"],
            ),
            (
                json!({"CLUSTER_FOLLOWERMODE": "true"}),
                "False",
                "Refused",
                vec!["CLUSTER_FOLLOWERMODE", "set it to false"],
            ),
            (
                json!({"CLUSTER_RESTAPI_BASICAUTHCREDENTIALS": "u:p"}),
                "False",
                "Refused",
                vec!["CLUSTER_RESTAPI_BASICAUTHCREDENTIALS", "spec.provider.kubo.clients"],
            ),
            (json!({"CLUSTER_IPFSHTTP_PINTIMEOUT": "soon"}), "False", "Refused", vec!["CLUSTER_IPFSHTTP_PINTIMEOUT"]),
            (
                json!({"OBSERVATIONS_METRICS_ENABLESTATS": "true"}),
                "True",
                "Adapted",
                vec!["OBSERVATIONS_METRICS_ENABLESTATS is read as CLUSTER_METRICS_ENABLESTATS"],
            ),
            (json!({"CLUSTER_PEERNAMES": "x"}), "True", "Adapted", vec!["did you mean CLUSTER_PEERNAME?"]),
            (json!({"POSTGRES_DB": "x"}), "True", "Adapted", vec!["POSTGRES_DB is not a known key"]),
        ] {
            said(space, &data, status, reason, &parts).await?;
        }
        // Of all this nothing was so bad that it stops the peers.
        complete(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn named_config_map_is_read_and_named() {
    with_controller(async |space, controller| {
        configure(space, "mine", &json!({"CLUSTER_IPFSHTTP_PINTIMEOUT": "5m", "CLUSTER_ID": "x"})).await?;
        let mut wanted = spec(1, &json!({}));
        wanted["config"] = json!({"configMap": "mine"});
        space.create(&wanted).await?;
        complete(space, controller).await?;
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(&honoured, &["ConfigMap/mine", "CLUSTER_ID is not used"])?;
        let variables = variables(space).await?;
        ensure!(variables.get("CLUSTER_IPFSHTTP_PINTIMEOUT").is_some_and(|value| value == "5m"), "{variables:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn scaling_with_configured_factors_restarts_no_peer() {
    with_controller(async |space, controller| {
        configure(space, CONFIG, &json!({MIN: "2", MAX: "3"})).await?;
        made(space, controller, 2).await?;
        let before = super::template(space).await?;
        let lives = super::lives(space).await?;
        for count in [3, 5] {
            scale(space, count).await?;
            complete(space, controller).await?;
            ensure!(super::template(space).await? == before, "{count} peers have another template than 2");
            ensure_undisturbed(space, &lives).await?;
        }
        // None can leave, and none is restarted because the factors are too many for those that are to stay.
        scale(space, 1).await?;
        quiet(space, controller).await?;
        ensure!(super::template(space).await? == before, "a peer that is to leave restarts the others");
        ensure_undisturbed(space, &lives).await
    })
    .await;
}

#[tokio::test]
async fn impossible_factors_are_refused_until_corrected() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        for (min, max, parts) in [
            ("3", "2", "are 3 and 2; set the first to 2 or less, or the second to 3 or more"),
            ("1", "-1", "set both to -1, or both to at least 1"),
            ("-1", "2", "set both to -1, or both to at least 1"),
            ("0", "2", "at least 1"),
        ] {
            let both = [&*format!("ConfigMap/{CONFIG}"), MIN, MAX, parts, "every peer has a copy of each pin"];
            said(space, &json!({MIN: min, MAX: max}), "False", "Refused", &both).await?;
            quiet(space, controller).await?;
            ensure!(factors(space).await? == pair("-1", "-1"), "{min} and {max}: {:?}", factors(space).await?);
        }
        // That there are too few peers now is no reason to give all pins other factors.
        let parts = ["is 4, and spec.replicas is 3", "spec.replicas to 4 or more"];
        said(space, &json!({MIN: "4", MAX: "5"}), "True", "Adapted", &parts).await?;
        complete(space, controller).await?;
        ensure!(factors(space).await? == pair("4", "5"), "{:?}", factors(space).await?);
        said(space, &json!({MIN: "2", MAX: "3"}), "True", "AsWritten", &[]).await?;
        complete(space, controller).await?;
        ensure!(factors(space).await? == pair("2", "3"), "{:?}", factors(space).await?);

        // The spec beats the ConfigMap.
        space.patch(&json!({"spec": {"replication": {"min": 1, "max": 2}}})).await?;
        complete(space, controller).await?;
        ensure!(factors(space).await? == pair("1", "2"), "{:?}", factors(space).await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn more_copies_than_peers_stall_until_one_is_changed() {
    with_controller(async |space, controller| {
        let mut wanted = spec(1, &json!({}));
        wanted["replication"] = json!({"min": 2, "max": 3});
        space.create(&wanted).await?;
        let parts =
            ["spec.replication.min and max ask for 2 copies, but spec.replicas is 1", "spec.replicas to 2 or more"];
        space.condition_about(STALLED, "True", "InvalidSpec", &parts).await?;
        scale(space, 2).await?;
        complete(space, controller).await?;
        ensure!(factors(space).await? == pair("2", "3"), "{:?}", factors(space).await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn kubo_settings_are_applied_unless_they_break_a_peer() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let (peers, key) = (IpfsCluster::child("peers"), format!("{}.kubo.json", IpfsCluster::pod(0)));
        let id = serde_json::from_str::<Value>(&text(space, &peers, &key).await?)?["Identity"]["PeerID"].clone();
        let config = json!({"Gateway": {"NoFetch": true}, "Identity": {"PeerID": "x"}, "Addresses": {"API": "/ip4/127.0.0.1/tcp/1"}});
        let fields = json!({"kuboConfig": config, "clusterConfig": {"CLUSTER_IPFSHTTP_PINTIMEOUT": "5m"}, "pubsub": true});
        space.patch_provider(&fields).await?;
        let parts = ["spec.provider.kubo.kuboConfig", "Identity", "Addresses.API", "remove it"];
        space.condition_about(CONFIG_HONOURED, "False", "Refused", &parts).await?;
        complete(space, controller).await?;
        let config: Value = serde_json::from_str(&text(space, &peers, &key).await?)?;
        ensure!(config["Gateway"]["NoFetch"] == true && config["Pubsub"]["Enabled"] == true, "the fields are missing");
        ensure!(config["Identity"]["PeerID"] == id, "the peer is somebody else");
        let both = json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]);
        ensure!(config["Addresses"]["API"] == both, "{}", config["Addresses"]);
        let variables = variables(space).await?;
        ensure!(variables.get("CLUSTER_IPFSHTTP_PINTIMEOUT").is_some_and(|value| value == "5m"), "{variables:?}");
        // The spec's settings beat the ConfigMap's.
        configure(space, CONFIG, &json!({"CLUSTER_IPFSHTTP_PINTIMEOUT": "7m"})).await?;
        quiet(space, controller).await?;
        let variables = super::variables(space).await?;
        ensure!(variables.get("CLUSTER_IPFSHTTP_PINTIMEOUT").is_some_and(|value| value == "5m"), "{variables:?}");
        Ok(())
    })
    .await;
}

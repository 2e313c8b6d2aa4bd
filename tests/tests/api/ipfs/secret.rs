//! What all peers share, the cluster secret and the network: neither changes without a full stop.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Identity, Record, Subject as _,
    prepare::api_server,
    snapshot::{children, versions},
    step::restore,
    subject::{NAME, assert_told},
    until, until_gone, with_namespace,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, annotation::FULL_RESTART},
    condition::{CONFIG_HONOURED, STALLED},
    shared::NUMBER,
};

use super::{CONFIG, Ipfs, made, scale, secrets, set, spec, template, text, with_controller};
use crate::{
    crash::ended_at_each_write,
    step::{complete, configure, ensure_untold, quiet, server_of},
};

/// More rests than a full stop has.
const RESTS: u32 = 60;

async fn write(space: &Ipfs<'_>, secret: &str) -> Result<()> {
    configure(space, CONFIG, &json!({"CLUSTER_SECRET": secret})).await
}

/// A secret as IPFS Cluster takes it.
fn digits(digit: &str) -> String {
    digit.repeat(64)
}

/// A value of the n-th Secret that was made.
async fn value(space: &Ipfs<'_>, number: u32, key: &str) -> Result<String> {
    let name = IpfsCluster::child(&format!("secret-{number}"));
    until(&space.api::<Secret>(), &name, "been made", |_| true).await?;
    text(space, &name, key).await
}

async fn refused(space: &Ipfs<'_>, parts: &[&str]) -> Result<()> {
    space.condition_about(CONFIG_HONOURED, "False", "Refused", parts).await.map(drop)
}

/// Whether the Kubos speak with nobody who has not the swarm key.
async fn is_private(space: &Ipfs<'_>) -> Result<bool> {
    Ok(server_of(&set(space).await?)["env"].to_string().contains("LIBP2P_FORCE_PNET"))
}

/// The numbers of replicas that a set has had, one after the other.
fn replicas(record: &Record<StatefulSet>) -> Vec<i32> {
    let mut counts: Vec<i32> = record.seen().iter().filter_map(|set| set.spec.as_ref()?.replicas).collect();
    counts.dedup();
    counts
}

/// Waits until the peers have been stopped and started with the Secret of this number, and the one before has gone.
async fn exchanged(space: &Ipfs<'_>, controller: &Controller, number: u32, peers: u32) -> Result<()> {
    value(space, number, "cluster-secret").await?;
    let has_it = |pod: &Pod| pod.annotations().get(NUMBER) == Some(&number.to_string());
    for ordinal in 0..peers {
        until(&space.api::<Pod>(), &IpfsCluster::pod(ordinal), &format!("secret {number}"), has_it).await?;
    }
    complete(space, controller).await?;
    until_gone(&space.api::<Secret>(), &IpfsCluster::child(&format!("secret-{}", number - 1))).await?;
    let all = secrets(space, "secret-").await?;
    ensure!(all.keys().eq([&number.to_string()]), "{:?}", all.keys());
    Ok(())
}

#[tokio::test]
async fn absent_secret_is_drawn_and_a_later_one_refused() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        for key in ["cluster-secret", "swarm-key"] {
            let drawn = value(space, 1, key).await?;
            ensure!(drawn.len() == 64 && drawn.chars().all(|c| c.is_ascii_hexdigit()), "{key} is no 32 bytes");
        }
        let before = versions(&children(space).await?);
        write(space, &digits("a")).await?;
        refused(space, &["CLUSTER_SECRET", "not applied", FULL_RESTART]).await?;
        quiet(space, controller).await?;
        ensure!(versions(&children(space).await?) == before, "something was applied");
        let drawn = value(space, 1, "cluster-secret").await?;
        ensure_untold(space, controller, &drawn).await?;
        ensure_untold(space, controller, &digits("a")).await
    })
    .await;
}

#[tokio::test]
async fn edited_secret_is_refused_with_the_remedy() {
    with_controller(async |space, controller| {
        write(space, &digits("a")).await?;
        made(space, controller, 3).await?;
        ensure!(value(space, 1, "cluster-secret").await? == digits("a"), "another one was made");
        let honoured = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(&honoured, &["CLUSTER_SECRET", "is in a ConfigMap"])?;
        let (before, like_this) = (versions(&children(space).await?), template(space).await?);

        write(space, &digits("b")).await?;
        refused(space, &["CLUSTER_SECRET", "is not applied", FULL_RESTART]).await?;
        for (bad, parts) in [("abc", "64 hexadecimal digits"), (&*digits("x"), "64 hexadecimal digits")] {
            write(space, bad).await?;
            refused(space, &[&format!("ConfigMap/{CONFIG}"), "CLUSTER_SECRET", parts]).await?;
        }
        quiet(space, controller).await?;
        ensure!(versions(&children(space).await?) == before, "something was applied");
        ensure!(template(space).await? == like_this, "the template is another");

        // The same digits, and none at all, are no wish for another one.
        for same in [digits("A"), digits("a"), String::new()] {
            write(space, &same).await?;
            space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
            quiet(space, controller).await?;
            ensure!(versions(&children(space).await?) == before, "something was applied");
        }
        for secret in ["a", "b"] {
            ensure_untold(space, controller, &digits(secret)).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn permitted_full_stop_exchanges_the_secret_once() {
    with_controller(async |space, controller| {
        write(space, &digits("a")).await?;
        made(space, controller, 3).await?;
        let swarm_key = value(space, 1, "swarm-key").await?;
        let identities = secrets(space, "identity-").await?;
        let sets = Record::<StatefulSet>::start(space).await?;
        for (digit, permission, number) in [("b", "may", 2), ("c", "june", 3)] {
            write(space, &digits(digit)).await?;
            refused(space, &["CLUSTER_SECRET", "not applied"]).await?;
            space.annotate(FULL_RESTART, &json!(permission)).await?;
            exchanged(space, controller, number, 3).await?;
            ensure!(value(space, number, "cluster-secret").await? == digits(digit), "the permitted secret is another");
            ensure!(value(space, number, "swarm-key").await? == swarm_key, "the swarm key was drawn again");
            space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        }
        ensure!(secrets(space, "identity-").await? == identities, "an identity was touched");
        ensure!(replicas(&sets) == [3, 0, 3, 0, 3], "the set had {:?} replicas", replicas(&sets));
        ensure_untold(space, controller, &digits("c")).await
    })
    .await;
}

#[tokio::test]
async fn full_stop_survives_a_crash_at_each_write() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<IpfsCluster>(space).await?;
        let record = Record::<Secret>::start(space).await?;
        let ipfs: Ipfs<'_> = space.one();
        write(&ipfs, &digits("a")).await?;
        ipfs.create(&spec(3, &json!({}))).await?;
        ended_at_each_write(space, &identity).await?;
        let identities = secrets(&ipfs, "identity-").await?;
        for ordinal in 0..3 {
            until(&space.api::<Pod>(), &IpfsCluster::pod(ordinal), "been made", |_| true).await?;
        }

        let sets = Record::<StatefulSet>::start(space).await?;
        write(&ipfs, &digits("b")).await?;
        ipfs.annotate(FULL_RESTART, &json!("may")).await?;
        // It rests while pods stop and start, which are not its to make.
        let mut ends = 0;
        for _ in 0..RESTS {
            ends += ended_at_each_write(space, &identity).await?;
            if secrets(&ipfs, "secret-").await?.keys().eq(["2"]) && replicas(&sets).last() == Some(&3) {
                break;
            }
        }
        println!("a full stop: ended {ends} times");
        let controller = Controller::start_as(space, &identity).await?;
        exchanged(&ipfs, &controller, 2, 3).await?;
        ensure!(value(&ipfs, 2, "cluster-secret").await? == digits("b"), "the permitted secret is another");
        ensure!(replicas(&sets) == [3, 0, 3], "the set had {:?} replicas", replicas(&sets));
        ensure!(secrets(&ipfs, "identity-").await? == identities, "an identity was touched");
        record.assert_made_once()
    })
    .await;
}

#[tokio::test]
async fn leavers_come_back_after_a_full_stop() {
    with_controller(async |space, controller| {
        write(space, &digits("a")).await?;
        made(space, controller, 5).await?;
        let identities = secrets(space, "identity-").await?;
        let sets = Record::<StatefulSet>::start(space).await?;
        scale(space, 3).await?;
        quiet(space, controller).await?;
        write(space, &digits("b")).await?;
        space.annotate(FULL_RESTART, &json!("may")).await?;
        value(space, 2, "cluster-secret").await?;
        for ordinal in 0..5 {
            let has_it = |pod: &Pod| pod.annotations().get(NUMBER).is_some_and(|number| number == "2");
            until(&space.api::<Pod>(), &IpfsCluster::pod(ordinal), "secret 2", has_it).await?;
        }
        until_gone(&space.api::<Secret>(), &IpfsCluster::child("secret-1")).await?;
        quiet(space, controller).await?;
        ensure!(replicas(&sets) == [5, 0, 5], "the set had {:?} replicas", replicas(&sets));
        ensure!(secrets(space, "identity-").await? == identities, "an identity was touched");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn changed_network_takes_a_permitted_full_stop() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        ensure!(!is_private(space).await?, "the network is private");
        let (before, like_this) = (versions(&children(space).await?), template(space).await?);
        let secret = value(space, 1, "cluster-secret").await?;
        let identities = secrets(space, "identity-").await?;
        space.patch(&json!({"spec": {"network": "private"}})).await?;
        refused(space, &["spec.network is not applied", FULL_RESTART]).await?;
        quiet(space, controller).await?;
        ensure!(versions(&children(space).await?) == before, "something was applied");
        ensure!(template(space).await? == like_this, "the template is another");

        space.annotate(FULL_RESTART, &json!("may")).await?;
        exchanged(space, controller, 2, 3).await?;
        ensure!(is_private(space).await?, "the network is public still");
        ensure!(value(space, 2, "cluster-secret").await? == secret, "the cluster secret was drawn again");
        let made_for = space.api::<Secret>().get(&IpfsCluster::child("secret-2")).await?;
        let network = made_for.annotations().get("temporal-stack.dev/network").cloned();
        ensure!(network.as_deref() == Some("private"), "{network:?}");
        let config = text(space, &IpfsCluster::child("peers"), &format!("{}.kubo.json", IpfsCluster::pod(0))).await?;
        ensure!(!config.contains("auto"), "a Kubo of a private network asks the public one: {}", IpfsCluster::pod(0));
        space.condition(CONFIG_HONOURED, "True", "AsWritten").await?;
        ensure!(secrets(space, "identity-").await? == identities, "an identity was touched");

        // The same permission is not good for the way back.
        space.patch(&json!({"spec": {"network": "public"}})).await?;
        refused(space, &["spec.network", "not applied"]).await
    })
    .await;
}

#[tokio::test]
async fn private_network_starts_private() {
    with_controller(async |space, controller| {
        let mut wanted = spec(2, &json!({}));
        wanted["network"] = json!("private");
        space.create(&wanted).await?;
        complete(space, controller).await?;
        ensure!(is_private(space).await?, "the Kubos would connect with anybody");
        let config = text(space, &IpfsCluster::child("peers"), &format!("{}.kubo.json", IpfsCluster::pod(1))).await?;
        ensure!(!config.contains("auto") && !config.contains("udp"), "a Kubo asks the public network");
        let swarm_key = value(space, 1, "swarm-key").await?;
        ensure_untold(space, controller, &swarm_key).await
    })
    .await;
}

#[tokio::test]
async fn retained_secret_without_a_key_is_reported() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let (api, name) = (space.api::<Secret>(), IpfsCluster::child("secret-1"));
        let kept = api.get(&name).await?;
        space.objects().delete(NAME, &DeleteParams::default()).await?;
        until_gone(&space.objects(), NAME).await?;
        until_gone(&space.api::<StatefulSet>(), &IpfsCluster::set()).await?;
        until_gone(&space.api::<Pod>(), &IpfsCluster::pod(0)).await?;
        api.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"data": {"swarm-key": null}}))).await?;
        space.create(&spec(1, &json!({}))).await?;
        space.condition_about(STALLED, "True", "SecretIncomplete", &["secret-1", "restore it"]).await?;
        quiet(space, controller).await?;
        let corrected = json!({"data": {"swarm-key": kept.data.as_ref().and_then(|data| data.get("swarm-key"))}});
        api.patch(&name, &PatchParams::default(), &Patch::Merge(corrected)).await?;
        complete(space, controller).await?;
        ensure!(api.get(&name).await?.data == kept.data, "it was changed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn lost_secret_of_running_peers_is_reported() {
    with_controller(async |space, controller| {
        made(space, controller, 2).await?;
        let (api, name) = (space.api::<Secret>(), IpfsCluster::child("secret-1"));
        let kept = api.get(&name).await?;
        api.delete(&name, &DeleteParams::default()).await?;
        space.condition_about(STALLED, "True", "SecretIncomplete", &["secret-1 is missing", FULL_RESTART]).await?;
        quiet(space, controller).await?;
        ensure!(api.get_opt(&name).await?.is_none(), "it was made again");
        restore(space, &kept).await?;
        complete(space, controller).await?;
        let data = api.get(&name).await?.data.context("it has no data")?;
        ensure!(Some(data) == kept.data, "it was changed");
        Ok(())
    })
    .await;
}

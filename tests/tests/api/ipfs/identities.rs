//! Who the peers are is decided once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, Identity, Record, Subject as _, prepare::api_server, step::restore, subject::NAME, until, until_gone,
    with_namespace,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::{
    api::{IpfsCluster, annotation, label},
    condition::{READY, STALLED},
};

use super::{Data, Ipfs, ensure_undisturbed, made, scale, secrets, spec, template, text, with_controller};
use crate::{
    crash::ended_at_each_write,
    step::{complete, ensure_untold, quiet, theirs},
};

/// The keys of an identity.
const KEYS: [&str; 2] = ["kubo-private-key", "cluster-private-key"];

/// All private keys that have been made, and the secret that the peers share.
async fn private(space: &Ipfs<'_>) -> Result<Vec<String>> {
    let mut all = vec![text(space, &IpfsCluster::child("secret-1"), "cluster-secret").await?];
    all.push(text(space, &IpfsCluster::child("secret-1"), "swarm-key").await?);
    for ordinal in secrets(space, "identity-").await?.keys() {
        for key in KEYS {
            all.push(text(space, &IpfsCluster::child(&format!("identity-{ordinal}")), key).await?);
        }
    }
    Ok(all)
}

#[tokio::test]
async fn identities_and_secret_survive_crashes_and_restarts() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<IpfsCluster>(space).await?;
        let record = Record::<Secret>::start(space).await?;
        let ipfs: Ipfs<'_> = space.one();
        ipfs.create(&spec(3, &json!({}))).await?;
        println!("making 3 peers: ended {} times", ended_at_each_write(space, &identity).await?);
        let like_this = template(&ipfs).await?;
        for ordinal in 0..3 {
            until(&space.api::<Pod>(), &IpfsCluster::pod(ordinal), "been made", |_| true).await?;
        }
        let lives = super::lives(&ipfs).await?;
        let identities = secrets(&ipfs, "identity-").await?;
        ensure!(identities.keys().eq(["0", "1", "2"]), "{:?}", identities.keys());
        let shared = secrets(&ipfs, "secret-").await?;
        ensure!(shared.keys().eq(["1"]), "{:?}", shared.keys());
        let mut keys = private(&ipfs).await?;
        keys.sort();
        keys.dedup();
        ensure!(keys.len() == 8, "of 8 secrets {} are different", keys.len());

        scale(&ipfs, 5).await?;
        println!("from 3 to 5 peers: ended {} times", ended_at_each_write(space, &identity).await?);
        for turn in 0..2 {
            let mut controller = Controller::start_as(space, &identity).await?;
            controller.leads().await?;
            let object = complete(&ipfs, &controller).await?;
            let now = secrets(&ipfs, "identity-").await?;
            ensure!(now.keys().eq(["0", "1", "2", "3", "4"]), "{:?}", now.keys());
            ensure!(identities.iter().all(|(ordinal, before)| now[ordinal] == *before), "an identity was touched");
            ensure!(secrets(&ipfs, "secret-").await? == shared, "the secret was touched");
            ensure!(template(&ipfs).await? == like_this, "5 peers have another template than 3");
            ensure_undisturbed(&ipfs, &lives).await?;
            for secret in private(&ipfs).await? {
                ensure_untold(&ipfs, &controller, &secret).await?;
            }
            let peers = object.status.map(|status| status.peers).unwrap_or_default();
            let kubos: BTreeSet<_> = peers.iter().map(|peer| &peer.kubo_id).collect();
            ensure!(peers.len() == 5 && kubos.len() == 5, "turn {turn}: {peers:?}");
            controller.kill()?;
        }
        record.assert_made_once()
    })
    .await;
}

#[tokio::test]
async fn more_peers_add_identities_and_restart_no_peer() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let before = template(space).await?;
        let mut lives = super::lives(space).await?;
        let mut identities = secrets(space, "identity-").await?;
        let shared = secrets(space, "secret-").await?;
        for count in [3, 5] {
            scale(space, count).await?;
            complete(space, controller).await?;
            ensure!(template(space).await? == before, "{count} peers have another template than one");
            ensure_undisturbed(space, &lives).await?;
            lives = super::lives(space).await?;
            let now = secrets(space, "identity-").await?;
            ensure!(now.len() == usize::try_from(count)?, "{:?}", now.keys());
            ensure!(identities.iter().all(|(ordinal, before)| now[ordinal] == *before), "an identity was touched");
            ensure!(secrets(space, "secret-").await? == shared, "the secret was touched");
            identities = now;
        }
        Ok(())
    })
    .await;
}

/// UID and keys of each identity, and UID of each volume.
async fn data(space: &Ipfs<'_>) -> Result<BTreeMap<String, (String, Option<Data>)>> {
    let identities = secrets(space, "identity-").await?.into_iter();
    let mut all: BTreeMap<_, _> = identities.map(|(ordinal, (uid, _, data))| (ordinal, (uid, Some(data)))).collect();
    for claim in space.api::<PersistentVolumeClaim>().list(&ListParams::default()).await? {
        all.insert(claim.name_any(), (claim.uid().unwrap_or_default(), None));
    }
    Ok(all)
}

async fn delete(space: &Ipfs<'_>) -> Result<()> {
    space.objects().delete(NAME, &DeleteParams::default()).await?;
    until_gone(&space.objects(), NAME).await?;
    until_gone(&space.api::<StatefulSet>(), &IpfsCluster::set()).await?;
    until_gone(&space.api::<Secret>(), &IpfsCluster::child("peers")).await
}

#[tokio::test]
async fn recreated_object_that_grows_keeps_all_identities() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        let before = data(space).await?;
        ensure!(before.len() == 6, "{:?}", before.keys());
        delete(space).await?;
        ensure!(data(space).await? == before, "data have not outlived the object");
        // Those that are too many come back: nobody knows whether they may leave.
        space.create(&spec(1, &json!({}))).await?;
        space.condition_about(READY, "False", "Scaling", &["is waiting: "]).await?;
        ensure!(data(space).await? == before, "data of peers that are not wanted now have gone");
        scale(space, 3).await?;
        let object = complete(space, controller).await?;
        ensure!(data(space).await? == before, "a peer is somebody else");
        for part in ["secret-1", "identity-0", "identity-1", "identity-2"] {
            let secret = space.api::<Secret>().get(&IpfsCluster::child(part)).await?;
            ensure!(secret.annotations().get(annotation::OWNER) == object.uid().as_ref(), "{part} was not taken over");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn policy_delete_removes_identities_and_volumes() {
    with_controller(async |space, controller| {
        let mut wanted = spec(3, &json!({}));
        wanted["deletionPolicy"] = json!("Delete");
        space.create(&wanted).await?;
        complete(space, controller).await?;
        delete(space).await?;
        for ordinal in 0..3 {
            let secret = IpfsCluster::child(&format!("identity-{ordinal}"));
            until_gone(&space.api::<Secret>(), &secret).await?;
            until_gone(&space.api::<PersistentVolumeClaim>(), &IpfsCluster::volume(ordinal)).await?;
        }
        until_gone(&space.api::<Secret>(), &IpfsCluster::child("secret-1")).await
    })
    .await;
}

#[tokio::test]
async fn lost_identity_is_reported_and_not_replaced() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        let name = IpfsCluster::child("identity-1");
        let api = space.api::<Secret>();
        let kept = api.get(&name).await?;
        let lives = super::lives(space).await?;
        api.delete(&name, &DeleteParams::default()).await?;
        let parts = [&*format!("Secret/{name}"), &IpfsCluster::volume(1), "restore the Secret"];
        space.condition_about(STALLED, "True", "SecretMissing", &parts).await?;
        quiet(space, controller).await?;
        ensure!(api.get_opt(&name).await?.is_none(), "it was made again");

        restore(space, &kept).await?;
        complete(space, controller).await?;
        ensure!(api.get(&name).await?.data == kept.data, "it was changed");
        ensure_undisturbed(space, &lives).await
    })
    .await;
}

#[tokio::test]
async fn lost_identity_of_a_leaver_is_not_replaced() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        scale(space, 1).await?;
        quiet(space, controller).await?;
        let lives = super::lives(space).await?;
        let (api, name) = (space.api::<Secret>(), IpfsCluster::child("identity-2"));
        api.delete(&name, &DeleteParams::default()).await?;
        let parts = [&*format!("Secret/{name}"), &IpfsCluster::volume(2), "restore the Secret"];
        space.condition_about(STALLED, "True", "SecretMissing", &parts).await?;
        quiet(space, controller).await?;
        ensure!(api.get_opt(&name).await?.is_none(), "it was made again");
        ensure_undisturbed(space, &lives).await
    })
    .await;
}

#[tokio::test]
async fn change_of_provider_and_back_keeps_identities() {
    with_controller(async |space, controller| {
        made(space, controller, 3).await?;
        let before = data(space).await?;
        let _theirs = theirs::<IpfsCluster>(space).await?;
        let provider = json!({"kubo": null, "external": {"secretName": "theirs"}});
        space.patch(&json!({"spec": {"provider": provider}})).await?;
        until_gone(&space.api::<StatefulSet>(), &IpfsCluster::set()).await?;
        quiet(space, controller).await?;
        ensure!(data(space).await? == before, "data have gone");
        let mut back = spec(3, &json!({}));
        back["provider"]["external"] = json!(null);
        space.patch(&json!({"spec": back})).await?;
        complete(space, controller).await?;
        ensure!(data(space).await? == before, "a peer is somebody else");
        ensure!(secrets(space, "secret-").await?.keys().eq(["1"]), "the secret is another");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn unreadable_key_is_named() {
    with_controller(async |space, controller| {
        made(space, controller, 1).await?;
        let name = IpfsCluster::child("identity-0");
        let api = space.api::<Secret>();
        let before = api.get(&name).await?;
        ensure!(before.labels().get(label::DATA).is_some_and(|data| data == "true"), "it is not labelled as data");
        for key in KEYS {
            let spoilt = Patch::Merge(json!({"stringData": {key: "nothing"}}));
            api.patch(&name, &PatchParams::default(), &spoilt).await?;
            let parts = [&*format!("Secret/{name}"), key, "restore the Secret"];
            space.condition_about(STALLED, "True", "SecretIncomplete", &parts).await?;
            quiet(space, controller).await?;
            let data = before.data.as_ref().context("it had no data")?;
            let corrected = Patch::Merge(json!({"data": {key: data.get(key)}}));
            api.patch(&name, &PatchParams::default(), &corrected).await?;
            complete(space, controller).await?;
        }
        until(&api, &name, "its keys", |secret| secret.data == before.data).await.map(drop)
    })
    .await;
}

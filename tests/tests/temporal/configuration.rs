use anyhow::{Result, ensure};
use e2e::{Stopwatch, Subject as _, peers::until_answer, until};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Secret},
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use temporal_stack_common::{
    api::Temporal,
    condition::{CONFIG_HONOURED, READY, STALLED},
};

use crate::{
    Ipfs,
    beside::{beside, configured, reconfigure, same_admin, variables},
    cluster, random,
};

/// How many requests the program itself would allow in an hour.
const FEW: usize = 50;

#[tokio::test]
async fn an_instance_on_variables_alone_serves_without_tls_and_loses_no_upload_that_no_worker_has_seen_yet() {
    beside(&cluster(), async |temporal, stack| {
        configured(temporal, stack, &[("LOGDIR", "/logs"), ("DATABASE_NAME", "temporal")]).await?;
        same_admin(temporal, stack).await?;
        let mut watch = Stopwatch::new();
        temporal.create(&json!({"admins": [{"secretName": e2e::temporal::ADMIN}]})).await?;
        temporal.ready().await?;
        watch.step("Ready after");
        let told = ["LOGDIR has no / at its end"];
        temporal.condition_about(CONFIG_HONOURED, "True", "Adapted", &told).await?;

        // Plain HTTP, as the user's variables name no certificate.
        let caller = temporal.caller().await?;
        ensure!(caller.base.starts_with("http://"), "{}", caller.base);
        let bare = caller.answer(caller.bare(Method::GET, "systems/check")).await?;
        ensure!(bare.status == StatusCode::MOVED_PERMANENTLY, "without the header: {bare:?}");
        for _ in 0..=FEW {
            let check = caller.answer(caller.ask(Method::GET, "systems/check")).await?;
            ensure!(check.status == StatusCode::OK, "{check:?}");
        }
        watch.step("asked more often than the program would allow, after");

        // What is wrong in the ConfigMap is told, and what runs goes on.
        let before = uids(temporal).await?;
        let wrong = json!({"SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE": "fast", "KRAB_URL": "x", "CONFIG_DAG": "/c.json"});
        reconfigure(temporal, &wrong).await?;
        let told = ["SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE is no whole number", "CONFIG_DAG names a file", "did you mean SERVICES_KRAB_URL?"];
        temporal.condition_about(CONFIG_HONOURED, "False", "Refused", &told).await?;
        temporal.condition(READY, "True", "Verified").await?;
        ensure!(uids(temporal).await? == before, "pods were rolled by what is not passed");
        reconfigure(temporal, &json!({"DATABASE_URL": "0.0.0.0.0"})).await?;
        temporal.condition_about(STALLED, "True", "InvalidSpec", &["temporal-config: DATABASE_URL is no name or address"]).await?;
        let again = caller.answer(caller.ask(Method::GET, "systems/check")).await?;
        ensure!(again.status == StatusCode::OK && uids(temporal).await? == before, "what ran does not run any more");
        let host = &variables(stack).await?["DATABASE_URL"];
        reconfigure(temporal, &json!({"DATABASE_URL": host, "SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE": null, "KRAB_URL": null, "CONFIG_DAG": null})).await?;
        temporal.ready().await?;
        watch.step("wrong variables were told, and taken back, after");
        Ok(())
    })
    .await;
}

/// The pods and who they are.
async fn uids(temporal: &e2e::One<'_, Temporal>) -> Result<Vec<(String, Option<String>)>> {
    let ours = ListParams::default().labels("app.kubernetes.io/component=temporal");
    let pods = temporal.api::<Pod>().list(&ours).await?;
    let runs = |pod: &&Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
    Ok(pods.iter().filter(runs).map(|pod| (pod.name_any(), pod.uid())).collect())
}

#[tokio::test]
async fn an_image_that_does_not_start_is_told_and_what_ran_goes_on() {
    beside(&cluster(), async |temporal, stack| {
        configured(temporal, stack, &[("API_CONNECTION_LIMIT", "100")]).await?;
        temporal.create(&json!({})).await?;
        let mut watch = Stopwatch::new();
        temporal.ready().await?;
        watch.step("Ready after");
        let api = temporal.api::<Deployment>().get(&Temporal::child("api")).await?;
        let probe = serde_json::to_value(
            &api.spec.unwrap_or_default().template.spec.unwrap_or_default().containers[0].readiness_probe,
        )?;
        ensure!(probe["httpGet"].is_null() && probe["tcpSocket"].is_object(), "probes use the limit up: {probe}");

        let before = uids(temporal).await?;
        temporal.patch(&json!({"spec": {"image": "localhost/temporal-stack/kubo:v0.42.0"}})).await?;
        let told = ["the migration of localhost/temporal-stack/kubo:v0.42.0", "temporal"];
        temporal.condition_about(READY, "False", "Migrating", &told).await?;
        watch.step("an image without the program is told after");
        let caller = temporal.caller().await?;
        let check = caller.answer(caller.ask(Method::GET, "systems/check")).await?;
        ensure!(check.status == StatusCode::OK, "{check:?}");
        ensure!(before.iter().all(|pod| before.contains(pod)) && !before.is_empty(), "nothing ran before");
        for (name, uid) in uids(temporal).await? {
            ensure!(before.contains(&(name.clone(), uid)) || name.contains("-migrate-"), "{name} is new");
        }
        temporal.patch(&json!({"spec": {"image": null}})).await?;
        temporal.ready().await?;
        watch.step("taken back, and Ready after");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_waits_in_its_queue_while_there_is_no_worker() {
    beside(&cluster(), async |temporal, stack| {
        configured(temporal, stack, &[]).await?;
        same_admin(temporal, stack).await?;
        temporal.create(&json!({"admins": [{"secretName": e2e::temporal::ADMIN}]})).await?;
        temporal.ready().await?;
        // The stack's own worker must not help.
        let of_stack = stack.one::<Temporal>();
        let workers = |replicas: i32| json!({"spec": {"workers": {"cluster": {"replicas": replicas}}}});
        of_stack.patch(&workers(0)).await?;
        temporal.patch(&workers(0)).await?;
        let gone = |deployment: &Deployment| {
            deployment.status.as_ref().is_some_and(|status| status.replicas.unwrap_or_default() == 0)
        };
        for api in [stack.api::<Deployment>(), temporal.api()] {
            until(&api, &Temporal::child("cluster"), "no replicas", gone).await?;
        }
        let ipfs = Ipfs::of(stack).await?;
        let caller = temporal.admin().await?;
        let cid = caller.add(random(10_000)).await?;
        let held = ipfs.peers[0].kubo_pins().await?;
        // Kubo pins what is added through it; the others hear of it through the queue.
        ensure!(!ipfs.peers[0].allocations().await?.contains_key(&cid), "a worker was there: {}", held.len());
        temporal.patch(&workers(1)).await?;
        of_stack.patch(&workers(1)).await?;
        let allocations = async || Ok(ipfs.peers[0].allocations().await?.contains_key(&cid));
        until_answer("the upload to reach the cluster", allocations, |there| *there).await?;
        ipfs.all_have(&cid).await?;
        ipfs.forget(&cid).await?;
        of_stack.ready().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn without_the_bridge_todays_servers_are_told_to_be_too_new() {
    beside(&cluster(), async |temporal, stack| {
        configured(temporal, stack, &[]).await?;
        temporal.create(&json!({"bridge": "Off"})).await?;
        let told = ["container cluster", "exit code"];
        temporal.condition_about(READY, "False", "ChildrenNotReady", &told).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_the_users_is_taken_and_its_place_is_theirs_to_name() {
    beside(&cluster(), async |temporal, stack| {
        let paths = [
            ("API_CONNECTION_CERTIFICATES_CERTPATH", "/etc/api/cert.pem"),
            ("API_CONNECTION_CERTIFICATES_KEYPATH", "/somewhere/else/key.pem"),
        ];
        configured(temporal, stack, &paths).await?;
        temporal.create(&json!({"tls": {"secretName": "mine"}})).await?;
        temporal.stalled("SecretMissing", &["spec.tls.secretName", "Secret/mine"]).await?;
        // An RSA certificate that is there already: the stack's.
        let made = stack.api::<Secret>().get(&Temporal::child("certificate")).await?;
        let mine = Secret {
            metadata: kube::api::ObjectMeta { name: Some("mine".to_owned()), ..Default::default() },
            data: made.data,
            type_: made.type_,
            ..Secret::default()
        };
        temporal.api::<Secret>().create(&PostParams::default(), &mine).await?;
        temporal.ready().await?;
        let url = temporal.get().await?.status.and_then(|status| status.url).unwrap_or_default();
        ensure!(url.starts_with("https://"), "{url}");
        Ok(())
    })
    .await;
}

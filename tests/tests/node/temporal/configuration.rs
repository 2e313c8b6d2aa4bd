use anyhow::{Result, ensure};
use e2e::{Stopwatch, Subject as _};
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

use crate::temporal::beside::{beside, configured, reconfigure, same_admin, variables};

/// How many requests the program itself would allow in an hour.
const FEW: usize = 50;

#[tokio::test]
async fn variables_alone_serve_without_tls_and_lose_no_upload() {
    beside(async |temporal, stack| {
        configured(temporal, stack, &[("LOGDIR", "/logs"), ("DATABASE_NAME", "temporal")]).await?;
        same_admin(temporal, stack).await?;
        let mut watch = Stopwatch::new();
        temporal.create(&json!({"admins": [{"secretName": e2e::temporal::ADMIN}]})).await?;
        temporal.ready().await?;
        watch.step("Ready after");
        let parts = ["LOGDIR lacks a trailing /"];
        temporal.condition_about(CONFIG_HONOURED, "True", "Adapted", &parts).await?;

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
        let parts = ["SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE is not a whole number", "CONFIG_DAG names a file", "did you mean SERVICES_KRAB_URL?"];
        temporal.condition_about(CONFIG_HONOURED, "False", "Refused", &parts).await?;
        temporal.condition(READY, "True", "Verified").await?;
        ensure!(uids(temporal).await? == before, "pods were rolled by what is not passed");
        reconfigure(temporal, &json!({"DATABASE_URL": "0.0.0.0.0"})).await?;
        temporal.condition_about(STALLED, "True", "InvalidSpec", &["temporal-config: DATABASE_URL is not a host name or address"]).await?;
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
async fn unstartable_image_is_reported_and_running_pods_stay() {
    beside(async |temporal, stack| {
        configured(temporal, stack, &[("API_CONNECTION_LIMIT", "100")]).await?;
        temporal.create(&json!({})).await?;
        let mut watch = Stopwatch::new();
        temporal.ready().await?;
        watch.step("Ready after");
        let api = temporal.api::<Deployment>().get(&Temporal::child("api")).await?;
        let probe = serde_json::to_value(
            &api.spec.unwrap_or_default().template.spec.unwrap_or_default().containers[0].readiness_probe,
        )?;
        ensure!(probe["httpGet"]["port"] == 9081, "probes use the limit up: {probe}");

        let before = uids(temporal).await?;
        temporal.patch(&json!({"spec": {"image": "localhost/temporal-stack/kubo:v0.42.0"}})).await?;
        let parts = ["migration of localhost/temporal-stack/kubo:v0.42.0", "temporal"];
        temporal.condition_about(READY, "False", "Migrating", &parts).await?;
        watch.step("an image without the program is told after");
        let caller = temporal.caller().await?;
        let check = caller.answer(caller.ask(Method::GET, "systems/check")).await?;
        ensure!(check.status == StatusCode::OK, "{check:?}");
        let now = uids(temporal).await?;
        ensure!(!before.is_empty(), "nothing ran before");
        let gone: Vec<_> = before.iter().filter(|pod| !now.contains(pod)).collect();
        ensure!(gone.is_empty(), "{gone:?} do not run any more");
        let new: Vec<_> = now.iter().filter(|pod| !before.contains(pod) && !pod.0.contains("-migrate-")).collect();
        ensure!(new.is_empty(), "{new:?} are new");
        temporal.patch(&json!({"spec": {"image": null}})).await?;
        temporal.ready().await?;
        watch.step("taken back, and Ready after");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn failing_workers_without_the_bridge_are_reported() {
    beside(async |temporal, stack| {
        configured(temporal, stack, &[]).await?;
        temporal.create(&json!({"bridge": "Off"})).await?;
        let parts = ["container cluster", "exit code"];
        temporal.condition_about(READY, "False", "ChildrenNotReady", &parts).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn users_certificate_is_served_from_the_path_that_they_name() {
    beside(async |temporal, stack| {
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

//! Linkerd that is not there, not yet, no longer, or only in parts: conditions say so, and nothing is left half done.

use anyhow::{Result, ensure};
use e2e::{
    Subject as _,
    linkerd::{CONFIG, Conduct, INJECT, Installed, Setup},
    subject::{assert_told, condition_of},
    until,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use temporal_stack_common::{
    api::{Mesh, PostgresDatabase},
    condition::{READY, STALLED},
};

use super::{Meshes, has_said, read_again, with_own_linkerd};

/// The condition about Linkerd itself.
const INSTALLED: &str = "MeshInstalled";

async fn namespace_of(mesh: &Meshes<'_>) -> Result<Namespace> {
    Ok(Api::<Namespace>::all(mesh.client.clone()).get(&mesh.name).await?)
}

#[tokio::test]
async fn absent_linkerd_is_reported_and_picked_up_when_it_appears() {
    with_own_linkerd(async |mesh, linkerd, _| {
        mesh.create(&json!({})).await?;
        mesh.condition_about(INSTALLED, "False", "NotInstalled", &["linkerd install"]).await?;
        let namespace = namespace_of(mesh).await?;
        ensure!(!namespace.annotations().contains_key(INJECT), "pods wait for an injector that is not there");
        linkerd.install(&Setup::recorded()).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await?;
        let status = mesh.until("the version", |object| {
            object.status.as_ref().is_some_and(|status| status.version.as_deref() == Some("stable-2.20.0"))
        });
        status.await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn linkerd_that_goes_is_reported_and_missed_by_nobody_else() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await?;
        linkerd.remove().await?;
        mesh.condition(INSTALLED, "False", "NotInstalled").await?;
        let object = mesh.get().await?;
        ensure!(has_said(&object), "the object says nothing");
        // It goes without a counterpart, too: nothing may wait for kinds that are gone.
        mesh.objects().delete(e2e::subject::NAME, &DeleteParams::default()).await?;
        e2e::until_gone(&mesh.objects(), e2e::subject::NAME).await?;
        let namespace = namespace_of(mesh).await?;
        ensure!(!namespace.annotations().contains_key(INJECT), "the annotation was left");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn mesh_that_goes_takes_its_annotations_along() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.create(&json!({})).await?;
        let namespaces = Api::<Namespace>::all(mesh.client.clone());
        let has = |namespace: &Namespace| namespace.annotations().get(INJECT).is_some_and(|value| value == "enabled");
        let annotated = until(&namespaces, &mesh.name, "the injector's annotation", has).await?;
        let grace = annotated.annotations().get("config.linkerd.io/shutdown-grace-period").cloned();
        ensure!(grace.as_deref() == Some("5s"), "pods would take two minutes to end: {grace:?}");
        mesh.objects().delete(e2e::subject::NAME, &DeleteParams::default()).await?;
        let is_clean = |namespace: &Namespace| !namespace.annotations().keys().any(|key| key.contains("linkerd.io/"));
        until(&namespaces, &mesh.name, "no annotation of Linkerd", is_clean).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn half_installed_kinds_are_named_and_picked_up_later() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        let missing = ["meshtlsauthentications.policy.linkerd.io", "networkauthentications.policy.linkerd.io"];
        linkerd.remove_kinds(&missing).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        let said = mesh.condition(INSTALLED, "False", "KindsMissing").await?;
        assert_told(&said, &missing)?;
        ensure!(servers(mesh).await?.is_empty(), "a policy without the authentications would deny everything");
        linkerd.install_kinds(Installed::RECORDED).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await.map(drop)
    })
    .await;
}

/// The policies about ports in the object's namespace.
async fn servers(mesh: &Meshes<'_>) -> Result<Vec<DynamicObject>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("policy.linkerd.io", "v1beta3", "Server"));
    let api: Api<DynamicObject> = Api::namespaced_with(mesh.client.clone(), &mesh.name, &resource);
    Ok(api.list(&ListParams::default()).await?.items)
}

#[tokio::test]
async fn control_plane_that_is_down_is_named_until_it_runs_again() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.create(&json!({})).await?;
        mesh.condition(INSTALLED, "True", "AsExpected").await?;
        for name in ["linkerd-destination", "linkerd-proxy-injector", "linkerd-identity"] {
            linkerd.reports(name, false).await?;
            mesh.condition_about(INSTALLED, "False", "ControlPlaneDown", &[name]).await?;
            linkerd.reports(name, true).await?;
            mesh.condition(INSTALLED, "True", "AsExpected").await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn missing_webhook_is_named() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        linkerd.remove_webhook().await?;
        mesh.create(&json!({})).await?;
        // Pods come up without a proxy, and nobody else says a word about it.
        let told = ["linkerd-proxy-injector-webhook-config"];
        mesh.condition_about(INSTALLED, "False", "ControlPlaneDown", &told).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn certificates_are_warned_about_for_thirty_days() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.create(&json!({})).await?;
        mesh.condition("IdentityValid", "True", "AsExpected").await?;
        for (days, reason) in [(29, "CertificateExpiring"), (-1, "CertificateExpired")] {
            linkerd.identity(&Setup::recorded().valid_for(days)).await?;
            read_again(mesh).await?;
            mesh.condition("IdentityValid", "False", reason).await?;
        }
        linkerd.identity(&Setup::recorded().valid_for(31)).await?;
        read_again(mesh).await?;
        mesh.condition("IdentityValid", "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn missing_trust_anchors_are_not_known_to_be_valid() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        let maps = linkerd.api::<ConfigMap>();
        maps.delete(e2e::linkerd::ANCHORS, &DeleteParams::default()).await?;
        mesh.create(&json!({})).await?;
        let object = mesh.until("a word about certificates", |object| condition_of(object, "IdentityValid").is_some());
        let object = object.await?;
        let condition = condition_of(&object, "IdentityValid").cloned();
        ensure!(condition.as_ref().is_some_and(|condition| condition.status != "True"), "{condition:?}");
        ensure!(maps.get_opt(CONFIG).await?.is_some(), "the values of the installation are gone");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn nothing_else_waits_for_an_absent_linkerd() {
    with_own_linkerd(async |mesh, _, _| {
        let _databases = e2e::Controller::start::<PostgresDatabase>(mesh).await?;
        mesh.create(&json!({"policy": "Enforce"})).await?;
        mesh.condition(INSTALLED, "False", "NotInstalled").await?;
        let database = mesh.one::<PostgresDatabase>();
        database.create(&PostgresDatabase::embedded()).await?;
        let object = database.waits_for_its_pods().await?;
        ensure!(condition_of(&object, READY).is_some(), "the database says nothing");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn refusing_webhook_is_quoted_by_the_component_that_wants_a_pod() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        let _databases = e2e::Controller::start::<PostgresDatabase>(mesh).await?;
        e2e::linkerd::open(mesh).await?;
        linkerd.webhook(Conduct::Refuses);
        mesh.create(&json!({})).await?;
        let database = mesh.one::<PostgresDatabase>();
        database.create(&PostgresDatabase::embedded()).await?;
        let quoted = |object: &PostgresDatabase| {
            condition_of(object, READY).is_some_and(|ready| ready.message.contains("the stand-in refuses"))
        };
        database.until("quoted the webhook", quoted).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn broken_webhook_leaves_pods_without_a_proxy_and_they_are_named() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        let _databases = e2e::Controller::start::<PostgresDatabase>(mesh).await?;
        e2e::linkerd::open(mesh).await?;
        linkerd.webhook(Conduct::Babbles);
        mesh.create(&json!({})).await?;
        // Only a namespace with the annotation has its pods changed.
        let is_annotated = |namespace: &Namespace| namespace.annotations().contains_key(INJECT);
        until(&Api::<Namespace>::all(mesh.client.clone()), &mesh.name, "been annotated", is_annotated).await?;
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        mesh.condition_about("Injected", "False", "ProxiesMissing", &["temporal-postgresdatabase-0"]).await?;
        // The next pod has one, and nothing is said of the old one any more.
        linkerd.webhook(Conduct::Works);
        mesh.api::<Pod>().delete("temporal-postgresdatabase-0", &DeleteParams::default()).await?;
        let _proxy = e2e::linkerd::proxied(mesh, "temporal-postgresdatabase-0").await?;
        mesh.condition("Injected", "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn refused_policy_is_quoted_with_the_webhook_that_refuses() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        linkerd.validator(Conduct::Refuses, false).await?;
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.stalled("ChildRefused", &["the stand-in refuses"]).await?;
        linkerd.validator(Conduct::Works, false).await?;
        mesh.until("gone on", |object| condition_of(object, STALLED).is_none()).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn required_webhook_that_answers_nonsense_is_waited_for() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        linkerd.validator(Conduct::Babbles, true).await?;
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        mesh.create(&json!({"policy": "Audit"})).await?;
        let quoted = |object: &Mesh| {
            condition_of(object, READY).is_some_and(|ready| ready.message.contains("linkerd-policy-validator"))
        };
        mesh.until("quoted the webhook", quoted).await?;
        linkerd.validator(Conduct::Works, true).await?;
        e2e::turns("a Server is written", async || Ok(!servers(mesh).await?.is_empty())).await
    })
    .await;
}

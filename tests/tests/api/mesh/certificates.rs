//! Certificates besides those of the identity: of Linkerd's webhooks, and of the proxies themselves.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use e2e::{
    Subject as _,
    linkerd::{self, Setup},
    subject::NAME,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::api::{Mesh, PostgresDatabase};

use super::{read_again, with_own_linkerd};

const IDENTITY: &str = "IdentityValid";
/// The pod of the database.
const POD: &str = "temporal-postgresdatabase-0";

#[tokio::test]
async fn bundle_of_a_webhook_is_warned_about_for_thirty_days() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        mesh.create(&json!({})).await?;
        mesh.condition(IDENTITY, "True", "AsExpected").await?;
        for (days, reason) in [(29, "CertificateExpiring"), (-1, "CertificateExpired")] {
            linkerd.validator_trusted_for(days).await?;
            read_again(mesh).await?;
            let told = ["linkerd-policy-validator-webhook-config"];
            mesh.condition_about(IDENTITY, "False", reason, &told).await?;
        }
        linkerd.validator_trusted_for(365).await?;
        read_again(mesh).await?;
        mesh.condition(IDENTITY, "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn issuer_that_expires_first_is_reported_where_it_may_be_read() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        linkerd.issuer(&Setup::recorded().valid_for(-1)).await?;
        mesh.create(&json!({})).await?;
        mesh.condition_about(IDENTITY, "True", "AsExpected", &["the issuer is not known"]).await?;
        linkerd.permit_issuer(Mesh::PROGRAM, &mesh.name).await?;
        for (days, status, reason) in
            [(-1, "False", "CertificateExpired"), (29, "False", "CertificateExpiring"), (31, "True", "AsExpected")]
        {
            linkerd.issuer(&Setup::recorded().valid_for(days)).await?;
            read_again(mesh).await?;
            mesh.condition_about(IDENTITY, status, reason, &["the issuer"]).await?;
        }
        let status = mesh.get().await?.status.unwrap_or_default();
        let certificates = status.certificates.unwrap_or_default();
        ensure!(certificates.issuer.is_some() && certificates.trust_anchor.is_some(), "{certificates:?}");
        Ok(())
    })
    .await;
}

/// The metrics of a proxy whose certificate of a day was issued so many hours ago.
fn issued(hours: u64) -> Result<String> {
    let issued = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() - hours * 3600;
    Ok(format!(
        "control_identity_cert_refresh_timestamp_seconds {issued}\ncontrol_identity_cert_expiration_timestamp_seconds {}\n",
        issued + 24 * 3600
    ))
}

#[tokio::test]
async fn certificate_that_a_proxy_does_not_renew_is_named() {
    with_own_linkerd(async |mesh, linkerd, _| {
        linkerd.install(&Setup::recorded()).await?;
        let _databases = e2e::Controller::start::<PostgresDatabase>(mesh).await?;
        linkerd::open(mesh).await?;
        // By a user, so that pods have proxies before the object reads their metrics for the first time.
        let patch = Patch::Merge(json!({"metadata": {"annotations": {linkerd::INJECT: "enabled"}}}));
        let user = PatchParams { field_manager: Some("kubectl".to_owned()), ..PatchParams::default() };
        Api::<Namespace>::all(mesh.client.clone()).patch(&mesh.name, &user, &patch).await?;
        mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
        for (hours, status, reason) in
            [(22, "False", "CertificateNotRenewed"), (25, "False", "CertificateExpired"), (1, "True", "AsExpected")]
        {
            let _proxy = linkerd::proxied_with(mesh, POD, issued(hours)?).await?;
            mesh.create(&json!({})).await?;
            let told: &[&str] = if status == "False" { &[POD] } else { &[] };
            mesh.condition_about(IDENTITY, status, reason, told).await?;
            mesh.objects().delete(NAME, &DeleteParams::default()).await?;
            e2e::until_gone(&mesh.objects(), NAME).await?;
            let (pods, old) = (mesh.api::<Pod>(), mesh.api::<Pod>().get(POD).await?);
            pods.delete(POD, &DeleteParams::default().grace_period(0)).await?;
            e2e::until(&pods, POD, "been made again", |pod| pod.metadata.uid != old.metadata.uid).await?;
        }
        Ok(())
    })
    .await;
}

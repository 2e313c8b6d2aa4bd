//! How the API speaks TLS: with a certificate that the controller makes, or with the user's.

use anyhow::{Context as _, Result, ensure};
use e2e::{Controller, Identity, prepare::api_server, until, until_gone, with_namespace};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Secret, Service},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use temporal_stack_common::api::{Temporal, annotation};

use super::{CONFIG, Subjects, complete, made, text, with_controller, with_tls};
use crate::step::{configure, ensure_untold, quiet, write_secret};

const CERTIFICATE: &str = "temporal-temporal-certificate";
const KEYS: &str = "temporal-temporal-certificate-keys";
const BINDING: &str = "temporal-temporal-binding";

/// What is encoded in a PEM text.
fn der(pem: &str) -> Result<Vec<u8>> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes: ByteString = serde_json::from_value(json!(base64)).context("no PEM")?;
    Ok(bytes.0)
}

/// Whether these bytes are in there: a name or an address, as a certificate has it.
fn has(certificate: &[u8], part: &[u8]) -> bool {
    certificate.windows(part.len()).any(|window| window == part)
}

/// The API's certificate, and when its Secret was changed.
async fn certificate(space: &Subjects<'_>) -> Result<(String, Option<String>)> {
    let secret = space.api::<Secret>().get(CERTIFICATE).await?;
    ensure!(secret.type_.as_deref() == Some("kubernetes.io/tls"), "{:?}", secret.type_);
    Ok((text(space, CERTIFICATE, "tls.crt").await?, secret.resource_version()))
}

#[tokio::test]
async fn certificate_survives_a_restart_and_follows_its_names() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<Temporal>(space).await?;
        let mut controller = Controller::start_as(space, &identity).await?;
        controller.leads().await?;
        let space: &Subjects<'_> = &space.one();
        with_tls(space).await?;
        let fields =
            json!({"tls": {"names": ["pin.example.com", "192.0.2.7"]}, "ingress": {"host": "outside.example.com"}});
        made(space, &controller, &fields).await?;
        let (first, version) = certificate(space).await?;
        let service = space.api::<Service>().get("temporal-temporal-api").await?;
        let ip: std::net::Ipv4Addr = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?.parse()?;
        let made_of = der(&first)?;
        let host = format!("temporal-temporal-api.{}.svc", space.name);
        for name in ["pin.example.com", "outside.example.com", "localhost", &host, &format!("{host}.cluster.local")] {
            ensure!(has(&made_of, name.as_bytes()), "{name} is not in the certificate");
        }
        // An address follows its tag and its length.
        for address in [ip.octets(), [192, 0, 2, 7], [127, 0, 0, 1]] {
            ensure!(has(&made_of, &[&[0x87, 4], &address[..]].concat()), "{address:?} is not in the certificate");
        }
        let ca = text(space, CERTIFICATE, "ca.crt").await?;
        ensure!(text(space, BINDING, "ca.crt").await? == ca, "the binding has another authority");
        ensure!(text(space, BINDING, "uri").await? == format!("https://{host}:6767"));
        ensure!(space.get().await?.status.and_then(|status| status.url) == Some(format!("https://{host}:6767")));
        for key in ["ca.key", "tls.key"] {
            let key = text(space, KEYS, key).await?;
            let line = key.lines().nth(3).context("the key is short")?;
            ensure_untold(space, &controller, line).await?;
        }

        controller.terminate()?;
        ensure!(controller.ended().await?.success());
        let controller = Controller::start_as(space, &identity).await?;
        controller.leads().await?;
        complete(space, &controller).await?;
        ensure!(certificate(space).await? == (first.clone(), version), "a restart has made another certificate");

        space.patch(&json!({"spec": {"tls": {"names": ["other.example.com"]}}})).await?;
        complete(space, &controller).await?;
        let (second, _) = certificate(space).await?;
        let made_of = der(&second)?;
        ensure!(
            has(&made_of, b"other.example.com") && !has(&made_of, b"pin.example.com"),
            "the names are not the new ones"
        );
        ensure!(text(space, CERTIFICATE, "ca.crt").await? == ca, "there is another authority");

        // A new address of the Service is another name, too.
        let before = space.api::<Service>().get("temporal-temporal-api").await?.uid();
        space.api::<Service>().delete("temporal-temporal-api", &DeleteParams::default()).await?;
        until(&space.api::<Service>(), "temporal-temporal-api", "been made again", |service| service.uid() != before)
            .await?;
        complete(space, &controller).await?;
        let service = space.api::<Service>().get("temporal-temporal-api").await?;
        let ip: std::net::Ipv4Addr = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?.parse()?;
        let (third, _) = certificate(space).await?;
        ensure!(has(&der(&third)?, &[&[0x87, 4], &ip.octets()[..]].concat()), "{ip} is not in the certificate");

        // Without the paths there is no TLS; the keys are data and stay.
        configure(space, CONFIG, &json!({})).await?;
        until_gone(&space.api::<Secret>(), CERTIFICATE).await?;
        complete(space, &controller).await?;
        space.api::<Secret>().get(KEYS).await?;
        ensure!(text(space, BINDING, "uri").await?.starts_with("http://"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn foreign_edit_of_the_certificate_is_undone() {
    with_controller(async |space, controller| {
        with_tls(space).await?;
        made(space, controller, &json!({})).await?;
        let secrets = space.api::<Secret>();
        let before = secrets.get(CERTIFICATE).await?.data;
        for key in ["tls.crt", "tls.key", "ca.crt"] {
            let edit = Patch::Merge(json!({"stringData": {key: "-----BEGIN CERTIFICATE-----"}}));
            secrets.patch(CERTIFICATE, &PatchParams::default(), &edit).await?;
            let is_good = |secret: &Secret| {
                let value = |key| temporal_stack_common::binding::text(secret, key);
                value("tls.crt").is_some_and(|text| der(text).is_ok_and(|der| der.len() > 500))
                    && value("ca.crt").is_some_and(|text| der(text).is_ok_and(|der| der.len() > 500))
                    && secret.data.as_ref().map(|data| &data["tls.key"]) == before.as_ref().map(|data| &data["tls.key"])
            };
            until(&secrets, CERTIFICATE, &format!("its {key} back"), is_good).await?;
            quiet(space, controller).await?;
        }
        let after = secrets.get(CERTIFICATE).await?.data;
        let authority = |data: &Option<std::collections::BTreeMap<String, ByteString>>| {
            data.as_ref().and_then(|data| data.get("ca.crt").cloned())
        };
        ensure!(authority(&after) == authority(&before), "there is another authority");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn invalid_certificate_name_stalls() {
    with_controller(async |space, controller| {
        with_tls(space).await?;
        made(space, controller, &json!({})).await?;
        space.patch(&json!({"spec": {"tls": {"names": ["bücher.example.com"]}}})).await?;
        space.stalled("InvalidSpec", &["spec.tls.names", "bücher.example.com"]).await?;
        space.patch(&json!({"spec": {"tls": {"names": ["xn--bcher-kva.example.com"]}}})).await?;
        complete(space, controller).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn incomplete_certificate_secret_is_reported() {
    with_controller(async |space, controller| {
        with_tls(space).await?;
        super::siblings(space).await?;
        space.create(&super::spec(&json!({"tls": {"secretName": "theirs"}}))).await?;
        space
            .stalled("SecretMissing", &["spec.tls.secretName", "Secret/theirs does not exist", "tls.crt and tls.key"])
            .await?;
        write_secret(space, "theirs", &json!({"tls.crt": "certificate"})).await?;
        let parts = ["Secret/theirs, named in spec.tls.secretName", "tls.crt and tls.key"];
        space.condition_about("Stalled", "True", "SecretIncomplete", &parts).await?;
        write_secret(
            space,
            "theirs",
            &json!({"tls.crt": "certificate", "tls.key": "s3cretKey", "ca.crt": "authority"}),
        )
        .await?;
        complete(space, controller).await?;
        for name in [CERTIFICATE, KEYS] {
            ensure!(space.api::<Secret>().get_opt(name).await?.is_none(), "{name} was made");
        }
        ensure!(text(space, BINDING, "ca.crt").await? == "authority");
        ensure!(text(space, BINDING, "uri").await?.starts_with("https://"));
        ensure_untold(space, controller, "s3cretKey").await?;

        // One that goes later on is asked for, and what was made stays.
        let before = super::content(space).await?;
        space.api::<Secret>().delete("theirs", &DeleteParams::default()).await?;
        space.stalled("SecretMissing", &["spec.tls.secretName"]).await?;
        quiet(space, controller).await?;
        ensure!(super::content(space).await? == before, "children have changed");

        // From the user's to the controller's.
        space.patch(&json!({"spec": {"tls": {"secretName": null}}})).await?;
        complete(space, controller).await?;
        ensure!(space.api::<Secret>().get(KEYS).await?.annotations().contains_key(annotation::OWNER));
        ensure!(text(space, BINDING, "ca.crt").await? == text(space, CERTIFICATE, "ca.crt").await?);
        Ok(())
    })
    .await;
}

//! What is drawn is drawn once, whenever the process ends.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{
    Cluster, Controller, Identity, Record, Space,
    prepare::api_server,
    snapshot::{children, normalised},
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use temporal_stack_common::api::{Temporal, label};

use super::{Subjects, complete, made, siblings, spec, text, with_controller, with_tls};
use crate::crash::ended_at_each_write;

/// What is asked for, one after the other: making, and a change of everything that can be changed before a product answers.
async fn ask(space: &Subjects<'_>, change: bool) -> Result<Temporal> {
    if !change {
        let fields = json!({"api": {"replicas": 2}, "ingress": {"host": "temporal.example.com"}});
        return space.create(&spec(&fields)).await;
    }
    let change = json!({
        "api": {"replicas": 1, "service": {"type": "NodePort"}},
        "ingress": null,
        "tls": {"names": ["other.example.com"]},
        "deletionPolicy": "Delete",
    });
    space.patch(&json!({ "spec": change })).await
}

/// The children without what differs by chance: the certificate has times and addresses in it, too.
async fn outcome(space: &Subjects<'_>, controller: &Controller) -> Result<BTreeMap<String, String>> {
    let object = complete(space, controller).await?;
    let mut children = children(space).await?;
    for (reference, child) in &mut children {
        if let Some(annotations) = child["metadata"]["annotations"].as_object_mut() {
            annotations.retain(|key, _| !["temporal-stack.dev/renewal", "temporal-stack.dev/names"].contains(&&**key));
        }
        if reference.contains("certificate") || reference.ends_with("-binding") {
            child["data"].as_object_mut().into_iter().flatten().for_each(|(_, value)| *value = Value::Null);
        }
        // Drawn from a range.
        child["spec"]["ports"].as_array_mut().into_iter().flatten().for_each(|port| {
            port.as_object_mut().map(|port| port.remove("nodePort"));
        });
    }
    Ok(normalised(&children, &object, &space.name))
}

/// What comes of a controller that lives.
async fn undisturbed(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut outcome_of = BTreeMap::new();
    with_namespace(cluster, async |space: &Space| {
        let controller = Controller::start::<Temporal>(space).await?;
        siblings(space).await?;
        with_tls(space).await?;
        for change in [false, true] {
            ask(&space.one(), change).await?;
            outcome_of = outcome(&space.one(), &controller).await?;
        }
        Ok(())
    })
    .await;
    outcome_of
}

#[tokio::test]
async fn crash_around_each_write_changes_no_result() {
    let cluster = &api_server().await.expect("an API server");
    with_namespace(cluster, async |space| {
        let identity = Identity::of_namespace::<Temporal>(space).await?;
        let record = Record::<Secret>::start(space).await?;
        siblings(space).await?;
        with_tls(space).await?;
        for change in [false, true] {
            ask(&space.one(), change).await?;
            let ends = ended_at_each_write(space, &identity).await?;
            println!("{} Temporal: ended {ends} times", if change { "changing" } else { "making" });
            ensure!(ends > 8, "there were hardly any writes");
        }
        let controller = Controller::start_as(space, &identity).await?;
        let disturbed = outcome(&space.one(), &controller).await?;
        record.assert_made_once()?;
        let undisturbed = undisturbed(cluster).await;
        for (reference, child) in &undisturbed {
            let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
            ensure!(other == child, "{reference} differs; undisturbed:\n{child}\nafter the ends:\n{other}");
        }
        ensure!(disturbed.len() == undisturbed.len(), "there are others: {:?}", disturbed.keys());
        ensure!(disturbed.len() >= 9, "there are too few: {:?}", disturbed.keys());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn keys_are_drawn_once_and_reach_only_their_users() {
    with_controller(async |space, controller| {
        let record = Record::<Secret>::start(space).await?;
        with_tls(space).await?;
        made(space, controller, &json!({})).await?;
        let mut drawn = Vec::new();
        for key in ["jwt-key", "krab-auth-key", "krab-keystore-password"] {
            let value = text(space, "temporal-temporal-keys", key).await?;
            ensure!(value.len() >= 32 && value.chars().all(|c| c.is_ascii_alphanumeric()), "{key} is weak");
            crate::step::ensure_untold(space, controller, &value).await?;
            ensure!(!drawn.contains(&value), "{key} is another one's");
            drawn.push(value);
        }
        let [jwt, auth, keystore] = &drawn[..] else { anyhow::bail!("there are {}", drawn.len()) };
        let (clients, krab) = ("temporal-temporal-environment", "temporal-temporal-krab-environment");
        ensure!(text(space, clients, "API_JWT_KEY").await? == *jwt);
        ensure!(text(space, clients, "SERVICES_KRAB_AUTHKEY").await? == *auth);
        ensure!(text(space, krab, "SERVICES_KRAB_AUTHKEY").await? == *auth);
        ensure!(text(space, krab, "SERVICES_KRAB_KEYSTOREPASSWORD").await? == *keystore);
        let data = async |name: &str| {
            serde_json::to_string(&space.api::<Secret>().get(name).await?.data).map_err(anyhow::Error::from)
        };
        let keystore = serde_json::to_value(k8s_openapi::ByteString(keystore.clone().into_bytes()))?;
        let keystore = keystore.as_str().unwrap_or_default();
        ensure!(!data(clients).await?.contains(keystore), "the clients know the key server's password");
        ensure!(!data("temporal-temporal-binding").await?.contains(keystore), "the binding has it");
        for name in ["temporal-temporal-keys", "temporal-temporal-certificate-keys"] {
            let secret = space.api::<Secret>().get(name).await?;
            let is_data =
                secret.metadata.labels.iter().flatten().any(|(key, value)| key == label::DATA && value == "true");
            ensure!(is_data, "{name} is not data");
        }
        record.assert_made_once()
    })
    .await;
}

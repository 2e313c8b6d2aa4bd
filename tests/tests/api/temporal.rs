//! What only the Temporal controller does, as far as it can be seen without any product. The test plays the siblings: it makes the
//! objects that Temporal refers to, writes their status and their bindings, and nobody answers at what these say.

mod access;
mod admins;
mod alone;
mod certificate;
mod children;
mod data;
mod drawn;
mod references;
mod schema;
mod settings;
mod unready;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use e2e::{Controller, One, Space, Subject, subject::NAME};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Temporal, label},
    condition::RECONCILING,
};

use crate::step::{self, quiet};

/// The object that tests make.
type Subjects<'a> = One<'a, Temporal>;

/// The user's ConfigMap.
const CONFIG: &str = "temporal-config";
/// A password that must not be told to anybody.
const PASSWORD: &str = "s3cretWord";

/// Runs a test with a controller of its own.
async fn with_controller(test: impl AsyncFnOnce(&Subjects<'_>, &Controller) -> Result<()>) {
    crate::with_controller(test).await;
}

/// A kind that Temporal refers to.
trait Sibling: Subject {
    /// The field of the spec that refers to it.
    const FIELD: &'static str;

    /// A binding that leads nowhere.
    fn bound() -> Value;
}

impl Sibling for PostgresDatabase {
    const FIELD: &'static str = "spec.database";

    fn bound() -> Value {
        json!({"type": "postgresql", "host": "127.0.0.1", "port": "1", "username": "app", "password": PASSWORD, "database": "temporal"})
    }
}

impl Sibling for MessageQueue {
    const FIELD: &'static str = "spec.queue";

    fn bound() -> Value {
        json!({"type": "rabbitmq", "uri": format!("amqp://app:{PASSWORD}@127.0.0.1:1/temporal")})
    }
}

impl Sibling for IpfsCluster {
    const FIELD: &'static str = "spec.ipfs";

    fn bound() -> Value {
        json!({"type": "ipfs", "host": "127.0.0.1", "port": "1", "cluster-host": "127.0.0.1", "cluster-port": "1"})
    }
}

/// Writes a binding as its controller does.
async fn bind<K: Sibling>(space: &Space, keys: &Value) -> Result<()> {
    let bytes = |value: &Value| ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let data: BTreeMap<String, ByteString> =
        keys.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), bytes(value))).collect();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": K::binding(), "labels": {label::BINDING: "true"}},
        "data": data,
    });
    space.api::<Secret>().patch(&K::binding(), &PatchParams::apply("sibling").force(), &Patch::Apply(secret)).await?;
    Ok(())
}

/// Has a sibling say something of itself, about its newest spec.
async fn say<K: Sibling>(space: &Space, status: &str, reason: &str, message: &str) -> Result<()> {
    let generation = space.one::<K>().get().await?.meta().generation;
    say_of::<K>(space, generation, status, reason, message).await
}

/// The same about the spec of that generation.
async fn say_of<K: Sibling>(
    space: &Space,
    generation: Option<i64>,
    status: &str,
    reason: &str,
    message: &str,
) -> Result<()> {
    let condition = json!({
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation,
    });
    let said = json!({"observedGeneration": generation, "conditions": [condition], "binding": {"name": K::binding()}});
    let patch = Patch::Merge(json!({"status": said}));
    space.api::<K>().patch_status(NAME, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// A sibling that is Ready, and nobody answers at what its binding says.
async fn sibling<K: Sibling>(space: &Space) -> Result<()> {
    space.one::<K>().create(&K::embedded()).await?;
    bind::<K>(space, &K::bound()).await?;
    say::<K>(space, "True", "Verified", "answers").await
}

/// All that Temporal refers to, Ready.
async fn siblings(space: &Space) -> Result<()> {
    sibling::<PostgresDatabase>(space).await?;
    sibling::<MessageQueue>(space).await?;
    sibling::<IpfsCluster>(space).await
}

/// A spec that refers to all of them, with these fields.
fn spec(fields: &Value) -> Value {
    let named = json!({"name": NAME});
    let mut spec = Temporal::embedded();
    for (key, value) in [("database", &named), ("queue", &named), ("ipfs", &named)] {
        spec[key] = value.clone();
    }
    for (key, value) in fields.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

/// Makes Temporal and its siblings, and waits until only products are missing.
async fn made(space: &Subjects<'_>, controller: &Controller, fields: &Value) -> Result<Temporal> {
    siblings(space).await?;
    space.create(&spec(fields)).await?;
    complete(space, controller).await
}

/// Waits until all is made that can be made without products, and the controller is quiet.
async fn complete(space: &Subjects<'_>, controller: &Controller) -> Result<Temporal> {
    waits_for_the_broker(space).await?;
    quiet(space, controller).await?;
    waits_for_the_broker(space).await?;
    space.get().await
}

/// Waits until it is said that the broker does not answer: the first product that is needed.
async fn waits_for_the_broker(space: &Subjects<'_>) -> Result<()> {
    let parts = ["queues cannot be read", "RabbitMQ", "retried"];
    space.condition_about(RECONCILING, "True", "BrokerUnreachable", &parts).await.map(drop)
}

/// The user's ConfigMap with the paths at which the API looks for a certificate.
async fn with_tls(space: &Space) -> Result<()> {
    let (certificate, key) = ("API_CONNECTION_CERTIFICATES_CERTPATH", "API_CONNECTION_CERTIFICATES_KEYPATH");
    step::configure(space, CONFIG, &json!({certificate: "/temporal/api.cert", key: "/temporal/api.key"})).await
}

/// Text in a Secret.
async fn text(space: &Space, secret: &str, key: &str) -> Result<String> {
    let secret = space.api::<Secret>().get(secret).await?;
    let text = temporal_stack_common::binding::text(&secret, key);
    text.map(str::to_owned).with_context(|| format!("Secret/{} has no {key}", secret.name_any()))
}

/// Identity and content of each child: whether any was made again, or changed.
async fn content(space: &Space) -> Result<BTreeMap<String, Value>> {
    let children = e2e::snapshot::children(space).await?;
    let content = |child: &Value| json!([child["metadata"]["uid"], child["data"], child["spec"]]);
    Ok(children.iter().map(|(reference, child)| (reference.clone(), content(child))).collect())
}

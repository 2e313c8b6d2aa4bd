//! What Temporal refers to, played by a test: objects that are Ready, with bindings that lead where the test wants.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, Result};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, Kind, MessageQueue, PostgresDatabase, Temporal, label},
    condition::RECONCILING,
};

use crate::{One, Space, Subject};

/// Where the bindings lead, and with which login.
#[derive(Clone, Copy, Debug)]
pub struct Bindings {
    /// The server that is bound as the database.
    pub database: SocketAddr,
    /// The same as the broker, and as Kubo and IPFS Cluster.
    pub rest: SocketAddr,
    /// The login.
    pub login: &'static str,
}

impl Bindings {
    /// Bindings to where nobody listens.
    pub fn to_nobody() -> Self {
        Self::to(([127, 0, 0, 1], 1).into())
    }

    /// Bindings that all lead to one server.
    pub fn to(server: SocketAddr) -> Self {
        Self { database: server, rest: server, login: "u" }
    }

    fn of_database(self) -> Value {
        let (host, port) = (self.database.ip().to_string(), self.database.port().to_string());
        json!({
            "type": "postgresql", "host": host, "port": port, "username": self.login, "password": "p", "database": "temporal",
        })
    }

    fn of_queue(self) -> Value {
        json!({"type": "rabbitmq", "uri": format!("amqp://{}:p@{}/temporal", self.login, self.rest)})
    }

    fn of_ipfs(self) -> Value {
        let (host, port) = (self.rest.ip().to_string(), self.rest.port().to_string());
        json!({"type": "ipfs", "host": host, "port": port, "cluster-host": host, "cluster-port": port})
    }
}

/// Makes a Temporal of this name, after all that it refers to.
pub async fn ask(space: &Space, name: &str, bindings: Bindings) -> Result<()> {
    sibling::<PostgresDatabase>(space, name, &bindings.of_database()).await?;
    sibling::<MessageQueue>(space, name, &bindings.of_queue()).await?;
    sibling::<IpfsCluster>(space, name, &bindings.of_ipfs()).await?;
    let mut spec = Temporal::embedded();
    for field in ["database", "queue", "ipfs"] {
        spec[field] = json!({ "name": name });
    }
    create(&space.api::<Temporal>(), name, &spec).await.map(drop)
}

/// Waits until only products are missing: the broker is the first that is needed.
pub async fn waits_for_the_broker(space: &One<'_, Temporal>) -> Result<()> {
    space.condition(RECONCILING, "True", "BrokerUnreachable").await.map(drop)
}

/// An object that Temporal refers to, Ready, with this binding.
async fn sibling<K: Subject>(space: &Space, name: &str, binding: &Value) -> Result<()> {
    let made = create(&space.api::<K>(), name, &K::embedded()).await?;
    let bytes = |value: &Value| ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let data: BTreeMap<&String, ByteString> =
        binding.as_object().into_iter().flatten().map(|(key, value)| (key, bytes(value))).collect();
    let bound = format!("{name}-{}-binding", K::kind(&()).to_lowercase());
    let secret = json!({"metadata": {"name": bound, "labels": {label::BINDING: "true"}}, "data": data});
    space.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let generation = made.meta().generation;
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Verified", "message": "answers",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation,
    });
    let status = json!({"observedGeneration": generation, "conditions": [ready], "binding": {"name": bound}});
    let patch = Patch::Merge(json!({ "status": status }));
    space.api::<K>().patch_status(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn create<K: Kind>(objects: &Api<K>, name: &str, spec: &Value) -> Result<K> {
    let object = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec,
    });
    let made = objects.create(&PostParams::default(), &serde_json::from_value(object)?).await;
    made.with_context(|| format!("could not make {} {name}", K::kind(&())))
}

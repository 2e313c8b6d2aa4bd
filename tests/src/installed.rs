//! The controller that `xtask up` has installed, which all tests of a kind share.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{Space, Subject, until};

/// The namespace of the controllers.
pub const SYSTEM: &str = "temporal-stack-system";

/// Gives the controller of a kind so many replicas, and waits until it has them.
pub async fn installed<K: Subject>(space: &Space, replicas: i32) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(space.client.clone(), SYSTEM);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch(K::PROGRAM, &PatchParams::default(), &patch).await?;
    until(&deployments, K::PROGRAM, &format!("{replicas} replicas"), |deployment| {
        let status = deployment.status.clone().unwrap_or_default();
        status.observed_generation == deployment.metadata.generation
            && status.replicas.unwrap_or_default() == replicas
            && status.ready_replicas.unwrap_or_default() == replicas
    })
    .await
    .map(drop)
}

//! What runs goes on when something before it is not well any more: it is neither changed nor deleted.
//!
//! What runs is put there by the test, as the controller makes it when the products answer.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{snapshot::children, subject::NAME, until, until_gone};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::Secret,
        networking::v1::NetworkPolicy,
    },
};
use kube::{
    Resource,
    api::{DeleteParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{Temporal, label},
    condition::RECONCILING,
    manifest::hash,
};

use super::{Sibling, Subjects, made, say, waits_for_the_broker, with_controller};
use crate::step::quiet;

/// The image of Temporal that the controllers of tests are told.
const IMAGE: &str = "registry.invalid/temporal:2";

/// Puts a child there.
async fn plant<K>(space: &Subjects<'_>, owner: &Temporal, name: &str, spec: Value) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
    K: DeserializeOwned,
{
    let labels = json!({label::MANAGED_BY: label::STACK, label::COMPONENT: "temporal", label::INSTANCE: NAME});
    // Not its controller yet: that is set when the child is seen.
    let mut reference = json!(owner.controller_owner_ref(&()));
    reference.as_object_mut().map(|reference| reference.remove("controller"));
    let object = json!({"metadata": {"name": name, "labels": labels, "ownerReferences": [reference]}, "spec": spec});
    space.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

fn template(app: &str, restart: &str) -> Value {
    let container = json!({"name": "temporal", "image": IMAGE});
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], "restartPolicy": restart}})
}

fn replicated(name: &str) -> Value {
    json!({"selector": {"matchLabels": {"app": name}}, "template": template(name, "Always"), "serviceName": name})
}

/// The Job that has made the tables of the image.
fn migration() -> String {
    let of_image = hash(&json!([IMAGE, Value::Null]));
    format!("temporal-temporal-migrate-{}", &of_image[..10])
}

/// What Temporal consists of when it runs.
async fn running(space: &Subjects<'_>, owner: &Temporal) -> Result<()> {
    plant::<Job>(space, owner, &migration(), json!({"template": template("migrate", "OnFailure")})).await?;
    plant::<StatefulSet>(space, owner, "temporal-temporal-krab", replicated("krab")).await?;
    for part in ["api", "cluster", "pin", "key-creation", "ipns-entry", "email-send"] {
        let mut spec = replicated(part);
        spec.as_object_mut().map(|spec| spec.remove("serviceName"));
        plant::<Deployment>(space, owner, &format!("temporal-temporal-{part}"), spec).await?;
    }
    Ok(())
}

/// Identity and content of all children, without what Kubernetes notes of them.
async fn content(space: &Subjects<'_>) -> Result<BTreeMap<String, Value>> {
    let content = |child: &Value| json!([child["metadata"]["uid"], child["data"], child["spec"]]);
    Ok(children(space).await?.iter().map(|(reference, child)| (reference.clone(), content(child))).collect())
}

/// All that runs is there.
fn ensure_whole(now: &BTreeMap<String, Value>, before: &BTreeMap<String, Value>) -> Result<()> {
    let lost: Vec<_> = before.keys().filter(|reference| !now.contains_key(*reference)).collect();
    ensure!(lost.is_empty(), "deleted: {lost:?}");
    let changed: Vec<_> = before.iter().filter(|(reference, was)| now.get(*reference) != Some(was)).collect();
    ensure!(changed.is_empty(), "changed: {changed:#?}");
    Ok(())
}

e2e::for_each_dependency!(neighbour_that_becomes_unready_leaves_running_pods_unchanged);

async fn neighbour_that_becomes_unready_leaves_running_pods_unchanged<K: Sibling>() {
    with_controller(async |space, controller| {
        let object = made(space, controller, &json!({})).await?;
        running(space, &object).await?;
        // Their owner is written in full.
        let is_taken_care_of = |set: &StatefulSet| {
            set.metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true))
        };
        until(&space.api(), "temporal-temporal-krab", "been taken care of", is_taken_care_of).await?;
        quiet(space, controller).await?;
        let before = content(space).await?;
        ensure!(
            before.keys().any(|key| key.contains("Job/")),
            "the broker that does not answer has cost the migration"
        );

        say::<K>(space, "False", "VerificationFailed", "does not answer").await?;
        space.condition_about(RECONCILING, "True", "DependencyNotReady", &["does not answer"]).await?;
        quiet(space, controller).await?;
        ensure_whole(&content(space).await?, &before)?;

        space.api::<Secret>().delete(&K::binding(), &DeleteParams::default()).await?;
        space.api::<K>().delete(NAME, &DeleteParams::default()).await?;
        space.condition_about(RECONCILING, "True", "ReferenceMissing", &[K::FIELD]).await?;
        quiet(space, controller).await?;
        ensure_whole(&content(space).await?, &before)?;

        super::sibling::<K>(space).await?;
        waits_for_the_broker(space).await?;
        quiet(space, controller).await?;
        ensure_whole(&content(space).await?, &before)
    })
    .await;
}

#[tokio::test]
async fn leftovers_of_an_earlier_controller_are_removed() {
    with_controller(async |space, controller| {
        let object = made(space, controller, &json!({})).await?;
        plant::<StatefulSet>(space, &object, "temporal-temporal-old", replicated("old")).await?;
        let mut deployed = replicated("old");
        deployed.as_object_mut().map(|spec| spec.remove("serviceName"));
        plant::<Deployment>(space, &object, "temporal-temporal-old", deployed).await?;
        plant::<NetworkPolicy>(space, &object, "temporal-temporal-old", json!({"podSelector": {}})).await?;
        let service = json!({"ports": [{"port": 80}]});
        plant::<k8s_openapi::api::core::v1::Service>(space, &object, "temporal-temporal-old", service).await?;
        until_gone(&space.api::<StatefulSet>(), "temporal-temporal-old").await?;
        until_gone(&space.api::<Deployment>(), "temporal-temporal-old").await?;
        until_gone(&space.api::<NetworkPolicy>(), "temporal-temporal-old").await?;
        until_gone(&space.api::<k8s_openapi::api::core::v1::Service>(), "temporal-temporal-old").await?;
        quiet(space, controller).await.map(drop)
    })
    .await;
}

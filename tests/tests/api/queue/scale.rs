//! More nodes, and fewer, as far as it can be seen without any.

use anyhow::{Context as _, Result, ensure};
use e2e::{Subject as _, until, until_gone};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::PersistentVolumeClaim, policy::v1::PodDisruptionBudget},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use temporal_stack_common::api::{MessageQueue, annotation};

use super::{Queue, with_controller};
use crate::step::{complete, made, quiet, theirs};

async fn set(space: &Queue<'_>) -> Result<StatefulSet> {
    Ok(space.api::<StatefulSet>().get(&MessageQueue::set()).await?)
}

fn replicas(set: &StatefulSet) -> Option<i32> {
    set.spec.as_ref().and_then(|spec| spec.replicas)
}

async fn scale(space: &Queue<'_>, count: i32) -> Result<MessageQueue> {
    space.patch_provider(&json!({"replicas": count})).await
}

async fn claims(space: &Queue<'_>) -> Result<Vec<String>> {
    let claims = space.api::<PersistentVolumeClaim>().list(&ListParams::default()).await?;
    Ok(claims
        .iter()
        .filter(|claim| claim.annotations().contains_key(annotation::OWNER))
        .map(ResourceExt::name_any)
        .collect())
}

#[tokio::test]
async fn disruption_budget_follows_the_nodes() {
    with_controller(async |space, controller| {
        made(space, controller).await?;
        let (budgets, name) = (space.api::<PodDisruptionBudget>(), MessageQueue::set());
        let foreign = json!({"metadata": {"name": name}, "spec": {"maxUnavailable": 2}});
        budgets.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
        scale(space, 3).await?;
        space.stalled("NameTaken", &["PodDisruptionBudget", &name, "another owner"]).await?;
        ensure!(replicas(&set(space).await?) == Some(1), "nodes were made without a budget");
        budgets.delete(&name, &DeleteParams::default()).await?;
        scale(space, 5).await?;
        let is_ours = |budget: &PodDisruptionBudget| {
            budget.spec.as_ref().is_some_and(|spec| spec.max_unavailable == Some(IntOrString::Int(1)))
        };
        until(&budgets, &name, "one at a time", is_ours).await?;
        let edit = Patch::Merge(json!({"spec": {"maxUnavailable": 3}}));
        budgets.patch(&name, &PatchParams::default(), &edit).await?;
        until(&budgets, &name, "one at a time again", is_ours).await?;

        let _theirs = theirs::<MessageQueue>(space).await?;
        let provider = json!({"rabbitmq": null, "external": {"secretName": "theirs"}});
        space.patch(&json!({"spec": {"provider": provider}})).await?;
        until_gone(&budgets, &name).await
    })
    .await;
}

#[tokio::test]
async fn silent_broker_scales_up_and_never_down() {
    with_controller(async |space, controller| {
        made(space, controller).await?;
        let budgets = space.api::<PodDisruptionBudget>();
        ensure!(budgets.get_opt(&MessageQueue::set()).await?.is_none(), "a single node cannot be evicted");
        let template = set(space).await?.spec.map(|spec| spec.template);
        for count in [3, 5] {
            scale(space, count).await?;
            complete(space, controller).await?;
            let set = set(space).await?;
            ensure!(replicas(&set) == Some(count), "{count} nodes were asked for: {:?}", set.spec);
            ensure!(set.spec.map(|spec| spec.template) == template, "more nodes restart those that are there");
            ensure!(claims(space).await?.len() == usize::try_from(count)?, "{:?}", claims(space).await?);
            let budget = budgets.get(&MessageQueue::set()).await?.spec.context("the budget is empty")?;
            ensure!(budget.max_unavailable == Some(IntOrString::Int(1)), "{budget:?}");
        }
        for count in [3, 1] {
            scale(space, count).await?;
            quiet(space, controller).await?;
            let set = set(space).await?;
            ensure!(replicas(&set) == Some(5), "{count} nodes were asked for, and some were taken: {:?}", set.spec);
            ensure!(claims(space).await?.len() == 5, "a volume has gone");
            budgets.get(&MessageQueue::set()).await.context("five nodes run without a budget")?;
        }
        Ok(())
    })
    .await;
}

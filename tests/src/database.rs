//! Custom resources as tests write them, and what they say.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{PostgresDatabase, Status as _},
    condition,
};

use crate::{HANG, Space, prepare::GROWS, until};

/// The name that tests give the object.
pub const NAME: &str = "temporal";

/// A spec whose volume is of the class that grows.
pub fn embedded() -> Value {
    json!({"provider": {"postgres": {"storage": {"size": "1Gi", "storageClassName": GROWS}}}})
}

/// A spec that names a Secret.
pub fn external(secret: &str) -> Value {
    json!({"provider": {"external": {"secretName": secret}}})
}

/// The condition of that type, if it is about the object's current generation.
pub fn condition_of<'a>(object: &'a PostgresDatabase, kind: &str) -> Option<&'a Condition> {
    let found = condition::find(object.status.as_ref()?.conditions(), kind)?;
    (found.observed_generation == object.metadata.generation).then_some(found)
}

/// Whether the object says so of its current generation.
pub fn says(object: &PostgresDatabase, kind: &str, status: &str, reason: &str) -> bool {
    condition_of(object, kind).is_some_and(|condition| condition.status == status && condition.reason == reason)
}

/// Fails unless every part is in the message.
pub fn assert_told(condition: &Condition, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(condition.message.contains(part), "`{part}` is not in the message: {}", condition.message);
    }
    Ok(())
}

impl Space {
    /// The databases of this namespace.
    pub fn databases(&self) -> Api<PostgresDatabase> {
        self.api()
    }

    /// Makes a database.
    pub async fn create(&self, spec: &Value) -> Result<PostgresDatabase> {
        let object: PostgresDatabase = serde_json::from_value(json!({
            "apiVersion": "temporal-stack.dev/v1alpha1",
            "kind": "PostgresDatabase",
            "metadata": {"name": NAME},
            "spec": spec,
        }))?;
        self.databases().create(&PostParams::default(), &object).await.context("could not make the PostgresDatabase")
    }

    /// Merges a patch into the database.
    pub async fn patch(&self, patch: &Value) -> Result<PostgresDatabase> {
        let patched = self.databases().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.context("could not patch the PostgresDatabase")
    }

    /// Annotates the database; null takes the annotation off.
    pub async fn annotate(&self, key: &str, value: &Value) -> Result<PostgresDatabase> {
        self.patch(&json!({"metadata": {"annotations": {key: value}}})).await
    }

    /// Waits until the database says so of its current generation, and returns the condition.
    pub async fn condition(&self, kind: &str, status: &str, reason: &str) -> Result<Condition> {
        let what = format!("{kind} {status} {reason}");
        let object = until(&self.databases(), NAME, &what, |object| says(object, kind, status, reason)).await?;
        condition_of(&object, kind).cloned().context("the condition was there")
    }

    /// Waits until the database is Ready.
    pub async fn ready(&self) -> Result<Condition> {
        self.condition(condition::READY, "True", "Verified").await
    }

    /// Waits until all is made that can be made without a node: only the pod is missing.
    pub async fn waits_for_its_pod(&self) -> Result<PostgresDatabase> {
        until(&self.databases(), NAME, "nothing to wait for but its pod", |object| {
            condition_of(object, condition::RECONCILING)
                .is_some_and(|condition| condition.message.contains("0 of 1 pods ready"))
        })
        .await
    }

    /// Waits until the database is stalled for this reason, and checks what it says about it.
    pub async fn stalled(&self, reason: &str, told: &[&str]) -> Result<Condition> {
        let stalled = self.condition(condition::STALLED, "True", reason).await?;
        assert_told(&stalled, told)?;
        let object = self.databases().get(NAME).await?;
        ensure!(
            says(&object, condition::READY, "False", reason),
            "Ready says something else than Stalled: {:?}",
            object.status
        );
        Ok(stalled)
    }

    /// Waits for an event about the database with this reason, and returns its note.
    pub async fn event(&self, reason: &str) -> Result<String> {
        let found = tokio::time::timeout(HANG, crate::wait::event(self, reason)).await;
        found.with_context(|| format!("waited {HANG:?} for an event {reason}"))?
    }
}

/// The owner's UID as children carry it.
pub fn uid(object: &PostgresDatabase) -> String {
    object.uid().unwrap_or_default()
}

/// What the children of the database are called.
pub mod child {
    /// The `StatefulSet`, and the Service for clients.
    pub const SERVER: &str = "temporal-postgresdatabase";
    /// The volume claim.
    pub const VOLUME: &str = "data-temporal-postgresdatabase-0";
    /// The administrator's Secret.
    pub const ADMINISTRATOR: &str = "temporal-postgresdatabase-administrator";
    /// The Secret of the first login.
    pub const FIRST_LOGIN: &str = "temporal-postgresdatabase-login-1";
    /// The Secret of the second login.
    pub const SECOND_LOGIN: &str = "temporal-postgresdatabase-login-2";
    /// The binding.
    pub const BINDING: &str = "temporal-postgresdatabase-binding";
}

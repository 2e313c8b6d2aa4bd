//! The `PostgresDatabase` that tests make: what [`crate::One`] offers, for tests that are about nothing else.

use anyhow::{Context as _, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use serde_json::Value;
use temporal_stack_common::api::PostgresDatabase;

pub use crate::subject::{NAME, assert_told, condition_of, external, says};
use crate::{HANG, One, Space, subject::Subject as _};

/// A spec whose volume is of the class that grows.
pub fn embedded() -> Value {
    PostgresDatabase::embedded()
}

impl Space {
    fn database(&self) -> One<'_, PostgresDatabase> {
        self.one()
    }

    /// The databases of this namespace.
    pub fn databases(&self) -> Api<PostgresDatabase> {
        self.api()
    }

    /// Makes a database.
    pub async fn create(&self, spec: &Value) -> Result<PostgresDatabase> {
        self.database().create(spec).await
    }

    /// Merges a patch into the database.
    pub async fn patch(&self, patch: &Value) -> Result<PostgresDatabase> {
        self.database().patch(patch).await
    }

    /// Annotates the database; null takes the annotation off.
    pub async fn annotate(&self, key: &str, value: &Value) -> Result<PostgresDatabase> {
        self.database().annotate(key, value).await
    }

    /// Waits until the database says so of its current generation, and returns the condition.
    pub async fn condition(&self, kind: &str, status: &str, reason: &str) -> Result<Condition> {
        self.database().condition(kind, status, reason).await
    }

    /// Waits until the database is Ready.
    pub async fn ready(&self) -> Result<Condition> {
        self.database().ready().await
    }

    /// Waits until all is made that can be made without a node: only the pod is missing.
    pub async fn waits_for_its_pod(&self) -> Result<PostgresDatabase> {
        self.database().waits_for_its_pods().await
    }

    /// Waits until the database is stalled for this reason, and checks what it says about it.
    pub async fn stalled(&self, reason: &str, parts: &[&str]) -> Result<Condition> {
        self.database().stalled(reason, parts).await
    }

    /// Waits for an event with this reason, and returns its note.
    pub async fn event(&self, reason: &str) -> Result<String> {
        let found = tokio::time::timeout(HANG, crate::wait::event(self, reason)).await;
        found.with_context(|| format!("waited {HANG:?} for an event {reason}"))?
    }
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

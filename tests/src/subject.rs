//! The kinds that tests are about: what a test has to know of each, and the object that tests make of it.

mod kinds;

use std::{marker::PhantomData, ops::Deref};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, CustomResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{Kind, Status as _},
    condition,
};

use crate::{Space, prepare::GROWS, until};

/// The name that tests give the object.
pub const NAME: &str = "temporal";
/// The bucket of the object storage that tests make.
pub const BUCKET: &str = "photos";

/// A kind of the stack.
pub trait Subject: Kind + CustomResourceExt {
    /// The name of its component: the value of a label, and the folder of its manifests.
    const COMPONENT: &'static str;
    /// The program of its controller.
    const PROGRAM: &'static str;
    /// The generated manifests with what its controller is permitted.
    const RBAC: &'static str;
    /// The variables with the images of what it runs, and images that nobody has.
    const IMAGES: &'static [(&'static str, &'static str)];
    /// The provider that makes something in the cluster; the container of what it makes has its name, too.
    const PROVIDER: &'static str;
    /// The Secrets without which a volume cannot be opened, as [`child`](Self::child) takes them.
    const DATA: &'static [&'static str];
    /// The keys that a Secret of the provider `external` must have.
    const THEIRS: &'static [&'static str];
    /// The key of the binding that says where the product is.
    const SCOPE_KEY: &'static str = "host";
    /// A key of such a Secret with a value that cannot be, and what is said of it.
    const WRONG: (&'static str, &'static str, &'static str) =
        ("port", "99999", "port is not a port number; set 1 to 65535");
    /// What is said where several providers are named.
    const ONE_OF: &'static str;
    /// The name of the first volume of each pod.
    const VOLUME: &'static str = "data";

    /// How many pods the object is to have.
    fn pods(&self) -> u32 {
        1
    }

    /// A spec with a change that reaches all that a change can reach.
    fn changed() -> Value;

    /// A spec of that provider, with these fields.
    fn provider(fields: &Value) -> Value {
        json!({"provider": {Self::PROVIDER: fields}})
    }

    /// A spec whose volume is of the class that grows.
    fn embedded() -> Value {
        Self::provider(&json!({"storage": {"size": "1Gi", "storageClassName": GROWS}}))
    }

    /// A spec that names a Secret.
    fn external(secret: &str) -> Value {
        external(secret)
    }

    /// The `StatefulSet`, and the Service for clients.
    fn set() -> String {
        format!("{NAME}-{}", Self::kind(&()).to_lowercase())
    }

    /// A child, by the last part of its name.
    fn child(part: &str) -> String {
        format!("{}-{part}", Self::set())
    }

    /// The Secrets without which a volume cannot be opened.
    fn data() -> Vec<String> {
        Self::DATA.iter().map(|part| Self::child(part)).collect()
    }

    /// The pod with this ordinal.
    fn pod(ordinal: u32) -> String {
        format!("{}-{ordinal}", Self::set())
    }

    /// The first volume claim of that pod.
    fn volume(ordinal: u32) -> String {
        format!("{}-{}", Self::VOLUME, Self::pod(ordinal))
    }

    /// The binding.
    fn binding() -> String {
        Self::child("binding")
    }
}

/// A spec that names a Secret.
pub fn external(secret: &str) -> Value {
    json!({"provider": {"external": {"secretName": secret}}})
}

/// The condition of that type, if it is about the object's current generation.
pub fn condition_of<'a, K: Kind>(object: &'a K, kind: &str) -> Option<&'a Condition> {
    let found = condition::find(object.status()?.conditions(), kind)?;
    (found.observed_generation == object.meta().generation).then_some(found)
}

/// Whether the object says so of its current generation.
pub fn says<K: Kind>(object: &K, kind: &str, status: &str, reason: &str) -> bool {
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
    /// The object of a kind that tests make here.
    pub fn one<K: Subject>(&self) -> One<'_, K> {
        One { space: self, kind: PhantomData }
    }
}

/// The object of a kind in a namespace, there or not; it is the [`Space`], too.
pub struct One<'a, K> {
    space: &'a Space,
    kind: PhantomData<K>,
}

impl<K> Deref for One<'_, K> {
    type Target = Space;

    fn deref(&self) -> &Space {
        self.space
    }
}

impl<K: Subject> One<'_, K> {
    /// The objects of the kind in this namespace.
    pub fn objects(&self) -> Api<K> {
        self.space.api()
    }

    /// The object as it is.
    pub async fn get(&self) -> Result<K> {
        self.objects().get(NAME).await.with_context(|| format!("could not read the {}", K::kind(&())))
    }

    /// Makes the object.
    pub async fn create(&self, spec: &Value) -> Result<K> {
        let object: K = serde_json::from_value(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": NAME},
            "spec": spec,
        }))?;
        let made = self.objects().create(&PostParams::default(), &object).await;
        made.with_context(|| format!("could not make the {}", K::kind(&())))
    }

    /// Merges a patch into the object.
    pub async fn patch(&self, patch: &Value) -> Result<K> {
        let patched = self.objects().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.with_context(|| format!("could not patch the {}", K::kind(&())))
    }

    /// Merges fields into the provider of the spec.
    pub async fn patch_provider(&self, fields: &Value) -> Result<K> {
        self.patch(&json!({"spec": K::provider(fields)})).await
    }

    /// Annotates the object; null takes the annotation off.
    pub async fn annotate(&self, key: &str, value: &Value) -> Result<K> {
        self.patch(&json!({"metadata": {"annotations": {key: value}}})).await
    }

    /// Annotates the object with a confirmation of something about a bucket, for its spec as it is.
    pub async fn confirm(&self, key: &str, bucket: &str) -> Result<K> {
        let generation = self.get().await?.meta().generation.context("the object has no generation")?;
        self.annotate(key, &json!(format!("{bucket}@{generation}"))).await
    }

    /// Waits until the object is as `wanted` says.
    pub async fn until(&self, what: &str, wanted: impl Fn(&K) -> bool) -> Result<K> {
        until(&self.objects(), NAME, what, wanted).await
    }

    /// Waits until the object says so of its current generation, and returns the condition.
    pub async fn condition(&self, kind: &str, status: &str, reason: &str) -> Result<Condition> {
        self.condition_about(kind, status, reason, &[]).await
    }

    /// The same with these words in the message.
    pub async fn condition_about(&self, kind: &str, status: &str, reason: &str, told: &[&str]) -> Result<Condition> {
        let tells = |condition: &Condition| told.iter().all(|part| condition.message.contains(part));
        let is_wanted =
            |object: &K| says(object, kind, status, reason) && condition_of(object, kind).is_some_and(tells);
        let object = self.until(&format!("{kind} {status} {reason} with {told:?}"), is_wanted).await?;
        condition_of(&object, kind).cloned().context("the condition was there")
    }

    /// Waits until the object is Ready.
    pub async fn ready(&self) -> Result<Condition> {
        self.condition(condition::READY, "True", "Verified").await
    }

    /// Waits until all is made that can be made without a node: only the pods are missing.
    pub async fn waits_for_its_pods(&self) -> Result<K> {
        self.until("nothing to wait for but its pods", |object| {
            let missing = format!("0 of {} pods ready", object.pods());
            condition_of(object, condition::RECONCILING).is_some_and(|condition| condition.message.contains(&missing))
        })
        .await
    }

    /// Waits until the object is stalled for this reason, and checks what it says about it.
    pub async fn stalled(&self, reason: &str, told: &[&str]) -> Result<Condition> {
        let stalled = self.condition(condition::STALLED, "True", reason).await?;
        assert_told(&stalled, told)?;
        let object = self.get().await?;
        ensure!(
            says(&object, condition::READY, "False", reason),
            "Ready says something else than Stalled: {:?}",
            object.status().map(|status| status.conditions().to_vec())
        );
        Ok(stalled)
    }
}

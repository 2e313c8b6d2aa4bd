//! What a controller has to say for itself: everything else is the [driver](crate::driver)'s.
//!
//! ```text
//!            observe            desire, actions, progress, facts            apply, act, verify
//!   cluster ─────────▶ Observed ────────────────────────────────▶ intents ───────────────────▶ cluster
//!            reads              pure: no client, no clock, no dice            writes
//! ```
//!
//! Reads are at the front, writes at the end, and everything worth arguing about is in the middle, where a fixture and an
//! assertion are enough for a test.

use std::{fmt::Display, future::Future, time::Duration};

use k8s_openapi::{NamespaceResourceScope, api::rbac::v1::PolicyRule};
use kube::{Resource, api::ApiResource, core::object::HasStatus};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::{Rollout, Status},
    claim::Configuration,
    condition::{Reason, Statement},
    manifest::Manifest,
    readiness::Program,
    world::World,
};

/// A custom resource that a component can own.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Status + Serialize + PartialEq + Clone + Send + Sync>
    + Serialize
    + DeserializeOwned
    + Clone
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Status + Serialize + PartialEq + Clone + Send + Sync>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static
{
}

/// One concern of the stack: a kind, and what makes it true.
pub trait Component: Send + Sync + 'static {
    /// The custom resource that it owns.
    type Kind: Kind;
    /// What a pass knows of the world: plain data, gathered by [`observe`](Self::observe).
    type Observed: Send + Sync;
    /// Something that the product itself must be told, as data. `Display` is for logs and messages, so it shows no secret.
    type Action: Display + Send + Sync;
    /// Why observing or acting failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The component's name: its label value, field manager, event reporter and Lease.
    const NAME: &'static str;

    /// The kinds of its children, and what it does with them.
    fn children() -> Vec<Child>;

    /// The ConfigMaps and Secrets of users that are watched by name.
    fn sources() -> Sources {
        Sources::default()
    }

    /// Which of the users' sources an object reads. The one of the default name counts for one object of a namespace:
    /// [`World::claim`] says whether it is this one.
    fn configuration(_object: &Self::Kind) -> Configuration<'_> {
        Configuration::Default
    }

    /// The kinds of other components that this one refers to in its namespace. They and all bindings are watched, and news of
    /// one go to all objects of its namespace. A kind that the cluster does not have is picked up when it appears.
    fn neighbours() -> Vec<ApiResource> {
        Vec::new()
    }

    /// Its containers, as messages name them: with the field that sets what they may use.
    fn programs() -> &'static [Program] {
        &[]
    }

    /// Permissions beyond those that follow from the kind, its children and its sources.
    fn further_rules() -> Vec<PolicyRule> {
        Vec::new()
    }

    /// Gathers what the pass needs to know. Reads only.
    fn observe(
        &self,
        object: &Self::Kind,
        world: &World<'_>,
    ) -> impl Future<Output = Result<Self::Observed, Self::Error>> + Send;

    /// The bill of materials, in the order of applying.
    fn desire(&self, object: &Self::Kind, observed: &Self::Observed) -> Vec<Manifest>;

    /// What the product itself must be told, in order.
    fn actions(&self, _object: &Self::Kind, _observed: &Self::Observed) -> Vec<Self::Action> {
        Vec::new()
    }

    /// Whether there is anything to wait for, or to ask of the user.
    fn progress(&self, object: &Self::Kind, observed: &Self::Observed) -> Progress;

    /// The component's own part of the status: fields, and conditions beside Ready, Reconciling and Stalled.
    fn facts(&self, object: &Self::Kind, observed: &Self::Observed) -> Facts<<Self::Kind as HasStatus>::Status>;

    /// Whether a pod may be restarted now.
    fn restart_gate(&self, _object: &Self::Kind, _observed: &Self::Observed) -> Gate {
        Gate::Open
    }

    /// When pods are restarted for a newer controller's sake.
    fn rollout(&self, _object: &Self::Kind) -> Rollout {
        Rollout::default()
    }

    /// The command that copies the data of a pod out of it, for a message to the user whose volume is about to be lost.
    fn copy_out(&self, _object: &Self::Kind, _pod: &str) -> Option<String> {
        None
    }

    /// How soon to look again, although the object is Ready or was looked at often: for something that no watch shows.
    fn look_again(&self, _object: &Self::Kind, _observed: &Self::Observed) -> Option<Duration> {
        None
    }

    /// Whether an action is a part of the product's ordinary life, such as trying something again: it puts no Ready in doubt.
    fn is_upkeep(&self, _action: &Self::Action) -> bool {
        false
    }

    /// Tells the product one thing.
    fn act(
        &self,
        _object: &Self::Kind,
        _observed: &Self::Observed,
        _action: &Self::Action,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Uses the thing as its users would. Called when nothing is left to do, and every few minutes after.
    ///
    /// It leaves nothing behind that grows with how often it is called. While the object is paused, it is not called at all: see
    /// [`inspect`](Self::inspect).
    fn verify(&self, object: &Self::Kind, observed: &Self::Observed) -> impl Future<Output = Verdict> + Send;

    /// Looks at the thing without writing anything to the product: what takes the place of [`verify`](Self::verify) while the
    /// object is paused. `None`: without writing nothing can be said, and the verdict from before stands.
    fn inspect(
        &self,
        _object: &Self::Kind,
        _observed: &Self::Observed,
    ) -> impl Future<Output = Option<Verdict>> + Send {
        std::future::ready(None)
    }
}

/// How far a component has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to wait for.
    Settled,
    /// Something is expected to come by itself.
    Waiting {
        /// Why.
        reason: Reason,
        /// For what, and what the user can do if it does not come.
        message: String,
    },
    /// The user must act first. Nothing is applied meanwhile, so that nothing is lost.
    Stalled {
        /// Why.
        reason: Reason,
        /// Which field or object, what is wrong with it, and the remedy.
        message: String,
    },
}

/// What using the component showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works; the message says what was tried.
    Verified(String),
    /// It does not, and may by itself: it is tried again soon.
    Failed {
        /// Why.
        reason: Reason,
        /// What was tried, what came back, and what the user can do.
        message: String,
    },
    /// It does not, and will not before the user has acted.
    Stalled {
        /// Why.
        reason: Reason,
        /// What was tried, what came back, and the remedy.
        message: String,
    },
}

/// Whether something may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Not yet; the text says for what it waits.
    Closed(String),
}

/// The component's own part of the status.
#[derive(Clone, Debug)]
pub struct Facts<S> {
    /// Fields of the status; the driver adds the conditions.
    pub status: S,
    /// Conditions beside those that the driver states.
    pub statements: Vec<Statement>,
}

/// ConfigMaps and Secrets of users that are watched by name, in every namespace that the controller is responsible for.
/// Those with the label `temporal-stack.dev/config=true` are watched too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources {
    /// Names of ConfigMaps.
    pub config_maps: &'static [&'static str],
    /// Names of Secrets.
    pub secrets: &'static [&'static str],
}

impl Sources {
    /// Kind and name of the source that an object reads which names none: the first.
    pub fn default_source(&self) -> Option<(&'static str, &'static str)> {
        let map = self.config_maps.first().map(|name| ("ConfigMap", *name));
        map.or_else(|| self.secrets.first().map(|name| ("Secret", *name)))
    }
}

/// A kind of child, and what the controller does with it.
#[derive(Clone, Debug)]
pub struct Child {
    /// The kind.
    pub resource: ApiResource,
    relation: Relation,
    is_deleted: bool,
    is_labelled: bool,
}

/// Who makes objects of a kind, and what the controller does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// Made, kept and pruned by the controller.
    Kept,
    /// Made by others; their fields are adjusted.
    Adjusted,
    /// Pods of the controller's workloads: read, and deleted one at a time to restart them.
    Restarted,
    /// Made by others, and only looked at.
    Watched,
}

impl Child {
    /// Made, kept and pruned by the controller.
    pub fn kept<K: Resource<DynamicType = ()>>() -> Self {
        Self::new::<K>(Relation::Kept)
    }

    /// Made by others; its fields are adjusted.
    pub fn adjusted<K: Resource<DynamicType = ()>>() -> Self {
        Self::new::<K>(Relation::Adjusted)
    }

    /// Pods of the controller's workloads: read, and deleted one at a time to restart them.
    pub fn restarted<K: Resource<DynamicType = ()>>() -> Self {
        Self::new::<K>(Relation::Restarted)
    }

    /// Made by others, and only looked at.
    pub fn watched<K: Resource<DynamicType = ()>>() -> Self {
        Self::new::<K>(Relation::Watched)
    }

    fn new<K: Resource<DynamicType = ()>>(relation: Relation) -> Self {
        Self { resource: ApiResource::erase::<K>(&()), relation, is_deleted: false, is_labelled: false }
    }

    /// Deleted, too, when the time has come.
    #[must_use]
    pub fn and_deleted(mut self) -> Self {
        self.is_deleted = true;
        self
    }

    /// Labelled, too, by [`Manifest::labels`].
    #[must_use]
    pub fn and_labelled(mut self) -> Self {
        self.is_labelled = true;
        self
    }

    /// Whether the controller makes objects of this kind, and so may prune them.
    pub fn is_kept(&self) -> bool {
        self.relation == Relation::Kept
    }

    /// The verbs beside `list` and `watch` that the controller needs.
    pub fn verbs(&self) -> Vec<&'static str> {
        let mut verbs = match self.relation {
            Relation::Kept => vec!["create", "delete", "get", "patch"],
            Relation::Adjusted => vec!["get", "patch"],
            Relation::Restarted => vec!["delete"],
            Relation::Watched => Vec::new(),
        };
        verbs.extend(self.is_deleted.then_some("delete"));
        verbs.extend(self.is_labelled.then_some("patch"));
        verbs.sort_unstable();
        verbs.dedup();
        verbs
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};

    use super::*;

    #[test]
    fn a_further_deed_takes_no_verb_away() {
        let kept = Child::kept::<Secret>();
        let more = kept.clone().and_deleted().and_labelled();
        assert!(more.is_kept());
        assert_eq!((kept.verbs(), more.verbs()), (vec!["create", "delete", "get", "patch"], kept.verbs()));
        let claims = Child::adjusted::<PersistentVolumeClaim>().and_deleted();
        assert_eq!((claims.is_kept(), claims.verbs()), (false, vec!["delete", "get", "patch"]));
        let pods = Child::restarted::<Pod>().and_labelled();
        assert_eq!((pods.is_kept(), pods.verbs()), (false, vec!["delete", "patch"]));
    }
}

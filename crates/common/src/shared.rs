//! A secret that all pods of a component share: an Erlang cookie, the secret of a private network.
//!
//! Pods with different secrets cannot communicate, so it cannot be rolled out pod by pod: an edit is not applied until the user
//! permits one full stop and start, by a new value of the annotation [`FULL_RESTART`]. The secrets are a series: each is a Secret
//! `…-<n>` that is created once, and an annotation of the pods has the number that they use.
//!
//! A full stop rests on positive evidence: a member has the number of an earlier Secret, and the newest was created for a permission
//! of the user. The permission ends with the restart: when members have the newest number, its Secret is marked. A pod without a
//! number, one that the set should not have, or a Secret that someone else created, stops nothing.
//!
//! ```text
//!   permitted ─▶ Secret n+1 is created ─▶ the template names it, no replicas ─▶ no pod has Secret n any more
//!     ─▶ the replicas are back ─▶ Secret n is deleted, and Secret n+1 is marked: the permission is used up
//! ```

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kube::ResourceExt;

use crate::{
    api::{
        DeletionPolicy,
        annotation::{FULL_RESTART, OWNER},
    },
    binding,
    cache::Children,
    manifest::{Draw, Manifest, secret},
    number,
};

/// Label of the Secrets of the series, and annotation of the pod template and its pods: the number of the secret.
pub const NUMBER: &str = "temporal-stack.dev/shared-secret";

/// The remedy for a change that a full stop takes: how the user permits one with `what`.
pub fn permit(what: &str) -> String {
    format!("permit a full restart with {what} by setting the annotation {FULL_RESTART} to a new value")
}

/// Annotation of a Secret of the series: the full stop that the user permitted for it is over.
const COMPLETED: &str = "temporal-stack.dev/full-restart-completed";

/// An existing shared secret. `Debug` shows no value.
#[derive(Clone, PartialEq)]
pub struct Made {
    /// Its number in the series.
    pub number: u32,
    secret: Secret,
    /// Annotations that it has lost.
    lost: BTreeMap<String, String>,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Made {
    /// The shared secret that a Secret holds; `None` if it has no number.
    pub fn parse(secret: Secret) -> Option<Self> {
        let number = number::series_number(secret.labels().get(NUMBER)?)?;
        Some(Self { number, secret, lost: BTreeMap::new() })
    }

    /// The same for a Secret that a backup tool may have restored without labels and annotations: its name ends with its number,
    /// and it counts as created with these annotations, so that a restore permits no full stop. The driver restores them.
    fn restored(secret: Secret, annotations: &BTreeMap<String, String>) -> Option<Self> {
        let number = number::series_number(secret.name_any().rsplit_once('-')?.1)?;
        // The driver sets this annotation on all Secrets that it creates.
        let is_bare = !secret.annotations().contains_key(OWNER);
        let lost = if is_bare { annotations.clone() } else { BTreeMap::new() };
        Some(Self { number, secret, lost })
    }

    /// A value; `None` if the key is absent, empty, or not UTF-8.
    pub fn text(&self, key: &str) -> Option<&str> {
        binding::text(&self.secret, key)
    }

    /// Whether it was created for a full stop that the user has permitted.
    fn is_permitted(&self) -> bool {
        self.annotation(FULL_RESTART).is_some()
    }

    /// An annotation from its creation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.secret.annotations().get(key).or_else(|| self.lost.get(key)).map(String::as_str)
    }
}

/// The next shared secret. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct NextSecret {
    /// Its number in the series.
    pub number: u32,
    /// The permission for a full stop for which it is created.
    pub permission: Option<String>,
    /// The values that are known.
    pub given: BTreeMap<&'static str, String>,
    /// The values to draw.
    pub drawn: Vec<Draw>,
    /// Annotations besides that of the permission.
    pub annotations: BTreeMap<String, String>,
}

impl fmt::Debug for NextSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextSecret").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The decision about the series.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It stays as it is.
    Keep,
    /// Create this one, with the values that the component adds.
    Make(NextSecret),
    /// The user wants another secret than the newest, and has not permitted a full stop.
    Refused,
    /// The Secret of this number is lost, pods use it, and the user has not permitted a full stop.
    Lost(u32),
}

/// Decides by the series, oldest first; the number that pods have; whether the user wants another secret than the newest; and the
/// user's newest permission for a full stop. Each permission is valid for one full stop.
pub fn decide(
    made: &[Made],
    in_use: Option<u32>,
    permission: Option<&str>,
    differs: impl FnOnce(&Made) -> bool,
) -> Decision {
    let newest = made.last();
    let last = newest.map(|newest| newest.number);
    let make = || {
        let number = last.max(in_use).unwrap_or_default().saturating_add(1);
        Decision::Make(NextSecret { number, permission: permission.map(str::to_owned), ..NextSecret::default() })
    };
    let is_permitted = permission.is_some() && permission != newest.and_then(|newest| newest.annotation(FULL_RESTART));
    match (newest, in_use) {
        // The running pods could not communicate with a pod that starts with another secret.
        (_, Some(lost)) if last < in_use => {
            if is_permitted {
                make()
            } else {
                Decision::Lost(lost)
            }
        }
        (None, _) => make(),
        (Some(newest), _) if differs(newest) => {
            if is_permitted {
                make()
            } else {
                Decision::Refused
            }
        }
        (Some(_), _) => Decision::Keep,
    }
}

/// A series of shared secrets. A component has one.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// The existing ones, oldest first.
    pub made: Vec<Made>,
    /// The one to create.
    pub next: Option<NextSecret>,
}

impl Shared {
    /// The one that pods must have.
    pub fn current(&self) -> Option<&Made> {
        self.made.last()
    }

    /// The number of the one that pods must have, for their template; the first one is created in the same pass as their set.
    pub fn number(&self) -> u32 {
        self.known_number().unwrap_or(1)
    }

    fn known_number(&self) -> Option<u32> {
        let next = self.next.as_ref().map(|next| next.number);
        self.current().map(|current| current.number).or(next)
    }

    /// Whether all pods must stop before one may start, so that their set must have no replicas: the user has permitted it, and
    /// members have an earlier number. A member with an unknown number is no evidence.
    pub fn must_stop(&self, members: impl IntoIterator<Item = Option<u32>>) -> bool {
        let number = self.known_number();
        self.may_stop() && members.into_iter().flatten().any(|member| Some(member) < number)
    }

    /// Whether the one that pods must have was created for a full stop that the user has permitted, and that is not over.
    fn may_stop(&self) -> bool {
        match self.current() {
            Some(current) => current.is_permitted() && current.annotation(COMPLETED).is_none(),
            None => self.next.as_ref().is_some_and(|next| next.permission.is_some()),
        }
    }

    /// Whether a full stop is in progress: all members must stop, or their set has no `replicas` and some have not stopped.
    pub fn is_stopping(&self, replicas: Option<i32>, members: impl IntoIterator<Item = Option<u32>>) -> bool {
        let mut members = members.into_iter().peekable();
        (replicas == Some(0) && members.peek().is_some()) || self.must_stop(members)
    }

    /// Whether the previous ones are no longer needed: members have the current one, and none is known to have another.
    fn is_taken_up(&self, members: impl IntoIterator<Item = Option<u32>>) -> bool {
        let current = self.current().map(|current| current.number);
        let mut known = members.into_iter().flatten().peekable();
        known.peek().is_some() && known.all(|member| Some(member) == current)
    }

    /// The desired Secrets: the current one, the next one, and the previous ones until all members have the current one.
    /// `name` names the Secret of a number.
    pub fn manifests(
        &self,
        name: impl Fn(u32) -> String,
        members: impl IntoIterator<Item = Option<u32>>,
        policy: DeletionPolicy,
    ) -> Vec<Manifest> {
        let current = self.current().map(|current| current.number);
        let is_taken_up = self.is_taken_up(members);
        let made = self.made.iter().map(|made| {
            if Some(made.number) != current && is_taken_up {
                Manifest::absent::<Secret>(&name(made.number))
            } else {
                // Only its ownership, its number and its marks are kept.
                let mut secret = numbered(secret(name(made.number), &[]), made.number);
                let is_over = is_taken_up && made.is_permitted();
                let mark = is_over.then(|| (COMPLETED.to_owned(), "true".to_owned()));
                let annotations: BTreeMap<_, _> = made.lost.clone().into_iter().chain(mark).collect();
                secret.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
                Manifest::new(&secret).once(&[]).data(policy)
            }
        });
        let next = self.next.iter().map(|next| {
            let given: Vec<_> = next.given.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let mut secret = numbered(secret(name(next.number), &given), next.number);
            let permission = next.permission.iter().map(|permission| (FULL_RESTART.to_owned(), permission.clone()));
            let annotations: BTreeMap<_, _> = next.annotations.clone().into_iter().chain(permission).collect();
            secret.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
            Manifest::new(&secret).once(&next.drawn).data(policy)
        });
        made.chain(next).collect()
    }
}

/// The existing secrets with all of these keys, oldest first: one that lacks a value counts as lost. `name` names the Secret of a
/// number: copies under another name are ignored, and so are successors of the first without a permission for the full stop that
/// they require. A Secret that was restored without its annotations counts as created for this `permission` and with these
/// `notes`.
pub fn series(
    children: &Children,
    name: impl Fn(u32) -> String,
    keys: &[&str],
    permission: Option<&str>,
    notes: &[(&str, &str)],
) -> Vec<Made> {
    let permission = permission.map(|permission| (FULL_RESTART, permission));
    let annotations = permission.iter().chain(notes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let annotations = annotations.collect();
    let made = children.all::<Secret>().into_iter().filter_map(|secret| Made::restored(secret, &annotations));
    let mut series: Vec<Made> = made
        .filter(|made| made.secret.name_any() == name(made.number))
        .filter(|made| keys.iter().all(|key| made.text(key).is_some()))
        .collect();
    series.sort_by_key(|made| made.number);
    let mut is_first = true;
    series.retain(|made| std::mem::take(&mut is_first) || made.is_permitted());
    series
}

/// The number of the secret that a pod has.
pub fn of_pod(pod: &Pod) -> Option<u32> {
    number::series_number(pod.annotations().get(NUMBER)?)
}

/// The number of the secret that the next pods of a set will have.
fn of_set(set: &StatefulSet) -> Option<u32> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    number::series_number(template.annotations.as_ref()?.get(NUMBER)?)
}

/// The newest number that members of a set have; without members, that of the set's template; without a set, that of pods that it
/// has left behind.
pub fn in_use(children: &Children, set: &str) -> Option<u32> {
    let newest = |pods: &mut dyn Iterator<Item = Pod>| pods.filter_map(|pod| of_pod(&pod)).max();
    let is_left = |pod: &Pod| number::ordinal(&pod.name_any(), set, i32::MAX).is_some();
    newest(&mut children.pods_of(set, i32::MAX).into_iter())
        .or_else(|| of_set(&children.find(set)?))
        .or_else(|| newest(&mut children.orphans::<Pod>().filter(is_left)))
}

fn numbered(mut secret: Secret, number: u32) -> Secret {
    secret.metadata.labels.get_or_insert_default().insert(NUMBER.to_owned(), number.to_string());
    secret
}

#[cfg(test)]
mod tests;

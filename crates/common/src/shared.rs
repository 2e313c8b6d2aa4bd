//! A secret that all pods of a component share: an Erlang cookie, the secret of a private network.
//!
//! Pods with another secret cannot speak with the rest, so it cannot roll: an edit of it is not applied until the user permits
//! one full stop and start, by a new value of the annotation [`FULL_RESTART`]. The secrets are a row: each is a Secret
//! `…-<n>` that is made once, and pods say which one they have.
//!
//! A full stop rests on positive evidence: a member has a known other number, and the newest Secret was made for a permission of the
//! user's. A pod that says nothing, or a Secret that another made beside ours, stops nothing.
//!
//! ```text
//!   permitted ─▶ Secret n+1 is made ─▶ the template names it, no replicas ─▶ no pod has Secret n any more
//!     ─▶ the replicas are back ─▶ Secret n goes
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
    login,
    manifest::{Draw, Manifest},
    number,
};

/// Label of the Secrets of the row, and annotation of the pod template and its pods: which one it is.
pub const NUMBER: &str = "temporal-stack.dev/shared-secret";

/// A shared secret that has been made. `Debug` shows no value.
#[derive(Clone, PartialEq)]
pub struct Made {
    /// Its place in the row.
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
    pub fn of(secret: Secret) -> Option<Self> {
        let number = number::place(secret.labels().get(NUMBER)?)?;
        Some(Self { number, secret, lost: BTreeMap::new() })
    }

    /// The same of one that a backup tool may have restored without labels and annotations: its name ends with its number, and
    /// it counts as made with these annotations, so that a restore permits no full stop. The driver puts them back.
    fn restored(secret: Secret, annotations: &BTreeMap<String, String>) -> Option<Self> {
        let number = number::place(secret.name_any().rsplit_once('-')?.1)?;
        // All that was made by the driver has this one.
        let is_bare = !secret.annotations().contains_key(OWNER);
        let lost = if is_bare { annotations.clone() } else { BTreeMap::new() };
        Some(Self { number, secret, lost })
    }

    /// A value; `None` if the key is absent, empty, or not UTF-8.
    pub fn text(&self, key: &str) -> Option<&str> {
        binding::text(&self.secret, key)
    }

    /// Whether it was made for a full stop that the user has permitted.
    fn is_permitted(&self) -> bool {
        self.annotation(FULL_RESTART).is_some()
    }

    /// What was noted when it was made.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.secret.annotations().get(key).or_else(|| self.lost.get(key)).map(String::as_str)
    }
}

/// A shared secret that is to be made. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Next {
    /// Its place in the row.
    pub number: u32,
    /// The permission for a full stop that it is made for.
    pub permission: Option<String>,
    /// The values that are known.
    pub given: BTreeMap<&'static str, String>,
    /// The values that are drawn.
    pub drawn: Vec<Draw>,
    /// What is noted with it: annotations beside that of the permission.
    pub annotations: BTreeMap<String, String>,
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What is to become of the row.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It stays as it is.
    Keep,
    /// This one is to be made, when the component has said what is in it.
    Make(Next),
    /// The user wants another than the newest, and has not permitted a full stop.
    Refused,
    /// The Secret of this number has gone, pods have it, and the user has not permitted a full stop.
    Lost(u32),
}

/// Decides by the row, oldest first; the number that pods have; whether what the user wants differs from the newest; and the
/// user's newest permission for a full stop. Each permission is good for one.
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
        Decision::Make(Next { number, permission: permission.map(str::to_owned), ..Next::default() })
    };
    let is_permitted = permission.is_some() && permission != newest.and_then(|newest| newest.annotation(FULL_RESTART));
    match (newest, in_use) {
        // The pods that run would never speak with one that starts with another.
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

/// A row of shared secrets. A component has one.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Those that have been made, oldest first.
    pub made: Vec<Made>,
    /// The one that is to be made.
    pub next: Option<Next>,
}

impl Shared {
    /// The one that pods are to have.
    pub fn current(&self) -> Option<&Made> {
        self.made.last()
    }

    /// The number of the one that pods are to have, for their template; the first one is made in the same pass as their set.
    pub fn number(&self) -> u32 {
        self.known_number().unwrap_or(1)
    }

    fn known_number(&self) -> Option<u32> {
        let next = self.next.as_ref().map(|next| next.number);
        self.current().map(|current| current.number).or(next)
    }

    /// Whether all pods must end before one may start, so that their set is to have no replicas: the user has permitted it, and
    /// members have another number. A member whose number is not known is no evidence.
    pub fn must_stop(&self, members: impl IntoIterator<Item = Option<u32>>) -> bool {
        let number = self.known_number();
        self.is_permitted() && members.into_iter().flatten().any(|member| Some(member) != number)
    }

    /// Whether the one that pods are to have was made for a full stop that the user has permitted.
    fn is_permitted(&self) -> bool {
        match self.current() {
            Some(current) => current.is_permitted(),
            None => self.next.as_ref().is_some_and(|next| next.permission.is_some()),
        }
    }

    /// Whether a full stop is under way: all members must end, or their set has no `replicas` and some have not ended.
    pub fn is_stopping(&self, replicas: Option<i32>, members: impl IntoIterator<Item = Option<u32>>) -> bool {
        let mut members = members.into_iter().peekable();
        (replicas == Some(0) && members.peek().is_some()) || self.must_stop(members)
    }

    /// Whether the ones before are of no use any more: members have the current one, and none is known to have another.
    fn is_taken_up(&self, members: impl IntoIterator<Item = Option<u32>>) -> bool {
        let current = self.current().map(|current| current.number);
        let mut known = members.into_iter().flatten().peekable();
        known.peek().is_some() && known.all(|member| Some(member) == current)
    }

    /// The Secrets as they are to be: the current one, the next one, and those before until all members have the current one.
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
                // Only its ownership is kept, and what says which one it is.
                let mut secret = numbered(login::secret(name(made.number), &[]), made.number);
                secret.metadata.annotations = (!made.lost.is_empty()).then(|| made.lost.clone());
                Manifest::new(&secret).once(&[]).data(policy)
            }
        });
        let next = self.next.iter().map(|next| {
            let given: Vec<_> = next.given.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let mut secret = numbered(login::secret(name(next.number), &given), next.number);
            let permission = next.permission.iter().map(|permission| (FULL_RESTART.to_owned(), permission.clone()));
            let annotations: BTreeMap<_, _> = next.annotations.clone().into_iter().chain(permission).collect();
            secret.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
            Manifest::new(&secret).once(&next.drawn).data(policy)
        });
        made.chain(next).collect()
    }
}

/// The secrets that have been made and have all of these keys, oldest first: one without a value is as good as lost. `name` names
/// the Secret of a number: a copy under another name is none of the row, nor is one that was put behind the first without a
/// permission for the full stop that it would take. One that was restored without its annotations counts as made for this
/// `permission` and with these `notes`.
pub fn row(
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
    let mut row: Vec<Made> = made
        .filter(|made| made.secret.name_any() == name(made.number))
        .filter(|made| keys.iter().all(|key| made.text(key).is_some()))
        .collect();
    row.sort_by_key(|made| made.number);
    let mut is_first = true;
    row.retain(|made| std::mem::take(&mut is_first) || made.is_permitted());
    row
}

/// The number of the secret that a pod has.
pub fn of_pod(pod: &Pod) -> Option<u32> {
    number::place(pod.annotations().get(NUMBER)?)
}

/// The number of the secret that the next pods of a set will have.
pub fn of_set(set: &StatefulSet) -> Option<u32> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    number::place(template.annotations.as_ref()?.get(NUMBER)?)
}

/// The newest number that members of a set have; while there is none, the one of the set; while there is no set, the one of pods that
/// it has left behind.
pub fn in_use(children: &Children, set: &str) -> Option<u32> {
    let newest = |pods: &mut dyn Iterator<Item = Pod>| pods.filter_map(|pod| of_pod(&pod)).max();
    let is_left = |pod: &Pod| number::ordinal(&pod.name_any(), set, i32::MAX).is_some();
    newest(&mut children.all::<Pod>().into_iter())
        .or_else(|| of_set(&children.find(set)?))
        .or_else(|| newest(&mut children.orphans::<Pod>().filter(is_left)))
}

fn numbered(mut secret: Secret, number: u32) -> Secret {
    secret.metadata.labels.get_or_insert_default().insert(NUMBER.to_owned(), number.to_string());
    secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Making;

    const KEY: &str = "key";

    fn made(number: u32, permission: Option<&str>) -> Made {
        let mut secret = numbered(login::secret(format!("x-{number}"), &[(KEY, "old")]), number);
        let annotations = permission.map(|permission| (FULL_RESTART.to_owned(), permission.to_owned()));
        secret.metadata.annotations = Some(annotations.into_iter().collect());
        Made::of(secret).unwrap()
    }

    /// What is decided where the user wants this value.
    fn told(made: &[Made], in_use: Option<u32>, permission: Option<&str>, wish: &str) -> String {
        match decide(made, in_use, permission, |newest| newest.text(KEY) != Some(wish)) {
            Decision::Make(next) => format!("make {} {}", next.number, next.permission.unwrap_or_default()),
            decision => format!("{decision:?}").to_lowercase(),
        }
    }

    #[test]
    fn the_first_one_is_made_and_kept() {
        assert_eq!(told(&[], None, None, "old"), "make 1 ");
        assert_eq!(told(&[made(1, None)], Some(1), None, "old"), "keep");
        assert_eq!(told(&[made(1, None)], None, Some("may"), "old"), "keep");
    }

    #[test]
    fn one_restored_without_marks_keeps_its_number() {
        let notes = BTreeMap::from([(FULL_RESTART.to_owned(), "may".to_owned())]);
        let bare = login::secret("x-cookie-2".to_owned(), &[(KEY, "old")]);
        let restored = Made::restored(bare.clone(), &notes).unwrap();
        assert_eq!(restored.number, 2);
        assert_eq!(told(std::slice::from_ref(&restored), Some(2), Some("may"), "new"), "refused");
        let shared = Shared { made: vec![restored], next: None };
        let manifests = shared.manifests(|number| format!("x-cookie-{number}"), [], DeletionPolicy::Retain);
        let again: Secret = serde_json::from_value(manifests[0].object.clone()).unwrap();
        assert_eq!(again.annotations().get(FULL_RESTART).map(String::as_str), Some("may"));
        assert_eq!(Made::of(Secret { data: bare.data, ..again }).map(|made| made.number), Some(2));
        // One that has its annotations keeps them; its name decides which one it is.
        let whole = login::secret("x-cookie-3".to_owned(), &[(KEY, "old")]);
        let mut whole = numbered(whole, 4);
        whole.metadata.annotations = Some(BTreeMap::from([(OWNER.to_owned(), "uid".to_owned())]));
        let whole = Made::restored(whole, &notes).unwrap();
        assert_eq!((whole.number, whole.annotation(FULL_RESTART)), (3, None));
    }

    #[test]
    fn an_edit_is_refused_until_a_full_stop_is_permitted_and_each_permission_is_good_for_one() {
        assert_eq!(told(&[made(1, None)], Some(1), None, "new"), "refused");
        assert_eq!(told(&[made(1, None)], Some(1), Some("may"), "new"), "make 2 may");
        assert_eq!(told(&[made(2, Some("may"))], Some(2), Some("may"), "new"), "refused");
        assert_eq!(told(&[made(2, Some("may"))], Some(2), Some("june"), "new"), "make 3 june");
    }

    #[test]
    fn one_that_is_lost_while_pods_have_it_is_not_replaced_unless_permitted() {
        assert_eq!(told(&[], Some(2), None, "old"), "lost(2)");
        assert_eq!(told(&[], Some(2), Some("may"), "old"), "make 3 may");
        assert_eq!(told(&[made(1, None)], Some(2), None, "new"), "lost(2)");
        assert_eq!(told(&[made(1, None)], Some(2), Some("may"), "old"), "make 3 may");
    }

    #[test]
    fn one_that_pods_are_stopping_with_may_be_lost() {
        assert_eq!(told(&[made(2, None)], Some(1), None, "old"), "keep");
    }

    #[test]
    fn members_stop_when_one_has_another_number() {
        let shared = Shared { made: vec![made(1, None), made(2, Some("may"))], next: None };
        assert_eq!(shared.number(), 2);
        assert!(shared.must_stop([Some(2), Some(1)]));
        assert!(!shared.must_stop([Some(2), Some(2)]) && !shared.must_stop([]));
        assert!(shared.is_stopping(Some(0), [Some(2)]) && !shared.is_stopping(Some(0), []));
        assert!(!shared.is_stopping(Some(1), [Some(2)]));
    }

    #[test]
    fn a_member_without_a_number_stops_nothing() {
        let shared = Shared { made: vec![made(2, Some("may"))], next: None };
        assert!(!shared.must_stop([None, Some(2)]) && !shared.must_stop([None]));
    }

    #[test]
    fn without_a_permission_nothing_stops() {
        let shared = Shared { made: vec![made(2, None)], next: None };
        assert!(!shared.must_stop([Some(1), None]));
    }

    fn children(objects: &[(&str, serde_json::Value)]) -> Children {
        let cache = crate::cache::Cache::default();
        for (index, (kind, object)) in objects.iter().enumerate() {
            let mut object = object.clone();
            object["metadata"]["namespace"] = "n".into();
            object["metadata"]["uid"] = object["metadata"]["name"].clone();
            object["metadata"]["resourceVersion"] = (index + 1).to_string().into();
            object["metadata"]["labels"][crate::api::label::INSTANCE] = "i".into();
            cache.put(kind, crate::cache::Arrived::new(object).unwrap());
        }
        let instance = crate::cache::Instance { namespace: "n".to_owned(), name: "i".to_owned() };
        cache.children(&instance, "ours")
    }

    fn secret(name: &str, number: &str, permission: Option<&str>) -> (&'static str, serde_json::Value) {
        let annotations = permission.map(|permission| serde_json::json!({FULL_RESTART: permission}));
        let metadata = serde_json::json!({"name": name, "labels": {NUMBER: number}, "annotations": annotations});
        ("Secret", serde_json::json!({"metadata": metadata, "data": {KEY: "eA=="}}))
    }

    fn pod(name: &str, number: &str, controller: Option<&str>) -> (&'static str, serde_json::Value) {
        let owner =
            |uid| serde_json::json!([{"apiVersion": "", "kind": "", "name": "", "uid": uid, "controller": true}]);
        let metadata = serde_json::json!({
            "name": name, "annotations": {NUMBER: number}, "ownerReferences": controller.map(owner),
        });
        ("Pod", serde_json::json!({ "metadata": metadata }))
    }

    #[test]
    fn a_copy_or_an_unpermitted_successor_is_none_of_the_row() {
        let children = children(&[
            secret("x-1", "1", None),
            secret("copy", "3", Some("may")),
            secret("x-2", "2", None),
            secret("x-4294967295", "4294967295", Some("may")),
        ]);
        let numbers: Vec<_> =
            row(&children, |number| format!("x-{number}"), &[KEY], None, &[]).iter().map(|made| made.number).collect();
        assert_eq!(numbers, [1]);
    }

    #[test]
    fn pods_that_a_set_has_left_behind_count_as_in_use() {
        let left = children(&[pod("set-0", "2", None), pod("dbg", "9", None)]);
        assert_eq!(in_use(&left, "set"), Some(2));
        let set = (
            "StatefulSet",
            serde_json::json!({
                "metadata": {"name": "set", "ownerReferences": pod("", "", Some("ours")).1["metadata"]["ownerReferences"]},
                "spec": {"template": {"metadata": {"annotations": {NUMBER: "3"}}}, "selector": {}},
            }),
        );
        assert_eq!(in_use(&children(&[pod("set-0", "2", None), set.clone()]), "set"), Some(3));
        assert_eq!(in_use(&children(&[pod("set-0", "2", Some("set")), set]), "set"), Some(2));
        assert_eq!(in_use(&children(&[]), "set"), None);
    }

    #[test]
    fn where_all_are_lost_pods_stop_for_the_one_that_is_made() {
        let next = Next { number: 3, permission: Some("may".to_owned()), ..Next::default() };
        let shared = Shared { made: Vec::new(), next: Some(next) };
        assert_eq!(shared.number(), 3);
        assert!(shared.must_stop([Some(2)]));
        let stalled = Shared::default();
        assert_eq!((stalled.number(), stalled.must_stop([Some(2)])), (1, false));
    }

    #[test]
    fn one_stays_until_all_members_have_the_next() {
        let shared = Shared { made: vec![made(1, None), made(2, Some("may"))], next: None };
        let absent = |members: &[Option<u32>]| {
            let members = members.iter().copied();
            let manifests = shared.manifests(|number| format!("x-{number}"), members, DeletionPolicy::Retain);
            let absent = manifests.iter().filter(|one| matches!(one.making, Making::Absent));
            absent.map(|one| one.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(absent(&[Some(2), Some(1)]), [] as [&str; 0]);
        assert_eq!(absent(&[]), [] as [&str; 0], "nobody has been seen with the next");
        assert_eq!(absent(&[Some(2)]), ["x-1"]);
    }

    #[test]
    fn the_next_one_says_what_it_holds_and_what_it_was_made_for() {
        let next = Next {
            number: 2,
            permission: Some("may".to_owned()),
            given: BTreeMap::from([(KEY, "new".to_owned())]),
            drawn: vec![Draw::Letters("other")],
            annotations: BTreeMap::from([("mode".to_owned(), "private".to_owned())]),
        };
        assert!(!format!("{next:?}").contains("new"));
        let shared = Shared { made: vec![made(1, None)], next: Some(next) };
        let manifests = shared.manifests(|number| format!("x-{number}"), [Some(1)], DeletionPolicy::Retain);
        let [kept, next] = &manifests[..] else { panic!("{manifests:?}") };
        assert_eq!((kept.name(), kept.object.get("data")), ("x-1", None));
        let read = Made::of(serde_json::from_value(next.object.clone()).unwrap()).unwrap();
        assert_eq!((read.number, read.text(KEY)), (2, Some("new")));
        assert_eq!((read.annotation(FULL_RESTART), read.annotation("mode")), (Some("may"), Some("private")));
        assert!(matches!(&next.making, Making::Once { drawn } if drawn[0].key() == "other"));
    }
}

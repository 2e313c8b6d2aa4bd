//! What the watches have seen: the children of all objects, kept small, and handed out an object at a time.
//!
//! # Guarantees
//!
//! * **You see what you wrote.** The driver puts the answer of each of its writes here, so the next pass does not see an older
//!   state, and the echo of a write on the watch wakes nobody.
//! * **An older event never replaces a newer object.** Resource versions of one kind are compared as numbers, which the API
//!   server guarantees to be ordered; where one is not a number, the event wins.
//! * **A new list is believed.** What was known before the list was asked for cannot be newer than the list, unless the cluster was
//!   restored from a backup; then the list is right. What was written since the list was asked for stays.
//!
//! # Memory
//!
//! Objects are kept as JSON text without managed fields, and parsed when a pass needs them, metadata too: a pass reads a dozen of
//! them at the most. The children of one object are like those of another, so the text is compressed by what it differs in from
//! the first object of its kind.

mod members;
mod packed;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, runtime::watcher::Event};
use serde::de::DeserializeOwned;

pub(crate) use members::REPLICA_SET;
pub use packed::{Arrived, Packed};

use crate::api::label;

/// Which custom resource an object belongs to: its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Instance {
    /// The instance that the labels of an object name.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.labels.as_ref()?.get(label::INSTANCE)?.clone(),
        })
    }
}

/// The children of one object: a snapshot that does not change during a pass. Of pods it has the members only; see [`members`].
#[derive(Clone, Debug, Default)]
pub struct Children {
    all: Arc<BTreeMap<Key, Arc<Packed>>>,
    /// Pods with the object's labels that no controller owns.
    orphans: Arc<[Arc<Packed>]>,
}

/// Kind and name.
type Key = (Box<str>, Box<str>);

impl Children {
    /// The child of that kind and name.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Arc<Packed>> {
        // The key's type has no borrowed form as a pair, and there are a dozen children.
        self.iter().find(|(k, n, _)| *k == kind && *n == name).map(|(_, _, object)| object)
    }

    /// The child of that type and name, parsed. One that does not parse is as good as absent.
    pub fn find<K: Resource<DynamicType = ()> + DeserializeOwned>(&self, name: &str) -> Option<K> {
        self.get(&K::kind(&()), name)?.parse().ok()
    }

    /// All children of that type, by name.
    pub fn all<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> Vec<K> {
        let kind = K::kind(&());
        self.iter().filter(|(k, ..)| *k == kind).filter_map(|(_, _, object)| object.parse().ok()).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Kind, name and object of all of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Arc<Packed>)> {
        self.all.iter().map(|((kind, name), object)| (&**kind, &**name, object))
    }

    fn edit(&mut self) -> &mut BTreeMap<Key, Arc<Packed>> {
        Arc::make_mut(&mut self.all)
    }
}

/// The children of all objects.
#[derive(Debug, Default)]
pub struct Cache {
    children: RwLock<HashMap<Instance, Children>>,
    /// Counts what is put.
    clock: AtomicU64,
    /// The first object of each kind, as text.
    firsts: Mutex<HashMap<String, Arc<str>>>,
}

impl Cache {
    /// The children of the object with that UID, as they are now.
    pub fn children(&self, instance: &Instance, owner: &str) -> Children {
        self.labelled(instance).of_owner(owner)
    }

    /// What has the labels of an object, whoever made it.
    fn labelled(&self, instance: &Instance) -> Children {
        self.children.read().unwrap_or_else(PoisonError::into_inner).get(instance).cloned().unwrap_or_default()
    }

    /// Puts an object; `true` if it was news.
    pub fn put(&self, kind: &str, object: Arrived) -> bool {
        self.put_over(kind, object, 0)
    }

    /// Puts an object over one that is older, or that was put before `began` and differs.
    fn put_over(&self, kind: &str, object: Arrived, began: u64) -> bool {
        let Some((instance, key)) = key(kind, object.meta()) else { return false };
        let is_reduced = members::is_reduced(kind, object.meta());
        let object = if is_reduced { object.reduced() } else { object };
        // A stranger's pod is like no member, and must not become what members are compressed by.
        let first = if is_reduced { Arc::default() } else { self.first(kind, &object) };
        let mut all = self.children.write().unwrap_or_else(PoisonError::into_inner);
        let children = all.entry(instance).or_default().edit();
        if let Some(known) = children.get(&key)
            && let (Some(version), Some(new)) = (known.number(), object.number())
            && (new == version || (new < version && known.arrived >= began))
        {
            return false;
        }
        let mut packed = object.pack(first, kind);
        packed.arrived = self.clock.fetch_add(1, Ordering::SeqCst);
        // Of what is kept for its owner only, nothing else is news.
        let is_news = !is_reduced || children.get(&key).is_none_or(|known| !known.has_same_owner(&packed));
        children.insert(key, Arc::new(packed));
        is_news
    }

    /// The first object of a kind, which all others of the kind are much alike.
    fn first(&self, kind: &str, object: &Arrived) -> Arc<str> {
        let mut firsts = self.firsts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = firsts.get(kind) {
            return first.clone();
        }
        let first: Arc<str> = object.text().into();
        firsts.insert(kind.to_owned(), first.clone());
        first
    }

    /// Removes an object; `true` if it was there. One that was made anew under the same name stays.
    pub fn remove(&self, kind: &str, metadata: &ObjectMeta) -> bool {
        let Some((instance, key)) = key(kind, metadata) else { return false };
        self.remove_if(&instance, &key, |known| known.is(metadata))
    }

    /// Removes an object of which the API server has said that it has gone; `true` if it was there.
    pub fn forget(&self, instance: &Instance, kind: &str, name: &str) -> bool {
        self.remove_if(instance, &(kind.into(), name.into()), |_| true)
    }

    fn remove_if(&self, instance: &Instance, key: &Key, condition: impl FnOnce(&Packed) -> bool) -> bool {
        let mut all = self.children.write().unwrap_or_else(PoisonError::into_inner);
        let Some(children) = all.get_mut(instance) else { return false };
        if !children.all.get(key).is_some_and(|known| condition(known)) {
            return false;
        }
        children.edit().remove(key);
        if children.all.is_empty() {
            all.remove(instance);
        }
        true
    }

    /// Takes an event of a watch, and returns the instances that it is news for. `listed` collects what a restarted watch
    /// lists: what it did not list at its end has gone.
    pub fn take(&self, kind: &str, event: Event<Arrived>, listed: &mut Listed) -> Vec<Instance> {
        match event {
            Event::Init => {
                listed.uids.clear();
                listed.began = self.clock.load(Ordering::SeqCst);
                Vec::new()
            }
            Event::InitApply(object) => {
                listed.uids.extend(object.meta().uid.clone());
                self.take_over(kind, object, listed.began)
            }
            Event::InitDone => {
                let gone = self.forget_unlisted(kind, listed);
                listed.uids = HashSet::new();
                gone
            }
            Event::Apply(object) => self.take_over(kind, object, 0),
            Event::Delete(object) => {
                let instance = Instance::of(object.meta());
                if self.remove(kind, object.meta()) { instance.into_iter().collect() } else { Vec::new() }
            }
        }
    }

    fn take_over(&self, kind: &str, object: Arrived, began: u64) -> Vec<Instance> {
        let Some(instance) = Instance::of(object.meta()) else { return self.hide(kind, object.meta()) };
        // One that is new here may have had another label, and be known elsewhere.
        let name = object.meta().name.as_deref().unwrap_or_default();
        let is_known = self.labelled(&instance).get(kind, name).is_some();
        let mut news = if is_known { Vec::new() } else { self.hide(kind, object.meta()) };
        if self.put_over(kind, object, began) {
            news.push(instance);
        }
        news
    }

    /// Removes an object from which somebody has taken the label that says whose it is, or put another in its place.
    fn hide(&self, kind: &str, metadata: &ObjectMeta) -> Vec<Instance> {
        let same = |known: &Packed| known.is(metadata);
        let owners: Vec<Instance> = {
            let all = self.children.read().unwrap_or_else(PoisonError::into_inner);
            let has = |children: &Children| children.iter().any(|(k, _, known)| k == kind && same(known));
            all.iter().filter(|(_, children)| has(children)).map(|(instance, _)| instance.clone()).collect()
        };
        let key = (kind.into(), metadata.name.as_deref().unwrap_or_default().into());
        owners.into_iter().filter(|owner| self.remove_if(owner, &key, same)).collect()
    }

    fn forget_unlisted(&self, kind: &str, listed: &Listed) -> Vec<Instance> {
        let gone: Vec<(Instance, Key)> = {
            let all = self.children.read().unwrap_or_else(PoisonError::into_inner);
            let covered = all.iter().filter(|(instance, _)| listed.covers(instance));
            let known = covered.flat_map(|(instance, children)| {
                children.iter().map(move |(kind, name, object)| (instance, kind, name, object))
            });
            let unlisted = known.filter(|(_, k, _, object)| *k == kind && listed.lacks(object));
            unlisted.map(|(instance, kind, name, _)| (instance.clone(), (kind.into(), name.into()))).collect()
        };
        gone.into_iter()
            .filter(|(instance, key)| self.remove_if(instance, key, |known| listed.lacks(known)))
            .map(|(instance, _)| instance)
            .collect()
    }
}

/// What a restarted watch has listed so far.
#[derive(Debug, Default)]
pub struct Listed {
    namespace: Option<String>,
    uids: HashSet<String>,
    /// What was put before this was known before the list was asked for.
    began: u64,
}

impl Listed {
    /// For a watch that is limited to a namespace, or not.
    pub fn within(namespace: Option<String>) -> Self {
        Self { namespace, ..Self::default() }
    }

    /// Whether an object should be in the list and is not. What was made since the list was asked for need not be.
    fn lacks(&self, known: &Packed) -> bool {
        known.arrived < self.began && !self.uids.contains(known.uid())
    }

    fn covers(&self, instance: &Instance) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == instance.namespace)
    }
}

fn key(kind: &str, metadata: &ObjectMeta) -> Option<(Instance, Key)> {
    Some((Instance::of(metadata)?, (kind.into(), metadata.name.as_deref()?.into())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(version: &str, uid: &str) -> Arrived {
        Arrived::new(json!({
            "metadata": {
                "name": "a", "namespace": "n", "uid": uid, "resourceVersion": version,
                "labels": {label::INSTANCE: "i"},
            },
        }))
        .unwrap()
    }

    fn instance() -> Instance {
        Instance { namespace: "n".to_owned(), name: "i".to_owned() }
    }

    #[test]
    fn the_echo_of_a_write_is_no_news() {
        let cache = Cache::default();
        assert!(cache.put("Secret", secret("5", "u")));
        assert!(cache.take("Secret", Event::Apply(secret("5", "u")), &mut Listed::default()).is_empty());
        assert!(cache.take("Secret", Event::Apply(secret("4", "u")), &mut Listed::default()).is_empty());
        assert_eq!(cache.take("Secret", Event::Apply(secret("6", "u")), &mut Listed::default()), [instance()]);
    }

    #[test]
    fn an_object_that_somebody_labels_anew_is_news_for_both() {
        let cache = Cache::default();
        cache.put("Secret", secret("5", "u"));
        let mut moved = secret("6", "u");
        moved.meta_mut().labels = Some(BTreeMap::from([(label::INSTANCE.to_owned(), "j".to_owned())]));
        let other = Instance { namespace: "n".to_owned(), name: "j".to_owned() };
        assert_eq!(cache.take("Secret", Event::Apply(moved), &mut Listed::default()), [instance(), other]);
        assert!(cache.labelled(&instance()).get("Secret", "a").is_none());
    }

    #[test]
    fn what_a_restarted_watch_does_not_list_has_gone() {
        let cache = Cache::default();
        cache.put("Secret", secret("5", "u"));
        let mut listed = Listed::default();
        assert!(cache.take("Secret", Event::Init, &mut listed).is_empty());
        assert_eq!(cache.take("Secret", Event::InitDone, &mut listed), [instance()]);
        assert!(cache.labelled(&instance()).get("Secret", "a").is_none());
    }

    #[test]
    fn a_new_list_is_believed_although_its_versions_are_lower() {
        let cache = Cache::default();
        cache.put("Secret", secret("50", "u"));
        let mut listed = Listed::default();
        cache.take("Secret", Event::Init, &mut listed);
        assert_eq!(cache.take("Secret", Event::InitApply(secret("5", "u")), &mut listed), [instance()]);
        cache.take("Secret", Event::InitDone, &mut listed);
        assert_eq!(cache.labelled(&instance()).get("Secret", "a").unwrap().version(), "5");
        assert_eq!(cache.take("Secret", Event::Apply(secret("6", "u")), &mut listed), [instance()]);
    }

    #[test]
    fn what_was_written_since_a_list_was_asked_for_stays() {
        let cache = Cache::default();
        cache.put("Secret", secret("5", "u"));
        let mut listed = Listed::default();
        cache.take("Secret", Event::Init, &mut listed);
        cache.put("Secret", secret("7", "u"));
        assert!(cache.take("Secret", Event::InitApply(secret("5", "u")), &mut listed).is_empty());
        cache.take("Secret", Event::InitDone, &mut listed);
        assert_eq!(cache.labelled(&instance()).get("Secret", "a").unwrap().version(), "7");

        // The same of one that is not in the list, because it was made after it.
        cache.take("Secret", Event::Init, &mut listed);
        cache.put("Secret", secret("8", "u"));
        assert!(cache.take("Secret", Event::InitDone, &mut listed).is_empty());
        assert!(cache.labelled(&instance()).get("Secret", "a").is_some());
    }

    #[test]
    fn a_late_deletion_does_not_remove_a_successor() {
        let cache = Cache::default();
        cache.put("Secret", secret("7", "new"));
        assert!(cache.take("Secret", Event::Delete(secret("6", "old")), &mut Listed::default()).is_empty());
        assert!(cache.labelled(&instance()).get("Secret", "a").is_some());
    }
}

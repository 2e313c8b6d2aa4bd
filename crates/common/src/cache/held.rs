//! The contents of the cache: the children of each custom resource, and an index of them by UID.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Children, Instance, LARGE, Packed, children::Key};
use crate::tally::Tally;

/// The total size in bytes of a namespace's large objects beyond [`LARGE`], unpacked.
pub(super) const MOST_BEYOND: usize = 2 << 20;
/// The size in bytes of all objects of a custom resource, unpacked: a pass may unpack them together, and text of a tenant may take
/// a two-hundredth of its length while it is kept. One with 32 peers has less than half of it.
pub(super) const MOST_OF_INSTANCE: usize = 2 << 20;

/// The size in bytes of all objects of a namespace, as kept: of objects beyond it only the identity is kept, and of objects far
/// beyond it nothing. A custom resource's children have some 9 kB, so this suffices for 2,000 custom resources.
pub(super) const MOST_OF_NAMESPACE: usize = 24 << 20;
/// How much the identities of the objects beyond may have, in a namespace and in a custom resource.
const MOST_IDENTITIES: usize = 4 << 20;
const MOST_IDENTITIES_OF_INSTANCE: usize = 1 << 20;
/// What an object has beside its text: its key, its place, and the values that are needed without unpacking it.
const BESIDE: usize = 400;

/// Whether an object is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The whole object.
    Whole,
    /// Its identity.
    Identity,
    /// Nothing.
    None,
}

/// The children of all custom resources.
#[derive(Debug, Default)]
pub(super) struct Index {
    children: HashMap<Arc<Instance>, Children>,
    /// The custom resource to which the labels of an object assign it, by the UID of the object. An event of a relabelled object
    /// names only the new one, and a search through all children for the other would make the first list of a cluster quadratic.
    instances: HashMap<Arc<str>, Arc<Instance>>,
    /// The size of all objects of a namespace.
    sizes: Tally,
}

impl Index {
    /// The objects with the labels of a custom resource, whatever their creator.
    pub(super) fn get(&self, instance: &Instance) -> Option<&Children> {
        self.children.get(instance)
    }

    /// The children of all custom resources.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Instance, &Children)> {
        self.children.iter().map(|(instance, children)| (&**instance, children))
    }

    /// The custom resource to which an object was assigned when it was put.
    pub(super) fn instance_of(&self, metadata: &ObjectMeta) -> Option<&Arc<Instance>> {
        self.instances.get(metadata.uid.as_deref()?)
    }

    /// Puts an object, in place of the one with the same name.
    pub(super) fn insert(&mut self, instance: Instance, key: Key, object: Packed) {
        let known = self.children.get_key_value(&instance).map(|(known, _)| known.clone());
        let instance = known.unwrap_or_else(|| Arc::new(instance));
        let uid = object.shared_uid();
        self.sizes.add(&instance.namespace, object.kept() + BESIDE);
        let children = self.children.entry(instance.clone()).or_default();
        children.length += object.length();
        let replaced = children.edit().insert(key, Arc::new(object));
        if let Some(replaced) = replaced {
            children.length = children.length.saturating_sub(replaced.length());
            self.forget_place(&replaced, &instance);
            self.sizes.subtract(&instance.namespace, replaced.kept() + BESIDE);
        }
        self.instances.insert(uid, instance);
    }

    /// Removes an object if it meets the condition; `true` if it did.
    pub(super) fn remove_if(
        &mut self,
        instance: &Instance,
        key: &Key,
        condition: impl FnOnce(&Packed) -> bool,
    ) -> bool {
        let Some(children) = self.children.get_mut(instance) else { return false };
        if !children.all.get(key).is_some_and(|known| condition(known)) {
            return false;
        }
        let removed = children.edit().remove(key);
        children.length = children.length.saturating_sub(removed.as_ref().map_or(0, |removed| removed.length()));
        if children.all.is_empty() {
            self.children.remove(instance);
        }
        if let Some(removed) = removed {
            self.forget_place(&removed, instance);
            self.sizes.subtract(&instance.namespace, removed.kept() + BESIDE);
        }
        true
    }

    fn forget_place(&mut self, object: &Packed, instance: &Instance) {
        if self.instances.get(object.uid()).is_some_and(|assigned| **assigned == *instance) {
            self.instances.remove(object.uid());
        }
    }

    /// What is kept of an object with a text of this length, beside the others of its custom resource and its namespace.
    pub(super) fn room(&self, instance: &Instance, key: &Key, length: usize) -> Room {
        let children = self.get(instance);
        let replaced = children.and_then(|children| children.all.get(key));
        let unpacked = children.map_or(0, |children| children.length);
        let unpacked = unpacked.saturating_sub(replaced.map_or(0, |replaced| replaced.length()));
        let replaced = replaced.map_or(0, |replaced| replaced.kept() + BESIDE);
        let others = self.sizes.amount(&instance.namespace).saturating_sub(replaced);
        let is_within = others + length <= MOST_OF_NAMESPACE && unpacked + length <= MOST_OF_INSTANCE;
        if is_within && (length <= LARGE || self.has_room(instance, key, length)) {
            Room::Whole
        } else if others <= MOST_OF_NAMESPACE + MOST_IDENTITIES
            && unpacked <= MOST_OF_INSTANCE + MOST_IDENTITIES_OF_INSTANCE
        {
            Room::Identity
        } else {
            Room::None
        }
    }

    /// Whether a large object of this length fits beside the other ones of its namespace.
    fn has_room(&self, instance: &Instance, key: &Key, length: usize) -> bool {
        let of_namespace = self.iter().filter(|(other, _)| other.namespace == instance.namespace);
        let others = of_namespace.flat_map(|(owner, children)| {
            children.all.iter().filter(move |(other, _)| owner != instance || *other != key)
        });
        let beyond = |length: usize| length.saturating_sub(LARGE);
        others.map(|(_, object)| beyond(object.length())).sum::<usize>() + beyond(length) <= MOST_BEYOND
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cache::Arrived;

    #[test]
    fn successor_of_a_name_leaves_no_trace_of_the_object_before() {
        let (mut held, key) = (Index::default(), (Box::from("Secret"), Box::from("a")));
        let instance = Instance { namespace: "n".to_owned(), name: "i".to_owned() };
        for uid in ["old", "new"] {
            let arrived = Arrived::new(json!({"metadata": {"name": "a", "uid": uid}})).unwrap();
            held.insert(instance.clone(), Key::clone(&key), arrived.pack("".into(), "Secret"));
        }
        assert_eq!(held.instances.keys().map(|uid| &**uid).collect::<Vec<_>>(), ["new"]);
        assert!(held.remove_if(&instance, &key, |_| true));
        assert!(held.instances.is_empty() && held.children.is_empty());
    }
}

//! A compact cache of the children of all objects, filled by the watches and read one object at a time.
//!
//! # Guarantees
//!
//! * **Read your writes.** The driver puts the answer of each of its writes here, so the next pass does not see an older state,
//!   and the echo of a write on the watch triggers no pass.
//! * **An older event never replaces a newer object.** Resource versions of one kind are compared as numbers, which the API
//!   server guarantees to be ordered; where one is not a number, the event wins.
//! * **A new list wins.** Objects cached before the list was requested cannot be newer than the list, unless the cluster was
//!   restored from a backup; then the list is right. Objects written after the request are kept.
//!
//! # Memory
//!
//! Objects are kept as JSON text without managed fields, and parsed, including their metadata, when a pass needs them: a pass
//! reads a dozen of them at most. The children of one object resemble those of another, so the text is compressed by its
//! difference from the first object of its kind.
//!
//! Anyone can write labels and owner references, so objects that have them must not determine how much memory the process uses.
//! Children have a few kilobytes. The sizes of a namespace's objects beyond [`LARGE`] each are limited to
//! [`MOST_BEYOND`](held::MOST_BEYOND) in total; of an object that exceeds it only its identity and owner are kept, so a pass sees it
//! as changed, and never as our data. The same applies to all objects of a custom resource beyond
//! [`MOST_OF_INSTANCE`](held::MOST_OF_INSTANCE), and to all of a namespace beyond [`MOST_OF_NAMESPACE`](held::MOST_OF_NAMESPACE).
//! The last is a limit of what is kept. The others are limits of what a pass unpacks: text of one letter is kept in a
//! two-hundredth of its length.

mod children;
mod events;
mod held;
mod members;
mod packed;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

pub use children::Children;
pub(crate) use children::Instance;
pub(crate) use events::Listed;
pub(crate) use members::{REPLICA_SET, controller};
pub(crate) use packed::{Arrived, Packed};

use self::{
    children::Key,
    held::{Index, Room},
};

/// The size in bytes, unpacked, from which an object counts as large.
const LARGE: usize = 32 << 10;

/// The children of all objects.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    held: RwLock<Index>,
    /// Counts the puts.
    clock: AtomicU64,
    /// The first object of each kind, as text.
    firsts: Mutex<HashMap<String, Arc<str>>>,
    /// The kinds that the cluster does not have.
    absent: Mutex<Arc<BTreeSet<String>>>,
}

impl Cache {
    /// The children of the object with that UID, as they are now.
    pub(crate) fn children(&self, instance: &Instance, owner: &str) -> Children {
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.labelled(instance).of_owner(owner).without_kinds(absent)
    }

    /// Records whether the cluster has a kind; `true` if that is news.
    pub(crate) fn note_kind(&self, kind: &str, is_absent: bool) -> bool {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = Arc::make_mut(&mut absent);
        if is_absent { kinds.insert(kind.to_owned()) } else { kinds.remove(kind) }
    }

    /// The objects with the labels of an instance, whatever their creator.
    fn labelled(&self, instance: &Instance) -> Children {
        self.read().get(instance).cloned().unwrap_or_default()
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object; `true` if it changed the cache.
    pub(crate) fn put(&self, kind: &str, object: Arrived) -> bool {
        !self.put_over(kind, object, 0).is_empty()
    }

    /// Replaces an object that is older, or that was put before `began` and differs. Returns the instances for which this is news:
    /// its own, and the one to which other labels assigned it before.
    fn put_over(&self, kind: &str, object: Arrived, began: u64) -> Vec<Instance> {
        let Some((instance, key)) = key(kind, object.meta()) else { return Vec::new() };
        let is_reduced = members::is_reduced(kind, object.meta());
        let object = if is_reduced { object.reduced() } else { object };
        let is_large = object.text().len() > LARGE;
        // A foreign pod resembles no member, so it must not become the reference for compression; nor must a large object.
        let first = if is_reduced || is_large { Arc::default() } else { self.first(kind, &object) };
        let mut held = self.write();
        let object = match held.room(&instance, &key, object.text().len()) {
            Room::Whole => object,
            Room::Identity => object.reduced(),
            Room::None => return Vec::new(),
        };
        let number = object.number();
        let is_behind = |known: &Packed| match (known.number(), number) {
            (Some(version), Some(new)) => new == version || (new < version && known.arrived >= began),
            _ => false,
        };
        let known = held.get(&instance).and_then(|children| children.all.get(&key)).cloned();
        let former = held.instance_of(object.meta()).filter(|assigned| ***assigned != instance).cloned();
        let elsewhere = former.as_ref().and_then(|former| held.get(former)?.all.get(&key));
        if known.iter().chain(elsewhere).any(|known| is_behind(known)) {
            return Vec::new();
        }
        let mut news = Vec::new();
        if let Some(former) = former
            && held.remove_if(&former, &key, |known| known.is(object.meta()))
        {
            news.push((*former).clone());
        }
        let mut packed = object.pack(first, kind);
        packed.arrived = self.clock.fetch_add(1, Ordering::SeqCst);
        // For an object of which only the owner is kept, only a new owner is news.
        if !is_reduced || known.is_none_or(|known| !known.has_same_owner(&packed)) {
            news.push(instance.clone());
        }
        held.insert(instance, key, packed);
        news
    }

    /// The first object of a kind, which the others resemble.
    fn first(&self, kind: &str, object: &Arrived) -> Arc<str> {
        let mut firsts = self.firsts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = firsts.get(kind) {
            return first.clone();
        }
        let first: Arc<str> = object.text().into();
        firsts.insert(kind.to_owned(), first.clone());
        first
    }

    /// Removes an object; `true` if it was cached. A recreated object of the same name stays.
    pub(crate) fn remove(&self, kind: &str, metadata: &ObjectMeta) -> bool {
        let Some((instance, key)) = key(kind, metadata) else { return false };
        self.write().remove_if(&instance, &key, |known| known.is(metadata))
    }

    /// Removes an object that the API server has reported as deleted; `true` if it was cached.
    pub(crate) fn forget(&self, instance: &Instance, kind: &str, name: &str) -> bool {
        self.write().remove_if(instance, &(kind.into(), name.into()), |_| true)
    }
}

fn key(kind: &str, metadata: &ObjectMeta) -> Option<(Instance, Key)> {
    Some((Instance::from_labels(metadata)?, (kind.into(), metadata.name.as_deref()?.into())))
}

#[cfg(test)]
mod tests;

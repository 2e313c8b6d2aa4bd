//! What this process remembers of annotations that it has removed.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// The UIDs of components from which this process has removed the annotation: whether it is ours cannot be seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Released(Mutex<BTreeSet<String>>);

impl Released {
    /// The UIDs of the components on which nothing of ours is left.
    pub(crate) fn all(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that nothing of ours is left there, or that there is again.
    pub(crate) fn set(&self, uid: &str, is_released: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_released {
            all.insert(uid.to_owned());
        } else {
            all.remove(uid);
        }
    }
}

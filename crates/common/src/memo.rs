//! A component's memory of an object between passes, for facts that are too expensive to read in each pass. All of it may be
//! lost, because a new process starts without it.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The memories of one object, one of each type: passes read them with [`World::memo`](crate::world::World::memo), and actions
/// add to them.
#[derive(Default)]
pub struct Memos(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Memos {
    /// The memory of this type, created on first use.
    pub fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memo = all.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default())).clone();
        memo.downcast().unwrap_or_default()
    }
}

impl fmt::Debug for Memos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memos").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_type_is_shared() {
        let memos = Memos::default();
        *memos.get::<Mutex<u32>>().lock().unwrap() += 1;
        memos.get::<Mutex<String>>().lock().unwrap().push('x');
        assert_eq!(*memos.get::<Mutex<u32>>().lock().unwrap(), 1);
    }
}

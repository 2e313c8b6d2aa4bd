//! Limits on the duration of a pass and on the number of slow passes, so that no object blocks the others.
//!
//! Some slots are reserved for quick passes. A pass that turns out to be slow needs a long slot to continue, and one whose last
//! pass was slow needs it from the start. So however many objects are slow, the others have their turn; and a namespace has at
//! most half of the long slots and three quarters of all, so the objects of one namespace do not keep those of another waiting.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::tally::Tally;

/// How many passes may run at the same time.
pub(super) const CONCURRENCY: u16 = 16;
/// How many of them may be slow.
const LONG: usize = 12;
/// How many of the slow ones may belong to one namespace.
const LONG_OF_ONE_NAMESPACE: usize = 6;
/// How many passes of one namespace may run at the same time, so that others always find some free.
const RUNNING_OF_ONE_NAMESPACE: usize = 12;
/// How long a pass may take without being slow.
const QUICK: Duration = Duration::from_secs(15);
/// The deadline of a pass: several times the time that the slowest product needs.
pub(super) const DEADLINE: Duration = Duration::from_secs(600);

/// The passes that run, and the long slots, by namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    running: Count,
    long: Count,
}

/// How many a namespace holds of something.
type Count = Arc<Mutex<Tally>>;

/// A slot, held until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    count: Count,
    namespace: String,
}

/// A pass was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overran {
    /// It exceeded the deadline.
    Deadline,
    /// It was slow, like too many others.
    Crowded,
}

impl Slots {
    /// A long slot, if one is free.
    pub(super) fn take(&self, namespace: &str) -> Option<Slot> {
        take(&self.long, namespace, LONG, LONG_OF_ONE_NAMESPACE)
    }

    /// A slot for a pass, if its namespace does not run too many. A pass that fails before it is slow needs no long slot, and many
    /// of them would leave no room for the passes of others.
    pub(super) fn enter(&self, namespace: &str) -> Option<Slot> {
        take(&self.running, namespace, CONCURRENCY.into(), RUNNING_OF_ONE_NAMESPACE)
    }

    /// Runs a pass within its deadline: in a long slot from the start, or in one that it gets when it turns out to be slow.
    /// Returns whether it was slow.
    pub(super) async fn run<T>(
        &self,
        namespace: &str,
        long: Option<Slot>,
        pass: impl Future<Output = T>,
    ) -> (Result<T, Overran>, bool) {
        let mut pass = pin!(pass);
        let start = Instant::now();
        let quick = timeout(QUICK, &mut pass).await;
        if let Ok(done) = quick {
            return (Ok(done), false);
        }
        let Some(_place) = long.or_else(|| self.take(namespace)) else { return (Err(Overran::Crowded), true) };
        let done = timeout(DEADLINE.saturating_sub(start.elapsed()), pass).await;
        (done.map_err(|_| Overran::Deadline), true)
    }
}

fn take(count: &Count, namespace: &str, most: usize, of_one: usize) -> Option<Slot> {
    let mut held = count.lock().unwrap_or_else(PoisonError::into_inner);
    if held.total() >= most || held.amount(namespace) >= of_one {
        return None;
    }
    held.add(namespace, 1);
    Some(Slot { count: count.clone(), namespace: namespace.to_owned() })
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).subtract(&self.namespace, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_has_at_most_half_of_the_long_places() {
        let slots = Slots::default();
        let held: Vec<_> = (0..20).filter_map(|_| slots.take("a")).collect();
        assert_eq!(held.len(), LONG_OF_ONE_NAMESPACE);
        let others: Vec<_> = ["b", "c", "d"].iter().cycle().take(30).filter_map(|name| slots.take(name)).collect();
        assert_eq!(held.len() + others.len(), LONG);
        assert!(usize::from(CONCURRENCY) > LONG);
        drop(held);
        assert!(slots.take("a").is_some());
    }

    #[test]
    fn passes_of_one_namespace_leave_room_for_others() {
        let slots = Slots::default();
        let held: Vec<_> = (0..100).filter_map(|_| slots.enter("a")).collect();
        assert_eq!(held.len(), RUNNING_OF_ONE_NAMESPACE);
        assert!(usize::from(CONCURRENCY) > RUNNING_OF_ONE_NAMESPACE + 2);
        assert!(slots.enter("b").is_some());
        drop(held);
        assert!(slots.enter("a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn pass_beyond_its_deadline_is_cancelled() {
        let slots = Slots::default();
        let (done, slow) = slots.run("a", None, std::future::pending::<()>()).await;
        assert_eq!((done, slow), (Err(Overran::Deadline), true));
        assert_eq!(slots.take("a").iter().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_pass_without_a_long_place_is_cancelled() {
        let slots = Slots::default();
        let held: Vec<_> = (0..LONG_OF_ONE_NAMESPACE).filter_map(|_| slots.take("a")).collect();
        let start = Instant::now();
        let (done, slow) = slots.run("a", None, std::future::pending::<()>()).await;
        assert_eq!((done, slow), (Err(Overran::Crowded), true));
        assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
        drop(held);
        assert_eq!(slots.run("a", None, async { 1 }).await, (Ok(1), false));
    }
}

//! How long a pass may take, and how many slow ones there may be: one object must not cost the others their turn.
//!
//! Of the places for passes a part is only for passes that are quick. One that is not needs a long place to go on, and one whose
//! last pass was slow needs it from the start. So however many objects are slow, the others have their turn; and a
//! namespace has at most half of the long places, so slow objects of one namespace do not keep those of another waiting.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

/// How many passes may run at the same time.
pub(super) const CONCURRENCY: u16 = 16;
/// How many of them may be slow.
const LONG: usize = 12;
/// How many of these may be of one namespace.
const LONG_OF_ONE_NAMESPACE: usize = 6;
/// How long a pass may take without being slow.
const QUICK: Duration = Duration::from_secs(15);
/// How long a pass may take at all: several times as long as the slowest product needs for what it is asked.
pub(super) const DEADLINE: Duration = Duration::from_secs(600);

/// The long places.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<String, usize>>>);

/// A long place that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    namespace: String,
}

/// A pass was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overran {
    /// It took all the time that there is.
    Deadline,
    /// It was slow, and too many others were.
    Crowded,
}

impl Places {
    /// A long place, if there is one.
    pub(super) fn take(&self, namespace: &str) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = held.values().sum::<usize>() >= LONG;
        if is_full || held.get(namespace).is_some_and(|held| *held >= LONG_OF_ONE_NAMESPACE) {
            return None;
        }
        *held.entry(namespace.to_owned()).or_default() += 1;
        Some(Place { places: self.clone(), namespace: namespace.to_owned() })
    }

    /// Runs a pass within its time: in a long place from the start, or else in one that it gets when it turns out to be slow.
    /// Returns whether it was slow.
    pub(super) async fn run<T>(
        &self,
        namespace: &str,
        long: Option<Place>,
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.namespace) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_has_at_most_half_of_the_long_places() {
        let places = Places::default();
        let held: Vec<_> = (0..20).filter_map(|_| places.take("a")).collect();
        assert_eq!(held.len(), LONG_OF_ONE_NAMESPACE);
        let others: Vec<_> = ["b", "c", "d"].iter().cycle().take(30).filter_map(|name| places.take(name)).collect();
        assert_eq!(held.len() + others.len(), LONG);
        assert!(usize::from(CONCURRENCY) > LONG);
        drop(held);
        assert!(places.take("a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_beyond_its_deadline_is_cancelled() {
        let places = Places::default();
        let (done, slow) = places.run("a", None, std::future::pending::<()>()).await;
        assert_eq!((done, slow), (Err(Overran::Deadline), true));
        assert_eq!(places.take("a").iter().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_pass_without_a_long_place_is_cancelled() {
        let places = Places::default();
        let held: Vec<_> = (0..LONG_OF_ONE_NAMESPACE).filter_map(|_| places.take("a")).collect();
        let start = Instant::now();
        let (done, slow) = places.run("a", None, std::future::pending::<()>()).await;
        assert_eq!((done, slow), (Err(Overran::Crowded), true));
        assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
        drop(held);
        assert_eq!(places.run("a", None, async { 1 }).await, (Ok(1), false));
    }
}

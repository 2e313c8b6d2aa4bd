//! The rate limit: so many requests of a client in an hour, counted by this process alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

/// How often each client has asked.
pub(super) struct Limit {
    most: u64,
    clients: Mutex<HashMap<String, (Instant, u64)>>,
}

/// How a client stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many requests it has in an hour.
    pub(super) most: u64,
    /// How many are left.
    pub(super) left: u64,
    /// When its hour is over.
    pub(super) rest: Duration,
    /// Whether it has asked too often.
    pub(super) is_over: bool,
}

impl Limit {
    pub(super) fn new(most: u64) -> Self {
        Self { most, clients: Mutex::default() }
    }

    /// Counts a request.
    pub(super) fn count(&self, client: &str, now: Instant) -> Standing {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = clients.entry(client.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= HOUR {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        Standing {
            most: self.most,
            left: self.most.saturating_sub(*count),
            rest: HOUR.saturating_sub(now.duration_since(*since)),
            is_over: *count > self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_begins_with_the_first_request() {
        let (limit, start) = (Limit::new(2), Instant::now());
        let is_over = |client: &str, seconds: u64| limit.count(client, start + Duration::from_secs(seconds)).is_over;
        assert_eq!([is_over("a", 0), is_over("a", 10), is_over("a", 20)], [false, false, true]);
        assert!(!is_over("b", 20));
        assert!(is_over("a", 3599) && !is_over("a", 3600));
    }
}

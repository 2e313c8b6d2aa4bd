//! Amounts that all namespaces share, and of which one namespace may have a part only.
//!
//! The products of a namespace decide how large their answers are, and how long they take. So a namespace must never have all of
//! a budget: then a tenant could keep the controller from serving others. The namespace is that of the pass that runs; see
//! [`on_behalf_of`].

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::tally::Tally;

tokio::task_local! {
    static NAMESPACE: Arc<str>;
}

/// Does `work`, whose shares are those of this namespace.
pub(crate) async fn on_behalf_of<T>(namespace: &str, work: impl Future<Output = T>) -> T {
    NAMESPACE.scope(namespace.into(), work).await
}

/// An amount, and how much of it each namespace has.
pub struct Quota {
    all: usize,
    of_one: usize,
    taken: Mutex<Tally>,
    returned: Notify,
}

/// What a namespace has of a quota for one purpose; it is returned on drop.
pub struct Share {
    quota: &'static Quota,
    namespace: Arc<str>,
    amount: usize,
}

impl Quota {
    /// An amount of which one namespace may have a part.
    pub const fn new(all: usize, of_one: usize) -> Self {
        Self { all, of_one, taken: Mutex::new(Tally::new()), returned: Notify::const_new() }
    }

    /// An empty share of the namespace whose pass runs.
    pub fn share(&'static self) -> Share {
        let namespace = NAMESPACE.try_with(Arc::clone).unwrap_or_else(|_| "".into());
        Share { quota: self, namespace, amount: 0 }
    }

    /// An empty share of no namespace, for what all of them use.
    pub(crate) fn common_share(&'static self) -> Share {
        Share { quota: self, namespace: "".into(), amount: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Tally> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// How large it is.
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    /// Makes it at least this large; `false` if there is no room.
    pub fn extend(&mut self, to: usize) -> bool {
        let more = to.saturating_sub(self.amount);
        let mut taken = self.quota.taken();
        let is_free = |has: usize, most: usize| has.checked_add(more).is_some_and(|sum| sum <= most);
        if !is_free(taken.total(), self.quota.all) || !is_free(taken.amount(&self.namespace), self.quota.of_one) {
            return false;
        }
        taken.add(&self.namespace, more);
        self.amount += more;
        true
    }

    /// The same, waiting for room until the deadline.
    pub async fn extend_until(&mut self, to: usize, until: Instant) -> bool {
        loop {
            let mut returned = pin!(self.quota.returned.notified());
            // From here on, a return is noticed.
            returned.as_mut().enable();
            if self.extend(to) {
                return true;
            }
            if timeout_at(until, returned).await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.quota.taken().subtract(&self.namespace, self.amount);
        self.quota.returned.notify_waiters();
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.of_one, self.all)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.amount, self.quota.all)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quota(all: usize, of_one: usize) -> &'static Quota {
        Box::leak(Box::new(Quota::new(all, of_one)))
    }

    #[tokio::test]
    async fn namespace_never_has_all() {
        let quota = quota(10, 7);
        let extended = |to: usize| async move {
            let mut share = quota.share();
            share.extend(to).then_some(share)
        };
        let held = on_behalf_of("a", extended(4)).await.unwrap();
        assert!(on_behalf_of("a", extended(4)).await.is_none());
        let rest = on_behalf_of("a", extended(3)).await.unwrap();
        assert!(on_behalf_of("b", extended(3)).await.is_some());
        assert!(on_behalf_of("b", extended(4)).await.is_none(), "there are only ten");
        drop((held, rest));
        assert!(on_behalf_of("a", extended(7)).await.is_some());
        assert_eq!(quota.taken().total(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn share_waits_for_room_until_its_deadline() {
        let quota = quota(10, 10);
        let mut held = quota.share();
        assert!(held.extend(6) && held.extend(6) && held.amount() == 6);
        let mut late = quota.share();
        let until = Instant::now() + Duration::from_secs(2);
        assert!(!late.extend_until(5, until).await && Instant::now() >= until);
        let until = until + Duration::from_secs(2);
        let returning = async move { drop(held) };
        let (extended, ()) = tokio::join!(late.extend_until(5, until), returning);
        assert!(extended && Instant::now() < until);
    }
}

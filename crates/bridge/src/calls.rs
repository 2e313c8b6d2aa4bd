//! The calls in flight, and waiting for their end.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::watch, time::timeout};

/// How many calls have not ended yet; all clones count the same.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Arc<Open>);

#[derive(Debug)]
struct Open {
    count: watch::Sender<usize>,
    shown: Gauge,
}

/// One call, until it is dropped.
#[derive(Debug)]
pub(crate) struct Call(Calls);

impl Calls {
    pub(crate) fn new(shown: Gauge) -> Self {
        Self(Arc::new(Open { count: watch::Sender::new(0), shown }))
    }

    pub(crate) fn begin(&self) -> Call {
        self.0.count.send_modify(|count| *count += 1);
        self.0.shown.inc();
        Call(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.count.borrow()
    }

    /// Resolves when there has been no call for this time.
    pub(crate) async fn none_for(&self, quiet: Duration) {
        let mut count = self.0.count.subscribe();
        loop {
            // `self` keeps the sender, so this cannot fail.
            let _ = count.wait_for(|count| *count == 0).await;
            // The count alone does not suffice: a call may have begun and ended meanwhile.
            if timeout(quiet, count.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Calls(open) = &self.0;
        open.count.send_modify(|count| *count -= 1);
        open.shown.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::time::{Instant, sleep};

    use super::*;

    const QUIET: Duration = Duration::from_secs(3);

    fn calls() -> Calls {
        Calls::new(Gauge::default())
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_begins_when_the_last_call_ends() {
        let (calls, start) = (calls(), Instant::now());
        let call = calls.begin();
        assert_eq!(calls.count(), 1);
        let ends = async {
            sleep(QUIET * 3).await;
            drop(call);
        };
        tokio::join!(calls.none_for(QUIET), ends);
        assert_eq!(start.elapsed(), QUIET * 4);
    }

    #[tokio::test(start_paused = true)]
    async fn further_call_restarts_the_quiet_period() {
        let (calls, start) = (calls(), Instant::now());
        let mut none = pin!(calls.none_for(QUIET));
        assert!(timeout(QUIET / 2, &mut none).await.is_err());
        drop(calls.begin());
        none.await;
        assert_eq!(start.elapsed(), QUIET / 2 + QUIET);
    }
}

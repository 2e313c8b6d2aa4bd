//! For how long a connection that nobody takes is tried again.

use std::{error::Error, io, pin::Pin, time::Duration};

use http::Uri;
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;

/// Since the first try. A pod that has ended is out of its Service within a second; one that starts takes a few.
const FOR: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Tries to connect again when there is nobody yet, or not any more: nothing was sent, so nothing can happen twice. A name
/// that nobody knows stays one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    since: Option<Instant>,
}

impl<A, E: Error + 'static> Policy<Uri, A, E> for Patience {
    type Future = Pin<Box<Sleep>>;

    fn retry(&mut self, _: &mut Uri, tried: &mut Result<A, E>) -> Option<Self::Future> {
        let kind = kind(tried.as_ref().err()?)?;
        let nobody = [io::ErrorKind::ConnectionRefused, io::ErrorKind::HostUnreachable, io::ErrorKind::TimedOut];
        let since = *self.since.get_or_insert_with(Instant::now);
        (nobody.contains(&kind) && since.elapsed() < FOR).then(|| Box::pin(sleep(PAUSE)))
    }

    fn clone_request(&mut self, to: &Uri) -> Option<Uri> {
        Some(to.clone())
    }
}

/// What the system says about a connection that could not be made.
pub(crate) fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => Some(error.kind()),
        None => kind(error.source()?),
    }
}

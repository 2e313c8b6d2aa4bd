//! How long refused connections are retried.

use std::{error::Error, io, pin::Pin, time::Duration};

use http::Uri;
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;

/// A Service drops a pod that has ended within a second; a pod that starts takes a few seconds.
const FOR: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Retries connections that no server accepts yet or any more: nothing was sent, so nothing can happen twice. A name that
/// cannot be resolved is not retried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    /// The time of the first attempt: hyper clones the connector, and with it this field, for each connection.
    since: Option<Instant>,
}

impl<A, E: Error + 'static> Policy<Uri, A, E> for Patience {
    type Future = Pin<Box<Sleep>>;

    fn retry(&mut self, to: &mut Uri, tried: &mut Result<A, E>) -> Option<Self::Future> {
        let error = tried.as_ref().err()?;
        let nobody = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::TimedOut,
        ];
        let again = nobody.contains(&kind(error)?) && self.since?.elapsed() < FOR;
        tracing::debug!(%to, %error, again, "the connection is not accepted yet");
        again.then(|| Box::pin(sleep(PAUSE)))
    }

    fn clone_request(&mut self, to: &Uri) -> Option<Uri> {
        self.since.get_or_insert_with(Instant::now);
        Some(to.clone())
    }
}

/// The operating system's error for a failed connection.
pub(crate) fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => Some(error.kind()),
        None => kind(error.source()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether to retry, this long after the first attempt.
    async fn is_tried_again(after: Duration, kind: io::ErrorKind) -> bool {
        let (mut patience, mut to) = (Patience::default(), Uri::from_static("http://ipfs:5001"));
        let _: Option<Uri> = Policy::<Uri, (), io::Error>::clone_request(&mut patience, &to);
        sleep(after).await;
        patience.retry(&mut to, &mut Err::<(), _>(io::Error::from(kind))).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn only_refused_connections_are_retried_for_a_while() {
        let soon = Duration::from_secs(9);
        assert!(is_tried_again(soon, io::ErrorKind::ConnectionRefused).await);
        assert!(is_tried_again(soon, io::ErrorKind::HostUnreachable).await);
        assert!(is_tried_again(soon, io::ErrorKind::TimedOut).await);
        assert!(!is_tried_again(soon, io::ErrorKind::PermissionDenied).await);
        assert!(!is_tried_again(FOR, io::ErrorKind::ConnectionRefused).await);
    }
}

//! SIGTERM and SIGINT.

use tokio::signal::unix::{SignalKind, signal};

use crate::stop::Stop;

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn terminated() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Runs what handles no signal: it is cut off.
pub(crate) async fn unless_terminated<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    tokio::select! {
        ended = work => ended,
        () = terminated() => Err(Stop::signalled()),
    }
}

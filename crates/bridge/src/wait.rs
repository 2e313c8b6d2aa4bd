//! `bridge wait`: waits until all dependencies of a program answer.
//!
//! Temporal ends at once if a dependency does not answer, and Kubernetes restarts it with growing backoff. A waiting init
//! container takes no longer than the dependency.

use std::time::Duration;

use temporal_stack_common::process::{self, log, signals};
use tokio::time::{Instant, sleep};

use crate::target::Target;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the awaited target is logged.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// The targets to wait for.
#[derive(Clone, Debug, clap::Args)]
pub struct Targets {
    /// `postgresql://host:port`, `amqp://…` and `h2c://…` must answer the greeting of their protocol, `options+http://…` and
    /// `options+https://…` any request; `http://…` must answer a GET, and `post+http://…` a POST, with a status below 400.
    /// `tcp://host:port` must accept connections, which in a mesh every address does.
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<Target>,
}

/// Waits until all answer, or until a signal.
///
/// # Errors
///
/// The log or the signal handlers cannot be set up.
pub async fn wait(targets: Targets) -> Result<(), process::Error> {
    log::init("info", log::Format::default())?;
    let mut signals = signals().map_err(process::Error::Signals)?;
    let all = async {
        for target in &targets.targets {
            until(target).await;
        }
        tracing::info!("all targets answer");
    };
    tokio::select! {
        () = all => {}
        _ = signals.recv() => tracing::info!("stopped by a signal"),
    }
    Ok(())
}

async fn until(target: &Target) {
    let mut said = None;
    while let Err(failure) = target.attempt().await {
        if said.is_none_or(|at: Instant| at.elapsed() > SAID_EVERY) {
            tracing::info!("waiting for {target}: {failure}");
            said = Some(Instant::now());
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn wait_ends_when_the_target_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let target = Target::Connects(address.to_string());
        assert!(target.attempt().await.is_err());
        let waiting = tokio::spawn(async move { until(&target).await });
        let _listener = TcpListener::bind(address).await.unwrap();
        waiting.await.unwrap();
    }
}

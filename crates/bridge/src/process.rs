//! The life of the bridge's process.
//!
//! ```text
//!   log, ports ── serves ── SIGTERM ── serves on until no call was in flight for a while ── ends
//!                                   └─ after the drain timeout, or at a second signal: cut off ── error
//! ```

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, time::Duration};

use futures::future::select_all;
use temporal_stack_common::{
    message::counted,
    process::{self, listen_each, log, signals},
};
use tokio::{net::TcpListener, time::timeout};

use crate::{Bridge, Options, Product, admin, serve::serve};

/// Why the bridge could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be set up.
    #[error(transparent)]
    Log(process::Error),
    /// The kernel refused a signal handler.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// A port is in use or forbidden.
    #[error("cannot listen on --{option} {address}")]
    Listen {
        /// The option with the address.
        option: &'static str,
        /// Its value.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Calls did not end in time.
    #[error(
        "{} cut off {limit:?} after the termination signal; raise --drain-timeout if calls may take longer",
        counted(*.calls, "call")
    )]
    Drain {
        /// Their number.
        calls: usize,
        /// The timeout.
        limit: Duration,
    },
    /// A second signal came before the calls had ended.
    #[error("stopped immediately by a second signal")]
    Aborted,
}

/// Runs a bridge of this version of the program until a signal ends it.
///
/// # Errors
///
/// See the variants of [`Error`]. An end after a signal that cuts off no call is not an error.
pub async fn run(version: &'static str, options: Options) -> Result<(), Error> {
    log::init(&options.log_level, options.log_format).map_err(Error::Log)?;
    let mut signals = signals().map_err(Error::Signals)?;
    let bridge = Bridge::new(options.kubo.clone(), options.cluster.clone());
    let kubo = listen("listen-kubo", &options.listen_kubo)?;
    let cluster = listen("listen-cluster", &options.listen_cluster)?;
    let admin = listen("admin-addr", &[options.admin_addr])?;
    tracing::info!(
        version,
        kubo = %options.kubo,
        cluster = %options.cluster,
        listen_kubo = addresses(&kubo),
        listen_cluster = addresses(&cluster),
        admin = addresses(&admin),
        "serving"
    );

    let serving = async {
        let kubo = serve_all(&bridge, Product::Kubo, kubo);
        let cluster = serve_all(&bridge, Product::Cluster, cluster);
        let admin = select_all(admin.into_iter().map(|listener| Box::pin(admin::serve(bridge.clone(), listener))));
        tokio::select! {
            never = kubo => never,
            never = cluster => never,
            (never, ..) = admin => never,
        }
    };
    let ending = async {
        signals.recv().await;
        tracing::info!(in_flight = bridge.calls.count(), "shutting down: waiting for the calls in flight");
        tokio::select! {
            quiet = timeout(options.drain_timeout, bridge.calls.none_for(options.quiet)) => {
                let calls = bridge.calls.count();
                quiet.map_err(|_| Error::Drain { calls, limit: options.drain_timeout })
            }
            _ = signals.recv() => Err(Error::Aborted),
        }
    };
    tokio::select! {
        ended = pin!(ending) => ended,
        never = pin!(serving) => match never {},
    }
}

fn listen(option: &'static str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    listen_each(addresses).map_err(|(address, source)| Error::Listen { option, address, source })
}

async fn serve_all(bridge: &Bridge, product: Product, listeners: Vec<TcpListener>) -> Infallible {
    let serving = listeners.into_iter().map(|listener| Box::pin(serve(bridge.clone(), product, listener)));
    let (never, ..) = select_all(serving).await;
    never
}

fn addresses(listeners: &[TcpListener]) -> String {
    let addresses = listeners.iter().filter_map(|listener| Some(listener.local_addr().ok()?.to_string()));
    addresses.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_call_that_is_cut_off_is_singular() {
        let error = |calls| Error::Drain { calls, limit: Duration::from_secs(1) }.to_string();
        assert!(error(1).starts_with("1 call cut off 1s after"), "{}", error(1));
        assert!(error(2).starts_with("2 calls cut off"), "{}", error(2));
    }
}

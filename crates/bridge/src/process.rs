//! The life of the bridge's process.
//!
//! ```text
//!   log, ports ── serves ── SIGTERM ── serves on until no call was in flight for a while ── ends
//!                                   └─ after the drain timeout, or at a second signal: cut off ── error
//! ```

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, time::Duration};

use futures::future::select_all;
use temporal_stack_common::process::{self, listen_each, log, signals};
use tokio::{net::TcpListener, time::timeout};

use crate::{Bridge, Options, Product, admin, serve::serve};

/// Why the bridge could not begin, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no log.
    #[error(transparent)]
    Log(process::Error),
    /// The kernel refused a signal handler.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// A port is taken or not ours.
    #[error("cannot listen on --{option} {address}")]
    Listen {
        /// Which option says so.
        option: &'static str,
        /// What was given.
        address: SocketAddr,
        /// Why it cannot be had.
        #[source]
        source: io::Error,
    },
    /// The admin port does not work any more.
    #[error("the admin port is lost")]
    Admin(#[source] io::Error),
    /// Calls did not end in time.
    #[error("{calls} calls were cut off {limit:?} after the signal to end: raise --drain-timeout if that is normal")]
    Drain {
        /// How many.
        calls: usize,
        /// The timeout.
        limit: Duration,
    },
    /// A second signal came before the calls had ended.
    #[error("ended at once by a second signal")]
    Aborted,
}

/// Runs a bridge, whose program is of that `version`, until it is told to end.
///
/// # Errors
///
/// Each variant of [`Error`] says when; an end that a signal asked for and that cut off nothing is none.
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
            never = kubo => match never {},
            never = cluster => match never {},
            (lost, ..) = admin => lost.map_err(Error::Admin),
        }
    };
    let ending = async {
        signals.recv().await;
        tracing::info!(in_flight = bridge.calls.count(), "ending: waiting for the calls in flight");
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
        lost = pin!(serving) => lost,
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

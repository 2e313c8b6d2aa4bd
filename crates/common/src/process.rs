//! The life of a controller's process, from its arguments to its end.
//!
//! ```text
//!  run(name, version, args, controller)
//!   │ log, signals, client (counted), /livez /readyz /metrics
//!   ▼
//!  controller(process) ── warms its caches ── ready.set() ── leadership().await ── passes ── shutdown() ── drains ── returns
//!                                                  │               ▲                             ▲                     │
//!                                                  └─ Lease is asked for ── held, renewed        │ SIGTERM, SIGINT     └─ Lease is released
//! ```
//!
//! # Contract
//!
//! The controller begins to watch at once, standby or not; calls [`Ready::set`] when its caches are warm; changes nothing
//! before `Process::leadership` has resolved to `Leadership::Held`; starts no pass after [`Process::shutdown`] has
//! resolved, and returns when those that run have ended. All its work is inside its future, or awaited by it: what it
//! spawns and forgets is not waited for.
//!
//! # Guarantees
//!
//! * The Lease is claimed when the caches are warm, held until the controller has returned, and only then released, so that a
//!   standby takes over at once, and no other instance is working.
//! * A lost Lease drops the controller's future at once, without a drain, and `run` returns an error.
//! * A drain that takes longer than `--drain-timeout` is cut off; the Lease is then left to expire, because requests that were
//!   cut off may still take effect.
//! * A second signal ends `run` at once, with an error, the Lease left to expire.
//! * Nothing here ends the process: `main` returns what `run` returns.
//!
//! # Caveats
//!
//! A future that blocks its thread delays signals and the drain; after a minute `/livez` fails. The renewal of the Lease is a
//! task of its own and goes on.

use kube::Client;
use tower::BoxError;

pub(crate) use self::phase::Leadership;
pub use self::{
    admin::Ready,
    args::{Args, LeaseMode, Scope},
    client::{Requests, install_crypto},
    listen::{listen, listen_each},
    main::{Executable, block_on, command, controller, main},
    metrics::Metrics,
    phase::Control,
    scrape::Scrape,
    serve::serve,
    supervise::signals,
};
use self::{
    admin::{Admin, Pulse},
    lease::Lease,
    phase::Phases,
    supervise::Supervisor,
};

mod admin;
mod args;
pub mod client;
pub mod lease;
mod listen;
pub mod log;
mod main;
mod metrics;
mod phase;
mod scrape;
mod serve;
mod supervise;

/// Why a process could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--log-level` does not parse.
    #[error("--log-level `{filter}` is not a filter; write for example `info` or `info,kube=debug`")]
    LogFilter {
        /// The value that was given.
        filter: String,
        /// The error in it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another logger is installed already.
    #[error("cannot install the logger")]
    LogInstall(#[source] tracing_subscriber::util::TryInitError),
    /// The kernel refused a signal handler.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// Neither a kubeconfig nor a service account is usable.
    #[error("cannot find a cluster: set KUBECONFIG and --context, or run in a pod with a service account")]
    Config(#[source] BoxError),
    /// The kubeconfig's credentials or certificates are not usable.
    #[error("cannot make a Kubernetes client")]
    Client(#[source] kube::Error),
    /// The address of the admin port is in use or not available.
    #[error("cannot listen on --admin-addr {address}")]
    Admin {
        /// The value that was given.
        address: std::net::SocketAddr,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// Another process leads, or might.
    #[error("the lease is lost")]
    LeaseLost(#[source] lease::Lost),
    /// The controller failed.
    #[error("the controller failed")]
    Controller(#[source] BoxError),
    /// Passes did not end in time.
    #[error(
        "passes were cancelled {0:?} after the termination signal, and the lease was left to expire; raise --drain-timeout if passes may take longer"
    )]
    Drain(std::time::Duration),
    /// A second signal came before the passes had ended.
    #[error("stopped immediately by a second signal")]
    Aborted,
}

/// The context of a controller; all clones are the same process.
#[derive(Clone)]
pub struct Process {
    /// The controller's name: its field manager, event reporter and Lease.
    pub name: &'static str,
    /// The client whose requests are counted.
    pub client: Client,
    /// Which namespaces to serve.
    pub scope: Scope,
    /// The requests that `client` has sent.
    pub requests: Requests,
    /// The registry for more metrics.
    pub metrics: Metrics,
    /// The handle that reports that the caches are warm.
    pub ready: Ready,
    phases: Phases,
}

impl Process {
    /// A process on standby, and the handle that makes it lead and end.
    pub fn new(name: &'static str, client: Client, scope: Scope, requests: Requests) -> (Self, Control) {
        let (control, phases) = Control::new();
        let metrics = Metrics::new();
        metrics.register(|registry| requests.register(registry));
        let process = Self { name, client, scope, requests, metrics, ready: Ready::new(), phases };
        (process, control)
    }

    /// Resolves when this process leads, or must end without having led.
    pub(crate) fn leadership(&self) -> impl Future<Output = Leadership> + Send + use<> {
        self.phases.clone().leadership()
    }

    /// Resolves when the work must end: no further pass starts, and running passes complete.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<> {
        self.phases.clone().shutdown()
    }
}

/// Runs the controller `name`, whose program is of that `version`, until it returns, receives a signal, or loses its Lease.
///
/// # Errors
///
/// See the variants of [`Error`]; an end by a signal within the drain timeout is no error.
pub async fn run<F, E>(
    name: &'static str,
    version: &'static str,
    args: Args,
    controller: impl FnOnce(Process) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    log::init(&args.log_level, args.log_format)?;
    let signals = supervise::signals().map_err(Error::Signals)?;
    let requests = Requests::default();
    let config = client::config(args.context.as_deref()).await?;
    let client = client::builder(config, &requests).map_err(Error::Client)?.build();
    let (process, control) = Process::new(name, client, args.scope(), requests);

    let pulse = Pulse::new();
    let admin = Admin { pulse: pulse.clone(), ready: process.ready.clone(), metrics: process.metrics.clone() };
    admin.spawn(args.admin_addr)?;

    let supervisor = Supervisor {
        control,
        ready: process.ready.clone(),
        lease: lease(&process, &args),
        signals,
        drain_timeout: args.drain_timeout,
    };
    tracing::info!(name, version, scope = ?process.scope, "starting");
    // Boxed, because the future of a controller is large.
    let controller = Box::pin(controller(process));
    let controller = async { controller.await.map_err(Into::into) };
    tokio::select! {
        ended = supervisor.supervise(controller) => ended,
        never = pulse.beat() => match never {},
    }
}

fn lease(process: &Process, args: &Args) -> Option<Lease> {
    let namespace = args.lease_namespace.as_deref().unwrap_or_else(|| process.client.default_namespace());
    match args.lease {
        LeaseMode::On => Some(Lease::new(process.client.clone(), namespace, process.name)),
        LeaseMode::Off => None,
    }
}

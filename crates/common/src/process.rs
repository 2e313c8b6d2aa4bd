//! The life of a controller's process, from its arguments to its end.
//!
//! ```text
//!  run(name, version, args, controller)
//!   │ log, signals, client (counted), /live /ready /metrics
//!   ▼
//!  controller(process) ── warms its caches ── ready.set() ── leadership().await ── passes ── shutdown() ── drains ── returns
//!                                                  │               ▲                             ▲                     │
//!                                                  └─ Lease is asked for ── held, renewed        │ SIGTERM, SIGINT     └─ Lease is released
//! ```
//!
//! # Contract
//!
//! The controller begins to watch at once, standby or not; says [`Ready::set`] when its caches are warm; changes nothing
//! before [`Process::leadership`] has resolved to [`Leadership::Held`]; starts no pass after [`Process::shutdown`] has
//! resolved, and returns when those that run have ended. All its work is inside its future, or awaited by it: what it
//! spawns and forgets is not waited for.
//!
//! # Guarantees
//!
//! * The Lease is asked for when the caches are warm, held until the controller has returned, and only then released, so
//!   that a standby takes over at once and finds nobody at work.
//! * A lost Lease drops the controller's future at once, without a drain, and `run` returns an error.
//! * A drain that takes longer than `--drain-timeout` is cut off; the Lease is then left to expire, since what was cut off
//!   may still be on its way.
//! * A second signal ends `run` at once, with an error, the Lease left to expire.
//! * Nothing here ends the process: `main` returns what `run` returns.
//!
//! # Caveats
//!
//! A future that blocks its thread delays signals and the drain; after a minute of it `/live` fails. The renewal of the Lease is a
//! task of its own and goes on.

use kube::Client;
use tower::BoxError;

pub use self::{
    admin::Ready,
    args::{Args, LeaseMode, Scope},
    client::{Requests, install_crypto},
    listen::{listen, listen_each},
    metrics::Metrics,
    phase::{Control, Leadership},
    scrape::Scrape,
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
mod metrics;
mod phase;
mod scrape;
mod supervise;

/// Why a process could not begin, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--log-level` does not parse.
    #[error("--log-level `{filter}` is no filter: write for example `info` or `info,kube=debug`")]
    LogFilter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else installed a logger.
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
    /// The admin port is taken or not ours.
    #[error("cannot listen on --admin-addr {address}")]
    Admin {
        /// What was given.
        address: std::net::SocketAddr,
        /// Why it cannot be had.
        #[source]
        source: std::io::Error,
    },
    /// Another process leads, or might.
    #[error("the lease is lost")]
    LeaseLost(#[source] lease::Lost),
    /// The controller gave up.
    #[error("the controller failed")]
    Controller(#[source] BoxError),
    /// Passes did not end in time.
    #[error(
        "passes were cut off {0:?} after the signal to end: the lease is left to expire; raise --drain-timeout if that is normal"
    )]
    Drain(std::time::Duration),
    /// A second signal came before the passes had ended.
    #[error("ended at once by a second signal")]
    Aborted,
}

/// What a controller is given to work with; all clones are the same process.
#[derive(Clone)]
pub struct Process {
    /// The controller's name: its field manager, event reporter and Lease.
    pub name: &'static str,
    /// The client whose requests are counted.
    pub client: Client,
    /// Which namespaces to serve.
    pub scope: Scope,
    /// What `client` has sent.
    pub requests: Requests,
    /// Where to register more metrics.
    pub metrics: Metrics,
    /// Where to say that the caches are warm.
    pub ready: Ready,
    phases: Phases,
}

impl Process {
    /// A process on standby, and the handle that lets it lead and end.
    pub fn new(name: &'static str, client: Client, scope: Scope, requests: Requests) -> (Self, Control) {
        let (control, phases) = Control::new();
        let metrics = Metrics::new();
        metrics.register(|registry| requests.register(registry));
        let process = Self { name, client, scope, requests, metrics, ready: Ready::new(), phases };
        (process, control)
    }

    /// Resolves when this process leads, or is to end without having led.
    pub fn leadership(&self) -> impl Future<Output = Leadership> + Send + use<> {
        self.phases.clone().leadership()
    }

    /// Resolves when the work is to end: no pass starts any more, those that run go on to their end.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<> {
        self.phases.clone().shutdown()
    }
}

/// Runs the controller `name`, whose program is of that `version`, until it returns, is told to end, or loses its Lease.
///
/// # Errors
///
/// Each variant of [`Error`] says when; an end that a signal asked for and that stayed within the drain timeout is none.
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
    // Boxed, because everything that a controller does is in it.
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

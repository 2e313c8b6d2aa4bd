//! The Kubernetes client of a process: counted, bounded in time, and open to one more layer.
//!
//! # Guarantees
//!
//! * Every request that is sent is counted once, before it is sent, in the [`Requests`] given.
//! * An answer that does not begin within 30 s is an error, and so is a connection on which nothing arrives for 300 s. This suits
//!   watches: their answer begins at once, and they ask the server to end them after 290 s.
//! * No answer has a value below level 100, so one object of a tenant cannot fail a list: see [`bounded`].
//! * A request is sent once. kube would repeat it up to 15 times on 429, 503 and 504, for minutes, uncounted and invisible to the
//!   caller; the driver and the Lease have their own backoff.
//!
//! # One more layer
//!
//! [`builder`] gives kube's own builder, so that a test can put a layer before all others, for example one that fails
//! on the n-th write:
//!
//! ```no_run
//! # use temporal_stack_common::process::client::{self, Requests};
//! # fn example(config: kube::Config) -> Result<kube::Client, kube::Error> {
//! let layer = tower::layer::layer_fn(|inner| inner);
//! Ok(client::builder(config, &Requests::default())?.with_layer(&layer).build())
//! # }
//! ```

use std::time::Duration;

use http::{Request, Response};
use kube::{
    Config,
    client::{Body, ClientBuilder, DynBody},
    config::KubeConfigOptions,
};
use tower::{
    BoxError, ServiceBuilder,
    timeout::TimeoutLayer,
    util::{BoxService, MapResponseLayer},
};

use super::Error;

pub(crate) use self::depth::bounded;
pub use self::{
    call::{Call, Verb},
    counts::Counts,
    requests::Requests,
};

mod call;
mod counts;
mod depth;
mod requests;

/// The service of a client.
pub type Stack = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the longest watch, which the server ends.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(300);

/// Makes *ring* the process's TLS provider; `main` calls it first.
pub fn install_crypto() {
    // An error means that a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Finds the cluster: `context` of the kubeconfig, or without one what [`Config::infer`] finds.
///
/// # Errors
///
/// The kubeconfig cannot be read or lacks the context; without a kubeconfig, this is not a pod either.
pub async fn config(context: Option<&str>) -> Result<Config, Error> {
    match context {
        None => Config::infer().await.map_err(|error| Error::Config(error.into())),
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.map_err(|error| Error::Config(error.into()))
        }
    }
}

/// A builder of the client for `config`, whose requests are counted in `requests`.
///
/// # Errors
///
/// The credentials or certificates of `config` cannot be used.
pub fn builder(mut config: Config, requests: &Requests) -> Result<ClientBuilder<Stack>, kube::Error> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE_TIMEOUT);
    // The silence of a pooled connection between two requests does not count.
    config.reset_reader_on_write = true;
    config.default_retry = false;

    let layers = ServiceBuilder::new()
        .layer(BoxService::layer())
        .layer(requests.layer())
        .layer(MapResponseLayer::new(bounded))
        .layer(TimeoutLayer::new(ANSWER_TIMEOUT));
    Ok(ClientBuilder::try_from(config)?.with_layer(&layers))
}

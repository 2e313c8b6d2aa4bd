//! The upstreams of calls.
//!
//! # Connections
//!
//! Recently used connections are reused, so that a thousand consecutive calls need not resolve a name and connect a thousand
//! times. Every sixteenth call ends its connection, because without a mesh the pod behind a Service is chosen once for each
//! connection: a client that is never idle would otherwise stay with one pod, and a new pod would get none of its calls. A
//! connection that was idle for five seconds is closed, so that none remains to a deleted pod. If a connection turns out to have
//! ended before the call was sent, another one is used; a call that may have been carried out is repeated only if it changes nothing.
//!
//! A refused connection is retried for a while (`patience`): a Service lists a terminating pod a little longer than the pod
//! accepts connections, and Temporal aborts an upload at the first refusal.
//!
//! Answers have no time limit: Temporal itself gives up after an hour.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    Method, Request, StatusCode, Uri,
    header::{EXPECT, HOST},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{
        Client, Error,
        connect::{Connect, Connected, HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use temporal_stack_common::failure::deepest;
use tokio::time::{Instant, timeout};
use tower::{BoxError, retry::Retry};

use crate::{
    answer::{Answer, Body, full},
    failure::Failure,
    header::keep_end_to_end,
    patience::{Patience, kind},
    product::Product,
};

const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(5);
/// How many calls a connection carries on average before another one takes its place.
pub(crate) const CALLS: u64 = 16;
/// When keepalive probes start on a silent connection: a machine that lost its power does not close its connections.
const SILENCE: Duration = Duration::from_secs(30);
/// How much of an answer is read ahead of its client.
const BUFFER: usize = 32 * 1024;
/// For how long an answer proves that the upstream works.
const LATELY: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// One of the two programs, and the connections to it; all clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) product: Product,
    authority: Authority,
    client: Client<Retry<Patience, HttpConnector>, Body>,
    /// For readiness checks: with a separate connection, and without retries.
    impatient: Client<HttpConnector, Body>,
    answered: Arc<Mutex<Option<Instant>>>,
    /// How many calls were answered.
    calls: Arc<AtomicU64>,
}

impl Upstream {
    pub(crate) fn new(product: Product, authority: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECTS_WITHIN));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(SILENCE / 3));
        connector.set_keepalive_retries(Some(3));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).http1_max_buf_size(BUFFER);
        let client = builder.build(Retry::new(Patience::default(), connector.clone()));
        let impatient = builder.pool_max_idle_per_host(0).build(connector);
        Self { product, authority, client, impatient, answered: Arc::default(), calls: Arc::default() }
    }

    /// Passes a call on unchanged, except for the headers of the client's connection.
    ///
    /// # Errors
    ///
    /// No answer arrived.
    pub(crate) async fn pass(&self, request: Request<Body>) -> Result<Answer, Failure> {
        let changes_nothing = request.method().is_safe() && request.body().is_end_stream();
        if changes_nothing { self.ask(request.map(drop)).await } else { self.send(request).await }
    }

    /// Sends a call, and never twice.
    ///
    /// # Errors
    ///
    /// No answer arrived.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Answer, Failure> {
        self.send_by(&self.client, request).await
    }

    async fn send_by<C>(&self, client: &Client<C, Body>, mut request: Request<Body>) -> Result<Answer, Failure>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        *request.uri_mut() = self.address(request.uri().path_and_query());
        keep_end_to_end(request.headers_mut());
        // `Host` is set again, and the bridge itself answers `Expect`, when it begins to read the body.
        request.headers_mut().remove(HOST);
        request.headers_mut().remove(EXPECT);
        let used = capture_connection(&mut request);
        let mut answer = client.request(request).await.map_err(|error| self.failure(&error))?;
        if self.calls.fetch_add(1, Ordering::Relaxed) % CALLS == CALLS - 1 {
            // It is closed after this answer.
            used.connection_metadata().iter().for_each(Connected::poison);
        }
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        keep_end_to_end(answer.headers_mut());
        Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }

    /// Sends a call that changes nothing and has no body; once more if the connection ended before an answer, as after a long
    /// idle time.
    ///
    /// # Errors
    ///
    /// No answer arrived.
    pub(crate) async fn ask(&self, request: Request<()>) -> Result<Answer, Failure> {
        let empty = |()| full(Bytes::new());
        match self.send(request.clone().map(empty)).await {
            Err(Failure::Unanswered { .. }) => self.send(request.map(empty)).await,
            answer => answer,
        }
    }

    /// Whether it answers: it did recently, or does now.
    ///
    /// # Errors
    ///
    /// It does not; the failure.
    pub(crate) async fn answers(&self) -> Result<(), String> {
        let last = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < LATELY) {
            return Ok(());
        }
        match timeout(ANSWERS_WITHIN, self.send_by(&self.impatient, self.question())).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("{} at {} answers {}", self.product.name(), self.authority, answer.status())),
            Ok(Err(failure)) => Err(failure.to_string()),
            Err(_) => {
                let seconds = ANSWERS_WITHIN.as_secs();
                Err(format!("{} at {} does not answer within {seconds} s", self.product.name(), self.authority))
            }
        }
    }

    fn question(&self) -> Request<Body> {
        let mut question = Request::new(full(Bytes::new()));
        let path = match self.product {
            Product::Kubo => {
                *question.method_mut() = Method::POST;
                "/api/v0/id"
            }
            Product::Cluster => "/health",
        };
        *question.uri_mut() = Uri::from_static(path);
        question
    }

    fn address(&self, path: Option<&PathAndQuery>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
        // It has all its parts.
        Uri::from_parts(parts).unwrap_or_default()
    }

    fn failure(&self, error: &Error) -> Failure {
        let (product, address) = (self.product, self.authority.to_string());
        let cause = deepest(error);
        if !error.is_connect() {
            return Failure::Unanswered { product, address, cause };
        }
        if kind(error) == Some(io::ErrorKind::TimedOut) {
            return Failure::Slow { product, address, seconds: CONNECTS_WITHIN.as_secs() };
        }
        Failure::Unreachable { product, address, cause }
    }
}

/// Whether an answer has a body to translate.
pub(crate) fn is_ok(answer: &Answer) -> bool {
    answer.status() == StatusCode::OK
}

//! The port for the kubelet and Prometheus.
//!
//! * `/livez` is 200 unless the process's main loop has been stuck for a minute: then a restart is needed.
//! * `/readyz` is 200 once the controller has called [`Ready::set`]: its caches are warm. A standby is as ready as a leader.
//! * `/metrics` is what [`Metrics`] holds, as `OpenMetrics` text.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{Error, listen::listen, metrics::Metrics, serve::serve};

const BEAT: Duration = Duration::from_secs(5);
const STUCK: Duration = Duration::from_secs(60);

/// Whether the controller's caches are warm; a handle, so all clones are one answer.
#[derive(Clone, Debug)]
pub struct Ready(watch::Sender<bool>);

impl Ready {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Reports that they are, for the rest of the process.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether they are.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when they are.
    pub async fn wait(&self) {
        // `self` keeps the sender, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|ready| *ready).await;
    }
}

/// When the main loop last had its turn.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Beats forever; polled beside the work in the same task, so that it stops when the work blocks.
    pub(super) async fn beat(&self) -> Infallible {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    fn is_alive(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() < STUCK
    }
}

/// The state behind the admin port.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) pulse: Pulse,
    pub(super) ready: Ready,
    pub(super) metrics: Metrics,
}

impl Admin {
    /// Binds `address`, then serves until the process ends.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub(super) fn spawn(self, address: SocketAddr) -> Result<SocketAddr, Error> {
        let failed = |source| Error::Admin { address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, "serving /livez, /readyz and /metrics");
        tokio::spawn(serve(self.router(), listener));
        Ok(address)
    }

    fn router(self) -> Router {
        Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn live(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.pulse.is_alive() {
        (StatusCode::OK, "live\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the main loop is stuck\n")
    }
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.ready.is_set() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not warm yet\n")
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    admin.metrics.answer()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, header::CONTENT_TYPE},
    };
    use tower::ServiceExt as _;

    use super::*;
    use crate::process::metrics::MEDIA_TYPE;

    fn admin() -> Admin {
        Admin { pulse: Pulse::new(), ready: Ready::new(), metrics: Metrics::new() }
    }

    async fn status(admin: &Admin, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = admin.clone().router().oneshot(request).await.unwrap();
        answer.status().as_u16()
    }

    #[tokio::test]
    async fn readyz_follows_the_controller() {
        let admin = admin();
        assert_eq!(status(&admin, "/readyz").await, 503);
        admin.ready.set();
        assert_eq!(status(&admin, "/readyz").await, 200);
        admin.ready.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn livez_fails_when_the_main_loop_is_stuck() {
        let admin = admin();
        let pulse = admin.pulse.clone();
        let beating = tokio::spawn(async move { pulse.beat().await });
        tokio::time::sleep(STUCK * 3).await;
        assert_eq!(status(&admin, "/livez").await, 200);
        beating.abort();
        tokio::time::sleep(STUCK).await;
        assert_eq!(status(&admin, "/livez").await, 503);
    }

    #[tokio::test]
    async fn default_address_answers_over_both_families() {
        use clap::Parser as _;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        #[derive(clap::Parser)]
        struct Controller {
            #[command(flatten)]
            process: crate::process::Args,
        }

        let mut address = Controller::parse_from(["controller"]).process.admin_addr;
        address.set_port(0);
        let port = admin().spawn(address).unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let mut stream = tokio::net::TcpStream::connect((host, port)).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
        }
    }

    #[tokio::test]
    async fn metrics_are_open_metrics() {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = admin().router().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], MEDIA_TYPE);
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert!(body.ends_with(b"# EOF\n"));
    }
}

//! `bridge probe`: answers the kubelet for a program that it cannot ask itself.
//!
//! ```text
//!   kubelet ──▶ [::]:9081/answers ──▶ localhost: the program in the same pod, in its own protocol
//! ```
//!
//! The kubelet's probes know HTTP/1 and bare connections. The key server speaks gRPC without health checks and has no shell in its
//! image; the API may limit requests, which probes would use up, or have TLS, which a mesh cannot look into and so refuses. Behind a
//! proxy, a bare connection always succeeds. As a sidecar, this program asks over the loopback, where no proxy is.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::select_all;
use temporal_stack_common::process::{listen_each, log, serve, signals};
use tokio::{sync::Mutex, time::Instant};

use crate::{process::Error, target::Target};

/// How long an outcome is repeated: anybody who reaches the port may ask.
const REPEATED: Duration = Duration::from_millis(500);

/// The program, and where its probes are answered.
#[derive(Clone, Debug, clap::Args)]
pub struct Probed {
    /// The program, such as `h2c://localhost:10000`; the forms are those of `bridge wait`.
    #[arg(value_name = "TARGET")]
    target: Target,
    /// Where to answer: `/answers` is 200 if the program answers, `/livez` as long as this one runs.
    #[arg(long, env = "BRIDGE_PROBE_ADDR", value_name = "ADDRESS", default_value = "[::]:9081")]
    probe_addr: SocketAddr,
}

/// Answers until a signal.
///
/// # Errors
///
/// The log or the signal handlers cannot be set up, or the port cannot be used.
pub async fn probe(options: Probed) -> Result<(), Error> {
    log::init("info", log::Format::default()).map_err(Error::Log)?;
    let mut signals = signals().map_err(Error::Signals)?;
    let listeners = listen_each(&[options.probe_addr]).map_err(|(address, source)| Error::Listen {
        option: "probe-addr",
        address,
        source,
    })?;
    tracing::info!(target = %options.target, address = %options.probe_addr, "answering probes");
    let router = router(options.target);
    let serving = listeners.into_iter().map(|listener| Box::pin(serve(router.clone(), listener)));
    tokio::select! {
        (never, ..) = select_all(serving) => match never {},
        _ = signals.recv() => Ok(()),
    }
}

/// The latest outcome.
#[derive(Debug)]
struct Program {
    target: Target,
    latest: Mutex<Option<(Instant, Result<(), String>)>>,
}

fn router(target: Target) -> Router {
    let program = Arc::new(Program { target, latest: Mutex::default() });
    Router::new().route("/livez", get(async || "alive\n")).route("/answers", get(answers)).with_state(program)
}

async fn answers(State(program): State<Arc<Program>>) -> Response {
    // Held during the attempt: those who ask meanwhile get its outcome.
    let mut latest = program.latest.lock().await;
    let outcome = if let Some(latest) = latest.take().filter(|(at, _)| at.elapsed() < REPEATED) {
        latest
    } else {
        let outcome = program.target.attempt().await;
        (Instant::now(), outcome)
    };
    let response = match &outcome.1 {
        Ok(()) => "it answers\n".into_response(),
        Err(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {failure}\n", program.target)).into_response(),
    };
    *latest = Some(outcome);
    response
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tokio::{io::AsyncWriteExt, net::TcpListener};
    use tower::ServiceExt as _;

    use super::*;

    async fn get(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let (status, body) = (answer.status().as_u16(), to_bytes(answer.into_body(), usize::MAX).await.unwrap());
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn program_that_only_listens_fails_its_probe() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hanging = router(format!("h2c://{address}").parse().unwrap());
        let (asked, accepted) = tokio::join!(get(&hanging, "/answers"), async {
            drop(listener.accept().await.unwrap());
        });
        assert_eq!(accepted, ());
        assert_eq!(asked.0, 503, "{}", asked.1);
        assert!(asked.1.starts_with(&format!("h2c://{address}: ")), "{}", asked.1);
        assert_eq!(get(&hanging, "/livez").await.0, 200);
        // Repeated, without a connection.
        assert_eq!(get(&hanging, "/answers").await, asked);
    }

    #[tokio::test]
    async fn program_that_speaks_passes_its_probe() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = router(format!("h2c://{}", listener.local_addr().unwrap()).parse().unwrap());
        let ((status, said), stream) = tokio::join!(get(&running, "/answers"), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
            stream
        });
        assert_eq!((status, said.as_str()), (200, "it answers\n"));
        drop(stream);
    }
}

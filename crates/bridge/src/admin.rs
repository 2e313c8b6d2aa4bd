//! The port for the kubelet and Prometheus.
//!
//! * `/livez` is 200 as long as the process responds.
//! * `/readyz` is 200 when both upstreams answer; else 503, with a line for each that does not.
//! * `/metrics` has the metrics, as `OpenMetrics` text.

use std::convert::Infallible;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use temporal_stack_common::process::{self, Metrics};
use tokio::net::TcpListener;

use crate::bridge::Bridge;

#[derive(Clone, Debug)]
struct Admin {
    bridge: Bridge,
    metrics: Metrics,
}

/// Serves until it is dropped.
pub(crate) async fn serve(bridge: Bridge, listener: TcpListener) -> Infallible {
    process::serve(router(bridge), listener).await
}

fn router(bridge: Bridge) -> Router {
    let metrics = Metrics::new();
    metrics.register(|registry| bridge.register(registry));
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(admin): State<Admin>| admin.metrics.answer()))
        .with_state(Admin { bridge, metrics })
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.bridge.answers().await {
        Ok(()) => "ready\n".into_response(),
        Err(silent) => (StatusCode::SERVICE_UNAVAILABLE, format!("{silent}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;
    use crate::fake::{Fake, bridge_to, nobody};

    async fn get(bridge: &Bridge, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(bridge.clone()).oneshot(request).await.unwrap();
        let (status, body) = (answer.status().as_u16(), to_bytes(answer.into_body(), usize::MAX).await.unwrap());
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_follows_both_upstreams_and_is_cached() {
        let fake = Fake::saying("HTTP/1.1 204 No Content\r\n\r\n").await;
        let bridge = bridge_to(&fake.authority);
        assert_eq!(get(&bridge, "/readyz").await, (200, "ready\n".to_owned()));
        assert_eq!(get(&bridge, "/readyz").await.0, 200);
        let mut requests = fake.requests();
        requests.sort();
        assert_eq!(requests, ["GET /health HTTP/1.1", "POST /api/v0/id HTTP/1.1"]);
    }

    #[tokio::test]
    async fn silent_upstreams_have_a_line_each() {
        let fake = Fake::saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        let bridge = Bridge::new(nobody().await, fake.authority.clone());
        assert_eq!(get(&bridge, "/livez").await.0, 200);
        let (status, body) = get(&bridge, "/readyz").await;
        assert_eq!((status, body.lines().count()), (503, 2), "{body}");
        assert!(body.contains("Kubo cannot be reached at 127.0.0.1:"), "{body}");
        assert!(body.contains("IPFS Cluster at ") && body.contains("answers 503"), "{body}");
        let (_, text) = get(&bridge, "/metrics").await;
        assert!(
            text.contains("temporal_stack_bridge_requests_in_flight 0")
                && text.contains("process_resident_memory_bytes"),
            "{text}"
        );
    }
}

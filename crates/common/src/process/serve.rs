//! The connections of a port for the kubelet and Prometheus, which any pod may open that reaches it.
//!
//! * A connection is for one request, and ends within half a minute, whatever its client sends or does not read.
//! * Few of them are open at the same time. One too many ends the oldest, so the kubelet is answered while others hold theirs.

use std::{collections::VecDeque, convert::Infallible, io, time::Duration};

use axum::Router;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

/// The most connections.
const MOST: usize = 64;
/// How long a connection may last.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How much of a request is read ahead: no request of the kubelet or of Prometheus has a longer head.
const BUFFER: usize = 16 << 10;
/// How long to wait when the process has no file descriptors left.
const BREATHER: Duration = Duration::from_millis(100);

/// Answers requests until it is dropped.
pub async fn serve(router: Router, listener: TcpListener) -> Infallible {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() >= MOST
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tokio::spawn(connection(router.clone(), stream)).abort_handle());
            }
            // The client is gone already.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection of the admin port");
                sleep(BREATHER).await;
            }
        }
    }
}

async fn connection(router: Router, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let served =
        http1::Builder::new().keep_alive(false).max_buf_size(BUFFER).serve_connection(TokioIo::new(stream), service);
    // An error is the client's: it sent no request, or did not wait for the answer.
    let _ = timeout(ENDS_WITHIN, served).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn port() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(Router::new().route("/livez", get(async || "live\n")), listener));
        address
    }

    async fn answer(mut stream: TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A connection that was ended may be reset.
        let _ = timeout(2 * ENDS_WITHIN, stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn connections_of_others_end_and_a_probe_is_answered() {
        let port = port().await;
        let mut idle = Vec::new();
        for _ in 0..3 * MOST {
            idle.push(TcpStream::connect(port).await.unwrap());
        }
        let probe = TcpStream::connect(port).await.unwrap();
        let answered = answer(probe, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answered.starts_with("HTTP/1.1 200") && answered.ends_with("live\n"), "{answered}");
        for mut stream in idle.into_iter().take(2 * MOST) {
            let ended = timeout(Duration::from_secs(5), stream.read_u8()).await;
            assert!(ended.expect("it has ended").is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connection_without_a_whole_request_ends() {
        let port = port().await;
        for begun in ["", "GET /livez HTTP/1.1\r\nHost: "] {
            let stream = TcpStream::connect(port).await.unwrap();
            assert!(!answer(stream, begun).await.contains("200"));
        }
    }
}

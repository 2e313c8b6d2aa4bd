//! The ports that Temporal calls.
//!
//! A connection is for one call, as in Temporal's own client of Kubo; every answer has `Connection: close`. The
//! [trailers](crate::trailers) need that, and so the end of a call is the end of its connection.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use temporal_stack_common::failure::chain;
use tokio::{
    io::{AsyncWriteExt as _, copy, sink},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::{bridge::Bridge, product::Product, trailers::AsksForTrailers};

/// How long a client may take to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How much of a request is read ahead of its upstream; its head must fit in, with a URL of up to 64 KiB.
const BUFFER: usize = 96 * 1024;
/// How long a client may take to read an answer while it is still sending; Go's server waits as long.
const LINGER: Duration = Duration::from_millis(500);
/// How long to wait when the process has no file descriptors left.
const BREATHER: Duration = Duration::from_millis(100);

/// Accepts calls for one of the two products until the future is dropped; accepted calls continue.
pub async fn serve(bridge: Bridge, product: Product, listener: TcpListener) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(bridge.clone(), product, stream));
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(upstream = product.label(), %error, "cannot accept a connection");
                sleep(BREATHER).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(bridge: Bridge, product: Product, stream: TcpStream) {
    // If the kernel refuses, it is only slower.
    let _ = stream.set_nodelay(true);
    let call = Arc::new(OnceLock::new());
    let begun = call.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        begun.get_or_init(|| bridge.calls.begin());
        let bridge = bridge.clone();
        async move { Ok::<_, Infallible>(bridge.answer(product, request).await) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(AsksForTrailers::new(stream)), service)
        .without_shutdown()
        .await;
    match served {
        Ok(parts) => {
            drop(parts.service);
            let mut stream = parts.io.into_inner().into_inner();
            // The client may have disconnected already.
            let _ = stream.shutdown().await;
            drop(call);
            linger(stream).await;
        }
        // Dropped with unsent data, so that the client sees that its answer is incomplete.
        Err(error) => tracing::debug!(upstream = product.label(), error = chain(&error), "a connection was lost"),
    }
}

/// Reads the rest of a client's request, for some time: if it sends to a closed port, its answer may be lost.
async fn linger(mut stream: TcpStream) {
    let _ = timeout(LINGER, copy(&mut stream, &mut sink())).await;
}

#[cfg(test)]
mod tests;

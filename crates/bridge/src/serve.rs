//! The ports that Temporal calls.
//!
//! A connection is for one call, as Temporal's own client of Kubo has it; every answer says so (`Connection: close`). That
//! is what [trailers](crate::trailers) need, and lets the end of a call be the end of its connection.

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

/// How long a client may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// What of a request is read ahead of its upstream, at most; its head must fit in, of which the address may be 64 KiB.
const BUFFER: usize = 96 * 1024;
/// How long a client may take to read an answer while it is still sending; so long does Go's server wait, too.
const LINGER: Duration = Duration::from_millis(500);
/// How long to wait when the process has no file descriptors left.
const BREATHER: Duration = Duration::from_millis(100);

/// Takes calls for one of the two, until it is dropped; those that it has taken go on.
pub async fn serve(bridge: Bridge, product: Product, listener: TcpListener) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(bridge.clone(), product, stream));
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(upstream = product.label(), %error, "cannot take a connection");
                sleep(BREATHER).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(bridge: Bridge, product: Product, stream: TcpStream) {
    // A kernel that refuses makes it slower, no more.
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
            // The client may have gone already.
            let _ = stream.shutdown().await;
            drop(call);
            linger(stream).await;
        }
        // Dropped with what is unsent, so that the client sees that its answer is not whole.
        Err(error) => tracing::debug!(upstream = product.label(), error = chain(&error), "a connection broke off"),
    }
}

/// Reads what a client still sends, for some time: to one that sends to a closed port its answer may get lost.
async fn linger(mut stream: TcpStream) {
    let _ = timeout(LINGER, copy(&mut stream, &mut sink())).await;
}

#[cfg(test)]
mod tests;

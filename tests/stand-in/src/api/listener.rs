//! Connections, with TLS or without.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SignatureAlgorithm};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::listen::listen;

/// Whoever is connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// Where it is.
    pub(super) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(super) is_encrypted: bool,
}

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Accepts connections. A slow handshake keeps no other waiting.
pub(super) struct Incoming {
    accepted: mpsc::Receiver<(Box<dyn Stream>, Client)>,
    address: SocketAddr,
}

impl Incoming {
    /// Listens; an address without a host means all of this machine. `tls` are the certificate and its key.
    pub(super) async fn bind(address: &str, tls: Option<(&Path, &Path)>) -> Result<Self, String> {
        let listener = listen(address).await?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let acceptor = tls.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
        let (sender, accepted) = mpsc::channel(16);
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Ok((stream, address)) = listener.accept().await {
                    tokio::spawn(greet(stream, address, acceptor.clone(), sender.clone()));
                }
            }
        });
        Ok(Self { accepted, address })
    }
}

async fn greet(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    sender: mpsc::Sender<(Box<dyn Stream>, Client)>,
) {
    // Where one listener is of both families, a client of IPv4 has an address of IPv6.
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let client = Client { address, is_encrypted: acceptor.is_some() };
    let stream: Box<dyn Stream> = match acceptor {
        None => Box::new(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => Box::new(stream),
            // Whoever asks without TLS is cut off.
            Err(_) => return,
        },
    };
    let _ = sender.send((stream, client)).await;
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("open {}: {error}", path.display()));
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("{}: {error}", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| format!("{}: {error}", key.display()))?;
    let signing = ring::sign::any_supported_type(&private).map_err(|error| error.to_string())?;
    // Up to TLS 1.2 all of the original's ciphers are for RSA; the stand-in refuses others at once.
    if signing.algorithm() != SignatureAlgorithm::RSA {
        return Err("tls: the certificate's key must be RSA".to_owned());
    }
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| format!("tls: {error}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listener for Incoming {
    type Io = Box<dyn Stream>;
    type Addr = Client;

    async fn accept(&mut self) -> (Self::Io, Client) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Client> {
        Ok(Client { address: self.address, is_encrypted: false })
    }
}

impl Connected<IncomingStream<'_, Incoming>> for Client {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        *stream.remote_addr()
    }
}

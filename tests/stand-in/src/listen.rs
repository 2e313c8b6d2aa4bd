//! Listening as a program in Go does.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

/// Listens; an address without a host means all of this machine, of both families if it has both.
pub(crate) async fn listen(address: &str) -> Result<TcpListener, String> {
    let failed = |error: io::Error| format!("listen tcp {address}: {error}");
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await.map_err(failed);
    };
    let port = port.parse().map_err(|_| format!("listen tcp: lookup tcp/{port}: unknown port"))?;
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await.map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn address_without_a_host_is_of_both_families() {
        let port = listen(":0").await.unwrap().local_addr().unwrap().port();
        let _listener = listen(&format!(":{port}")).await.unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
        let has_ipv6 = TcpListener::bind("[::1]:0").await.is_ok();
        assert_eq!(TcpStream::connect(("::1", port)).await.is_ok(), has_ipv6);
    }

    #[tokio::test]
    async fn port_in_use_or_without_a_number_is_refused() {
        let listener = listen(":0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listen(&format!(":{port}")).await.is_err());
        assert!(listen(":krab").await.unwrap_err().contains("krab"));
    }
}

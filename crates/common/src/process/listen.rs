//! Listening on both address families, in pods of either.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
const WAITING: i32 = 1024;

/// Listens on an address. `[::]` is every address of both families, whatever the system's default for IPv6 sockets is; on a
/// machine without IPv6 it is every address of IPv4.
///
/// # Errors
///
/// The address is in use, not available, or of a family that the machine does not have.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match bind(address) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && is_missing(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    }
}

/// Listens on each of these addresses that the machine has.
///
/// # Errors
///
/// An address is in use or not available, or the machine has none of them: the address, and the error.
pub fn listen_each(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    let mut missing = None;
    for address in addresses {
        match listen(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_missing(&error) => missing = Some((*address, error)),
            Err(error) => return Err((*address, error)),
        }
    }
    match missing {
        Some(missing) if listeners.is_empty() => Err(missing),
        _ => Ok(listeners),
    }
}

/// Whether the machine lacks the address, or its family: `io::ErrorKind` has no variant for it.
fn is_missing(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied | ErrorKind::InvalidInput)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn unspecified_address_listens_on_both_families() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let (connected, taken) = tokio::join!(TcpStream::connect((host, port)), listener.accept());
            assert!(connected.is_ok() && taken.is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn unavailable_address_is_left_out() {
        // Of a range for documentation, which no machine has.
        let (ours, others) = ("127.0.0.1:0".parse().unwrap(), "[2001:db8::1]:0".parse().unwrap());
        assert_eq!(listen_each(&[ours, others]).unwrap().len(), 1);
        assert_eq!(listen_each(&[others]).unwrap_err().0, others);
    }

    #[tokio::test]
    async fn taken_address_is_an_error() {
        let taken = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        let (failed, error) = listen_each(&["[::1]:0".parse().unwrap(), address]).unwrap_err();
        assert_eq!((failed, error.kind()), (address, ErrorKind::AddrInUse));
    }
}

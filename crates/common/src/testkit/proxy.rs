//! A mesh's proxy that refuses.

use tokio::{io::AsyncReadExt, net::TcpListener};

/// The port of a proxy whose policy refuses everyone, on the loopback: it accepts connections, and closes each without an answer when
/// its client has sent something.
pub async fn refusing_proxy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    port
}

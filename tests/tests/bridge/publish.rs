//! K2: `POST /api/v0/pubsub/pub`, with which Temporal's users publish.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{bridge::Bridge, call::call, products::Peers};

#[tokio::test]
async fn published_data_reach_a_current_subscriber() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let path = "/api/v0/pubsub/pub?arg=a+topic&arg=gr%C3%BC%C3%9Fe%20%26+more%0A";
    assert_eq!(call(peers.kubo(), "POST", path).await?.status, 400);

    let mut subscriber = TcpStream::connect(peers.kubo()).await?;
    let subscribe = format!(
        "POST /api/v0/pubsub/sub?arg=uYSB0b3BpYw HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        peers.kubo()
    );
    subscriber.write_all(subscribe.as_bytes()).await?;
    let mut lines = BufReader::new(subscriber).lines();
    // The head comes when the subscription is there.
    timeout(e2e::HANG, async {
        while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
        anyhow::Ok(())
    })
    .await??;

    let answer = call(bridge.kubo, "POST", path).await?;
    assert_eq!((answer.status, answer.text()), (200, ""));
    let message = timeout(e2e::HANG, async {
        loop {
            let line = lines.next_line().await?.context("the subscription ended")?;
            if let Ok(message @ Value::Object(_)) = serde_json::from_str(&line) {
                return anyhow::Ok(message);
            }
        }
    });
    // "grüße & more\n" in base64 of addresses, after the mark for it.
    assert_eq!(message.await??["data"], "uZ3LDvMOfZSAmIG1vcmUK");
    Ok(())
}

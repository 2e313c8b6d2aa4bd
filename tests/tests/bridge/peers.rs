//! C1 and C2: `GET /peers`, with which Temporal's API and its cluster worker start.

use anyhow::Result;

use crate::{
    bridge::Bridge,
    call::call,
    client::{Id, decode},
    products::Peers,
};

#[tokio::test]
async fn temporal_starts_with_current_peers() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;

    // What it is all about: neither the stream nor the addresses of one of its lines can be decoded.
    let raw = call(peers.cluster(), "GET", "/peers").await?.success()?;
    decode::<Vec<Id>>(&raw).unwrap_err();
    let line = raw.split(|byte| *byte == b'\n').next().expect("a line");
    let error = format!("{:?}", decode::<Id>(line).unwrap_err());
    assert!(error.contains("no protocol with name"), "{error}");

    let answer = call(bridge.cluster, "GET", "/peers").await?;
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    let mut ids: Vec<Id> = decode(&answer.success()?)?;
    ids.sort_by(|one, other| one.peername.cmp(&other.peername));
    assert_eq!(ids.len(), 2);
    for id in &ids {
        assert!(id.id.starts_with("12D3KooW") && id.ipfs.id.starts_with("12D3KooW"), "{id:?}");
        assert!(id.version.starts_with("1.") && id.peername.starts_with("peer-127."), "{id:?}");
        assert!(id.error.is_empty() && id.ipfs.error.is_empty(), "{id:?}");
        assert_eq!(id.cluster_peers.len(), 2);
        assert!(id.addresses.is_empty() && id.cluster_peers_addresses.is_empty() && id.ipfs.addresses.is_empty());
    }
    let (_, metrics) = bridge.admin("/metrics").await?;
    assert!(
        metrics.contains(r#"temporal_stack_bridge_requests_total{upstream="cluster",rule="peers",status="2xx"} 1"#),
        "{metrics}"
    );
    Ok(())
}

#[tokio::test]
async fn temporal_starts_while_a_kubo_is_down() -> Result<()> {
    let mut peers = Peers::start(1).await?;
    let bridge = Bridge::to(&peers).await?;
    assert_eq!(bridge.admin("/readyz").await?, (200, "ready\n".to_owned()));
    peers.end_kubo();
    let ids: Vec<Id> = decode(&call(bridge.cluster, "GET", "/peers").await?.success()?)?;
    assert_eq!(ids.len(), 1);
    assert!(ids[0].ipfs.id.is_empty() && ids[0].ipfs.error.contains("refused"), "{ids:?}");

    // And what is asked of the one that is down is told in its shape.
    let answer = call(bridge.kubo, "POST", "/api/v0/id?").await?;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("application/json")));
    let error: crate::client::KuboError = decode(&answer.body)?;
    assert!(error.code == 0 && error.message.contains("cannot be reached"), "{error:?}");
    Ok(())
}

//! C3: `POST /pins/<cid>`, with which the cluster worker pins.

use anyhow::Result;

use crate::{
    bridge::Bridge,
    call::{add, call},
    client::{ClusterError, Pin, decode},
    products::Peers,
};

/// The options that Temporal sends with every pin.
pub(crate) const OPTIONS: &str = "name=&replication-max=-1&replication-min=-1&shard-size=0&user-allocations=";

/// Adds text to Kubo and returns its CID.
pub(crate) async fn added(peers: &Peers, text: &str) -> Result<String> {
    let body = add(peers.kubo(), "/api/v0/add?", text.as_bytes()).await?.success()?;
    let added: serde_json::Value = decode(&body)?;
    Ok(added["Hash"].as_str().expect("a hash").to_owned())
}

#[tokio::test]
async fn pin_is_answered_as_the_worker_decodes_it() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let cid = added(&peers, "to be pinned").await?;
    let path = format!("/pins/{cid}?{OPTIONS}");
    decode::<Pin>(&call(peers.cluster(), "POST", &path).await?.success()?).unwrap_err();

    let pin: Pin = decode(&call(bridge.cluster, "POST", &path).await?.success()?)?;
    assert_eq!((pin.cid.target.as_str(), pin.kind), (cid.as_str(), 2));
    assert_eq!((pin.replication_factor_min, pin.replication_factor_max, pin.max_depth), (-1, -1, -1));
    assert!(pin.reference.is_none() && pin.pin_update.is_none(), "{pin:?}");
    assert!(pin.name.is_empty() && pin.shard_size == 0 && pin.metadata.is_empty(), "{pin:?}");
    assert!(pin.allocations.is_empty() && pin.user_allocations.is_empty(), "{pin:?}");
    Ok(())
}

#[tokio::test]
async fn pin_update_is_answered_as_the_worker_decodes_it() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let (old, new) = (added(&peers, "the old").await?, added(&peers, "the new").await?);
    call(bridge.cluster, "POST", &format!("/pins/{old}?{OPTIONS}")).await?.success()?;
    let path = format!("/pins/{new}?{OPTIONS}&pin-update={old}&meta-who=me");
    let pin: Pin = decode(&call(bridge.cluster, "POST", &path).await?.success()?)?;
    assert_eq!(pin.cid.target, new);
    assert_eq!(pin.pin_update.expect("what it updates").target, old);
    Ok(())
}

#[tokio::test]
async fn error_of_ipfs_cluster_is_passed_on() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let answer = call(bridge.cluster, "POST", &format!("/pins/nonsense?{OPTIONS}")).await?;
    assert_eq!(answer.status, 400);
    let error: ClusterError = decode(&answer.body)?;
    assert!(error.code == 400 && error.message.contains("decoding Cid"), "{error:?}");
    Ok(())
}

//! C4: `GET /pins/<cid>?local=true`, which the cluster worker prints.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{interval, timeout};

use crate::{
    bridge::Bridge,
    call::call,
    client::{GlobalPinInfo, decode},
    pin::{OPTIONS, added},
    products::Peers,
};

#[tokio::test]
async fn status_of_a_pin_is_answered_as_the_worker_decodes_it() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let cid = added(&peers, "to be looked at").await?;
    call(bridge.cluster, "POST", &format!("/pins/{cid}?{OPTIONS}")).await?.success()?;
    let path = format!("/pins/{cid}?local=true");
    decode::<GlobalPinInfo>(&call(peers.cluster(), "GET", &path).await?.success()?).unwrap_err();

    let pinned = async {
        let mut look = interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            let status: GlobalPinInfo = decode(&call(bridge.cluster, "GET", &path).await?.success()?)?;
            assert_eq!((status.cid.target.as_str(), status.peer_map.len()), (cid.as_str(), 1));
            for (peer, info) in &status.peer_map {
                assert_eq!((&info.cid, &info.peer), (&status.cid, peer));
                assert!(info.peername.starts_with("peer-127.") && info.error.is_empty(), "{info:?}");
                assert!(info.timestamp.ends_with('Z'), "{info:?}");
                if info.status == "pinned" {
                    return anyhow::Ok(());
                }
                assert!(["pinning", "pin_queued"].contains(&info.status.as_str()), "{info:?}");
            }
        }
    };
    timeout(e2e::HANG, pinned).await.context("it is never pinned")?
}

#[tokio::test]
async fn status_without_local_has_every_peer() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let cid = added(&peers, "nobody pins this").await?;
    let status: GlobalPinInfo = decode(&call(bridge.cluster, "GET", &format!("/pins/{cid}")).await?.success()?)?;
    assert_eq!(status.peer_map.len(), 2);
    assert!(status.peer_map.values().all(|info| info.status == "unpinned"), "{status:?}");
    Ok(())
}

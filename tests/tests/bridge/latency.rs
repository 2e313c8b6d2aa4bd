//! What the bridge adds to a call, measured against the same call without it.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use e2e::full;
use tokio::time::Instant;

use crate::{bridge::Bridge, call::call, measured, products::Peers};

fn rounds() -> usize {
    if full() { 3000 } else { 200 }
}

async fn timed(address: SocketAddr, method: &str, path: &str) -> Result<Duration> {
    let started = Instant::now();
    call(address, method, path).await?.success()?;
    Ok(started.elapsed())
}

/// So many percent of the times are at most this, in milliseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0
}

#[tokio::test]
async fn bridge_adds_little_to_a_call() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    for (method, path, direct, bridged) in [
        ("POST", "/api/v0/id?", peers.kubo(), bridge.kubo),
        ("POST", "/api/v0/version?", peers.kubo(), bridge.kubo),
        ("GET", "/id", peers.cluster(), bridge.cluster),
    ] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // In turn, so that what else the machine does is in both.
        for _ in 0..rounds() {
            without.push(timed(direct, method, path).await?);
            with.push(timed(bridged, method, path).await?);
        }
        for (percent, times) in [(50, "median"), (99, "99th percentile")] {
            measured(&format!("{method} {path} without the bridge, {times}"), percentile(&mut without, percent), "ms");
            measured(&format!("{method} {path} through the bridge, {times}"), percentile(&mut with, percent), "ms");
        }
    }
    Ok(())
}

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{Needs, full};
use tokio::time::sleep;

use crate::{
    on_stack,
    temporal::{Ipfs, of_stack, random},
};

/// The size of each file, in bytes.
const SIZE: usize = 20_000;

/// The time that so many of a hundred stay below.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    times.get((times.len() * percent / 100).min(times.len() - 1)).map_or(0.0, Duration::as_secs_f64)
}

#[tokio::test]
async fn upload_is_pinned_on_every_peer() {
    on_stack(if full() { Needs::alone() } else { Needs::stack() }, async |space| {
        let temporal = of_stack(space);
        temporal.ready().await?;
        let (ipfs, caller) = (Ipfs::of(space).await?, temporal.admin().await?);
        let count = if full() { 200 } else { 20 };
        let (mut answered, mut pinned) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let begin = Instant::now();
            let cid = caller.add(random(SIZE)).await?;
            answered.push(begin.elapsed());
            loop {
                let copies = ipfs.peers[0].copies(&cid).await?;
                if copies.len() == ipfs.peers.len() && copies.values().all(|copy| copy.status == "pinned") {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
            pinned.push(begin.elapsed());
            ipfs.forget(&cid).await?;
        }
        for (what, times) in [("answered", &mut answered), ("pinned on every peer", &mut pinned)] {
            times.sort_unstable();
            let (median, slow) = (percentile(times, 50), percentile(times, 99));
            println!("{count} uploads of {SIZE} bytes {what}, median after: {median:.3} s");
            println!("the same, 99 of 100 after: {slow:.3} s");
        }
        ensure!(pinned.len() == count, "{} were pinned", pinned.len());
        Ok(())
    })
    .await;
}

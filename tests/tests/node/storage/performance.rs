//! Numbers for docs/performance.md: printed, not asserted. Of the full run only.

use std::time::Instant;

use anyhow::{Context as _, Result};
use e2e::{Subject as _, bucket::Bound, full, host::resident_memory, objects::put_all};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use temporal_stack_common::{
    api::ObjectStorage,
    s3::{Client, Part},
};

use crate::storage::{BUCKETS, for_each_engine, made, of, with_storage};

for_each_engine!(throughput_through_the_service_and_beside_it);

/// Parts of a large object, and bytes of each.
const PARTS: u16 = 16;
const PART: usize = 5 << 20;

async fn throughput_through_the_service_and_beside_it(engine: &str) {
    if !full() {
        println!("not measured: nothing is asserted");
        return;
    }
    with_storage(4, async |storage| {
        made(storage, &of(engine, &json!({"resources": {"requests": {"cpu": "20m", "memory": "96Mi"}}}))).await?;
        let service = storage.bound(BUCKETS[0]).await?;
        let mut direct = service.clone();
        let pod = storage.api::<Pod>().get(&ObjectStorage::pod(0)).await?;
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).context("the pod has no address")?;
        let (_, port) = direct.address.endpoint.rsplit_once(':').context("an endpoint without a port")?;
        direct.address.endpoint = format!("http://{ip}:{port}");
        println!("memory of {engine} before: {} MiB", resident_memory(&pod));
        for (way, bound) in [("through the Service", service), ("beside it", direct)] {
            measure(way, &bound).await?;
        }
        println!("memory of {engine} after: {} MiB", resident_memory(&pod));
        Ok(())
    })
    .await;
}

async fn measure(way: &str, bound: &Bound) -> Result<()> {
    let client = bound.client()?;
    let started = Instant::now();
    put_all(&client, BUCKETS[0]).await?;
    println!("1,000 small objects put {way}: {:.2} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    let etag = put_large(&client).await?;
    println!("80 MiB in parts put {way}: {:.2} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    for part in 0..u64::from(PARTS) {
        client.get_range((BUCKETS[0], "large", None), &etag, part * PART as u64, PART).await?;
    }
    println!("80 MiB in ranges read {way}: {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Puts a large object, and returns its tag.
async fn put_large(client: &Client) -> Result<String> {
    let upload = client.create_upload(BUCKETS[0], "large", &std::collections::BTreeMap::new()).await?;
    let mut parts: Vec<Part> = Vec::new();
    for number in 1..=PARTS {
        parts.push(client.put_part(&upload, number, vec![7; PART]).await?);
    }
    Ok(client.complete(&upload, &parts).await?.etag)
}

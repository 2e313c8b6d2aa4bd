//! K1: `POST /api/v0/object/stat`, by which Temporal charges.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    bridge::Bridge,
    call::{add, call},
    client::{KuboError, ObjectStats, decode},
    file,
    products::Peers,
};

async fn json(address: SocketAddr, path: &str) -> Result<Value> {
    decode(&call(address, "POST", path).await?.success()?)
}

async fn stat(bridge: &Bridge, cid: &str) -> Result<ObjectStats> {
    let stat: ObjectStats =
        decode(&call(bridge.kubo, "POST", &format!("/api/v0/object/stat?arg={cid}")).await?.success()?)?;
    assert_eq!(stat.hash, cid);
    assert_eq!(stat.data_size + stat.links_size, stat.block_size);
    Ok(stat)
}

/// The same numbers as Kubo itself gives them today, in several calls.
async fn as_kubo_says(peers: &Peers, cid: &str) -> Result<(i64, i64, i64, i64)> {
    let number = |value: &Value, field: &str| value[field].as_i64().with_context(|| format!("no {field}: {value}"));
    let block = json(peers.kubo(), &format!("/api/v0/block/stat?arg={cid}")).await?;
    let files = json(peers.kubo(), &format!("/api/v0/files/stat?arg=/ipfs/{cid}")).await?;
    let node = json(peers.kubo(), &format!("/api/v0/dag/get?arg={cid}")).await?;
    // Without padding: four characters for three bytes.
    let data = node["Data"]["/"]["bytes"].as_str().map(|text| text.len() * 3 / 4);
    let links = node["Links"].as_array().map(Vec::len);
    let size = number(&block, "Size")?;
    let data = data.map_or(Ok(size), i64::try_from)?;
    Ok((size, data, i64::try_from(links.unwrap_or_default())?, number(&files, "CumulativeSize")?))
}

/// The size of a pin as Temporal sums it up: the data of all that is below the root.
async fn charged(bridge: &Bridge, root: &str) -> Result<i64> {
    let refs = call(bridge.kubo, "POST", &format!("/api/v0/refs?arg={root}&recursive=true&unique=true")).await?;
    let mut sum = 0;
    for line in String::from_utf8(refs.success()?)?.lines() {
        let reference: Value = serde_json::from_str(line)?;
        sum += stat(bridge, reference["Ref"].as_str().context("no Ref")?).await?.data_size;
    }
    Ok(sum)
}

async fn added(peers: &Peers, options: &str, length: usize) -> Result<String> {
    let added = add(peers.kubo(), &format!("/api/v0/add?{options}"), &file(length)).await?.success()?;
    let added: Value = decode(&added)?;
    Ok(added["Hash"].as_str().context("no hash")?.to_owned())
}

#[tokio::test]
async fn sizes_equal_those_of_three_calls_of_kubo() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let raw =
        call(peers.kubo(), "POST", "/api/v0/object/stat?arg=QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").await?;
    assert_eq!(raw.status, 500, "{raw:?}");

    let file = added(&peers, "cid-version=0", 3_000_000).await?;
    let raw_leaves = added(&peers, "cid-version=1&raw-leaves=true", 3_000_000).await?;
    let small = added(&peers, "cid-version=0", 800_000).await?;
    let directory = "/api/v0/files/mkdir?arg=/of-two&cid-version=0&flush=true";
    call(peers.kubo(), "POST", directory).await?.success()?;
    for (cid, name) in [(&file, "a"), (&small, "b")] {
        call(peers.kubo(), "POST", &format!("/api/v0/files/cp?arg=/ipfs/{cid}&arg=/of-two/{name}")).await?.success()?;
    }
    let directory = json(peers.kubo(), "/api/v0/files/stat?arg=/of-two").await?;
    let directory = directory["Hash"].as_str().context("no hash")?.to_owned();

    for cid in [&file, &raw_leaves, &small, &directory] {
        let refs = call(peers.kubo(), "POST", &format!("/api/v0/refs?arg={cid}&recursive=true&unique=true")).await?;
        let mut cids = vec![cid.clone()];
        for line in String::from_utf8(refs.success()?)?.lines() {
            cids.push(serde_json::from_str::<Value>(line)?["Ref"].as_str().context("no Ref")?.to_owned());
        }
        for cid in cids {
            let stat = stat(&bridge, &cid).await?;
            let numbers = (stat.block_size, stat.data_size, stat.num_links, stat.cumulative_size);
            assert_eq!(numbers, as_kubo_says(&peers, &cid).await?, "{stat:?}");
        }
    }
    // Recorded with a Kubo of 2020.
    assert_eq!(charged(&bridge, &file).await?, 3_000_120);
    assert_eq!(charged(&bridge, &raw_leaves).await?, 3_000_000);
    Ok(())
}

#[tokio::test]
async fn block_that_is_no_file_has_the_size_of_its_block() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let put = "/api/v0/dag/put?store-codec=dag-cbor&input-codec=dag-json";
    let added: Value =
        decode(&add(peers.kubo(), put, json!({"a": [1, 2, 3]}).to_string().as_bytes()).await?.success()?)?;
    let stat = stat(&bridge, added["Cid"]["/"].as_str().context("no CID")?).await?;
    // {"a": [1, 2, 3]} as CBOR is a1 61 61 83 01 02 03.
    assert_eq!((stat.block_size, stat.data_size, stat.cumulative_size), (7, 7, 7));
    assert_eq!((stat.links_size, stat.num_links), (0, 0));
    Ok(())
}

#[tokio::test]
async fn errors_of_kubo_are_passed_on() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let nowhere = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    for (argument, part) in [("nonsense", "invalid"), (&format!("{nowhere}&offline=true"), "not found")] {
        let answer = call(bridge.kubo, "POST", &format!("/api/v0/object/stat?arg={argument}")).await?;
        assert_eq!((answer.status, answer.header("content-type")), (500, Some("application/json")));
        let error: KuboError = decode(&answer.body)?;
        assert!(error.message.contains(part), "{error:?}");
    }
    Ok(())
}

//! All that Temporal asks Kubo for and that has not changed.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    bridge::Bridge,
    call::{add, call},
    client::{KuboError, decode},
    file,
    products::Peers,
};

#[tokio::test]
async fn unchanged_calls_are_answered_as_without_the_bridge() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let file = file(5_000_000);
    let mut cid = String::new();
    for path in [
        "/api/v0/add?hash=sha2-256&only-hash=true",
        "/api/v0/add?hash=sha2-256",
        "/api/v0/add?only-hash=true",
        "/api/v0/add?",
    ] {
        let added: Value = decode(&add(bridge.kubo, path, &file).await?.success()?)?;
        let hash = added["Hash"].as_str().context("no hash")?;
        assert!(hash.starts_with("Qm") && (cid.is_empty() || cid == hash), "{added}");
        hash.clone_into(&mut cid);
    }
    assert!(call(bridge.kubo, "POST", &format!("/api/v0/cat?arg={cid}")).await?.success()? == file);

    for path in [
        "/api/v0/id?".to_owned(),
        format!("/api/v0/refs?arg={cid}&recursive=true&unique=true"),
        format!("/api/v0/dag/get?arg={cid}"),
        format!("/api/v0/pin/add?arg={cid}&recursive=true"),
        "/api/v0/name/resolve?arg=%2Fipns%2Fk51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r".to_owned(),
        "/api/v0/nothing".to_owned(),
        "/api/v0/cat?arg=QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn".to_owned(),
        "/api/v0/add?hash=md5".to_owned(),
    ] {
        let (direct, bridged) = (call(peers.kubo(), "POST", &path).await?, call(bridge.kubo, "POST", &path).await?);
        assert_eq!((bridged.status, bridged.text()), (direct.status, direct.text()), "{path}");
        for header in
            ["content-type", "x-stream-output", "x-chunked-output", "x-content-length", "trailer", "server", "vary"]
        {
            assert_eq!(bridged.header(header), direct.header(header), "{path}");
        }
        assert_eq!(bridged.trailers.to_lowercase(), direct.trailers.to_lowercase(), "{path}");
    }
    let (direct, bridged) = (
        call(peers.cluster(), "GET", "/version").await?.success()?,
        call(bridge.cluster, "GET", "/version").await?.success()?,
    );
    assert_eq!(bridged, direct);
    assert_eq!(call(bridge.cluster, "GET", "/health").await?.status, 204);
    Ok(())
}

#[tokio::test]
async fn error_within_a_file_reaches_the_client() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    // Of a length that no other test has: its last block is nobody else's.
    let file = file(2_900_000);
    let added: Value = decode(&add(bridge.kubo, "/api/v0/add?pin=false", &file).await?.success()?)?;
    let cid = added["Hash"].as_str().context("no hash")?;
    let refs = call(bridge.kubo, "POST", &format!("/api/v0/refs?arg={cid}")).await?.success()?;
    let refs = String::from_utf8(refs)?;
    let last: Value = serde_json::from_str(refs.lines().last().context("no refs")?)?;
    let last = last["Ref"].as_str().context("no Ref")?;
    call(bridge.kubo, "POST", &format!("/api/v0/block/rm?arg={last}")).await?.success()?;

    let answer = call(bridge.kubo, "POST", &format!("/api/v0/cat?arg={cid}&offline=true")).await?;
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() < file.len() && file.starts_with(&answer.body), "{} bytes", answer.body.len());
    let error = answer.trailers.to_lowercase();
    assert!(error.contains("x-stream-error: failed to fetch"), "{error}");
    Ok(())
}

#[tokio::test]
async fn refusal_has_the_shape_that_the_client_decodes() -> Result<()> {
    let peers = Peers::shared().await?;
    let bridge = Bridge::to(&peers).await?;
    let answer = add(bridge.kubo, "/api/v0/add?hash=md5", b"text").await?;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error: KuboError = decode(&answer.body)?;
    assert!(error.message.contains("insecure hash"), "{error:?}");
    Ok(())
}

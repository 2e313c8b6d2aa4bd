//! K1: the sizes of a block.
//!
//! | request | answer now | the client decodes | translation |
//! |---|---|---|---|
//! | `POST /api/v0/object/stat?arg=<cid>` | 500 `removed, use 'ipfs dag' or 'ipfs files' instead` | `{Hash, NumLinks, BlockSize, LinksSize, DataSize, CumulativeSize}` | the block by `POST /api/v0/block/get?arg=<cid>`, then by the CID's codec |
//!
//! | codec | `NumLinks` | `BlockSize` | `DataSize` | `LinksSize` | `CumulativeSize` |
//! |---|---|---|---|---|---|
//! | dag-pb | its links | its length | length of its data | the rest | its length and the sizes of its links |
//! | any other | 0 | its length | its length | 0 | its length |
//!
//! `Hash` is the requested CID. An error of `block/get` is passed on as the answer. The numbers for dag-pb are those of a
//! Kubo of 2020; for raw blocks that Kubo returned 0 instead of their length, and Temporal would charge nothing.

mod dag_pb;

use cid::Cid;
use http::{Request, Uri, uri::PathAndQuery};
use serde::Serialize;

use crate::{
    answer::{Answer, translated},
    failure::Failure,
    query,
    upstream::{Upstream, is_ok},
    whole,
};
use dag_pb::Node;

/// Twice the default limit of Kubo for a block.
const LONGEST: usize = 4 * 1024 * 1024;
const DAG_PB: u64 = 0x70;

/// What a Kubo of 2020 answered, its fields in the same order.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stat {
    hash: String,
    num_links: u64,
    block_size: u64,
    links_size: u64,
    data_size: u64,
    cumulative_size: u64,
}

pub(super) async fn answer(upstream: &Upstream, mut request: Request<()>) -> Result<Answer, Failure> {
    let argument = query::arguments(request.uri().query()).into_iter().next().unwrap_or_default();
    *request.uri_mut() = block_get(request.uri());
    let answer = upstream.ask(request).await?;
    if !is_ok(&answer) {
        return Ok(answer);
    }
    let (parts, block) = whole::read(answer, LONGEST).await?;
    let stat = stat(&String::from_utf8_lossy(&argument), &block)?;
    let value = serde_json::to_value(stat).map_err(|error| Failure::untranslatable(&error))?;
    Ok(translated(parts, &value))
}

fn block_get(uri: &Uri) -> Uri {
    let path = format!("/api/v0/block/get?{}", uri.query().unwrap_or_default());
    let mut parts = http::uri::Parts::default();
    // The query is valid already.
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    Uri::from_parts(parts).unwrap_or_default()
}

fn stat(argument: &str, block: &[u8]) -> Result<Stat, Failure> {
    let hash = argument.trim_start_matches("/ipfs/");
    let cid =
        Cid::try_from(hash).map_err(|error| Failure::Untranslatable(format!("`{argument}` is not a CID: {error}")))?;
    let block_size = length(block.len());
    let node = if cid.codec() == DAG_PB {
        Node::read(block).ok_or_else(|| Failure::Untranslatable(format!("the block of {hash} is not dag-pb")))?
    } else {
        Node { links: 0, size_of_links: 0, data: block_size }
    };
    Ok(Stat {
        hash: hash.to_owned(),
        num_links: node.links,
        block_size,
        links_size: block_size.saturating_sub(node.data),
        data_size: node.data,
        cumulative_size: block_size.saturating_add(node.size_of_links),
    })
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_DIRECTORY: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
    const RAW: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    const DAG_CBOR: &str = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";

    fn sizes(cid: &str, block: &[u8]) -> [u64; 5] {
        let stat = stat(cid, block).unwrap();
        assert_eq!(stat.hash, cid.trim_start_matches("/ipfs/"));
        [stat.num_links, stat.block_size, stat.links_size, stat.data_size, stat.cumulative_size]
    }

    #[test]
    fn codec_decides_how_a_block_is_read() {
        assert_eq!(sizes(EMPTY_DIRECTORY, b"\x0a\x02\x08\x01"), [0, 4, 2, 2, 4]);
        assert_eq!(sizes(RAW, b"hello world"), [0, 11, 0, 11, 11]);
        assert_eq!(sizes(DAG_CBOR, b"\xa0"), [0, 1, 0, 1, 1]);
    }

    #[test]
    fn ipfs_path_of_a_cid_is_accepted() {
        assert_eq!(sizes(&format!("/ipfs/{RAW}"), b"hello"), [0, 5, 0, 5, 5]);
    }

    #[test]
    fn invalid_cid_and_invalid_dag_pb_are_named() {
        let error = stat("/ipfs/QmA/file", b"").unwrap_err().to_string();
        assert!(error.contains("/ipfs/QmA/file"), "{error}");
        let error = stat(EMPTY_DIRECTORY, b"\xff").unwrap_err().to_string();
        assert!(error.contains("not dag-pb"), "{error}");
    }

    #[test]
    fn answer_has_the_field_names_that_clients_decode() {
        let stat = serde_json::to_string(&stat(RAW, b"hello").unwrap()).unwrap();
        let expected =
            format!(r#"{{"Hash":"{RAW}","NumLinks":0,"BlockSize":5,"LinksSize":0,"DataSize":5,"CumulativeSize":5}}"#);
        assert_eq!(stat, expected);
    }

    #[test]
    fn other_arguments_are_kept() {
        let uri = "/api/v0/object/stat?arg=QmA&timeout=10s".parse().unwrap();
        assert_eq!(block_get(&uri), "/api/v0/block/get?arg=QmA&timeout=10s");
    }
}

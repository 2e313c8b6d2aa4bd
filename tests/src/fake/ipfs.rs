//! Kubo and IPFS Cluster on one port: content is added, pinned at once, read back and removed. Everything that is asked is noted.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

use super::FOREIGN;

/// The most that is read of a request.
const MOST: usize = 1 << 20;
/// The letters of base 32 as CIDs have them.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The running fake; it ends when this is dropped.
pub struct Ipfs {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Memory {
    /// The content of each CID that was added here.
    content: BTreeMap<String, Vec<u8>>,
    /// The metadata of each pin.
    pins: BTreeMap<String, BTreeMap<String, String>>,
    /// How many requests there were.
    asked: u64,
    /// What did not come from whoever adds content here.
    foreign: Vec<String>,
}

impl Ipfs {
    /// Starts it on a free port of this machine.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let router = Router::new().fallback(answer).with_state(memory.clone());
        let serving = tokio::spawn(async move {
            // It ends only with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, memory, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests there were.
    pub fn asked(&self) -> u64 {
        lock(&self.memory).asked
    }

    /// Requests about CIDs that were never added here, and those that an enemy has sent this way.
    pub fn foreign(&self) -> Vec<String> {
        lock(&self.memory).foreign.clone()
    }
}

impl Drop for Ipfs {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(memory): State<Arc<Mutex<Memory>>>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let Ok(body) = axum::body::to_bytes(request.into_body(), MOST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut memory = lock(&memory);
    memory.asked += 1;
    let asked = format!("{method} {uri}");
    if asked.contains(FOREIGN) {
        memory.foreign.push(asked.clone());
    }
    let path = uri.path();
    match path.split('/').skip(1).collect::<Vec<_>>().as_slice() {
        ["api", "v0", "add"] => {
            let content = content_of(&body);
            let cid = cid(&content);
            memory.content.insert(cid.clone(), content);
            said(&json!({"Name": cid, "Hash": cid, "Size": "1"}))
        }
        ["api", "v0", "cat" | "block", ..] => {
            let cid = pairs(&uri).remove("arg").unwrap_or_default();
            match memory.content.get(&cid) {
                Some(content) if path.ends_with("/cat") || path.ends_with("/get") => content.clone().into_response(),
                _ => said(&json!({"Hash": cid, "Key": cid, "Size": 1})),
            }
        }
        ["api", "v0", "id"] => said(&json!({"ID": "k", "Addresses": [], "AgentVersion": "kubo/0.39.0"})),
        ["api", "v0", "version"] => said(&json!({"Version": "0.39.0"})),
        ["api", "v0", ..] => said(&json!({})),
        ["id"] => said(&json!({"id": "c", "peername": "c", "version": "1.1.5", "cluster_peers": ["c"]})),
        // Whether there is a pin may be asked before its content is added.
        ["allocations", cid] => match memory.pins.get(*cid) {
            Some(metadata) => said(&json!({"cid": cid, "metadata": metadata})),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ["pins", cid, ..] => {
            if !memory.content.contains_key(*cid) {
                memory.foreign.push(asked);
                return StatusCode::NOT_FOUND.into_response();
            }
            if method == Method::POST {
                let metadata = pairs(&uri).into_iter();
                let metadata = metadata.filter_map(|(key, value)| Some((key.strip_prefix("meta-")?.to_owned(), value)));
                memory.pins.insert((*cid).to_owned(), metadata.collect());
            }
            let status = if method == Method::DELETE { "unpinned" } else { "pinned" };
            said(&json!({"cid": cid, "peer_map": {"c": {"status": status}}}))
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn said(answer: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// The CID of content as one raw block: version 1, codec `raw`, SHA-256.
fn cid(content: &[u8]) -> String {
    let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
    bytes.extend(Sha256::digest(content));
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |five: &[u8]| {
        let value = (0..5).fold(0, |value, bit| value << 1 | five.get(bit).copied().unwrap_or_default());
        char::from(LETTERS[usize::from(value)])
    };
    std::iter::once('b').chain(bits.chunks(5).map(letter)).collect()
}

/// The content of the only part of a form.
fn content_of(form: &Bytes) -> Vec<u8> {
    let text = form.as_ref();
    let start = find(text, b"\r\n\r\n").map_or(0, |head| head + 4);
    let boundary = find(text, b"\r\n").unwrap_or_default();
    let end = find(&text[start..], &[b"\r\n", &text[..boundary]].concat()).map_or(text.len(), |end| start + end);
    text[start..end].to_vec()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len().max(1)).position(|window| window == part)
}

/// The query, decoded.
fn pairs(uri: &Uri) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://fake{uri}")).ok();
    let pairs = url.iter().flat_map(reqwest::Url::query_pairs);
    pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_has_the_cid_that_kubo_gives_it() {
        // `echo hello | ipfs add --cid-version 1 --raw-leaves`
        assert_eq!(cid(b"hello\n"), "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am");
    }

    #[test]
    fn content_is_read_from_the_form() {
        let form = "--b\r\ncontent-disposition: form-data; name=\"path\"\r\n\r\nhello\n\r\n--b--\r\n";
        assert_eq!(content_of(&Bytes::from(form)), b"hello\n");
    }
}

//! krab, the key server: the only one that has private keys.
//!
//! The original speaks gRPC. Here a request is one line of JSON, and so is its answer:
//!
//! ```text
//! {"authorization": "…", "call": "put", "name": "ann-key", "private_key": "<base64>"}  ─▶  {"status": "private key stored"}
//! {"authorization": "…", "call": "get", "name": "ann-key"}                             ─▶  {"status": …, "private_key": …}
//! {"authorization": "…", "call": "list"}                                               ─▶  {"status": …, "key_ids": ["ann-key"]}
//! {"authorization": "…", "call": "delete", "name": "ann-key"}                          ─▶  {"status": "private key deleted"}
//!                                                                    whatever is wrong ─▶  {"error": "…"}
//! ```
//!
//! The greeting of HTTP/2 it answers as the original does, because a probe looks for that.

mod client;
mod store;

use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::listen::listen;
use crate::stop::Stop;
pub(crate) use client::Client;
use store::Store;

/// A frame of HTTP/2 with settings, of which it has none.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A request.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Request {
    authorization: String,
    call: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    private_key: String,
}

/// An answer.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Answer {
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    private_key: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key_ids: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

/// Serves until it is killed.
pub(crate) async fn run(config: &Config) -> Result<(), Stop> {
    let failed = |cause: String| Stop::caused("failed to start krab server", cause);
    // Without a scheme; an empty one is some port that nobody knows.
    let address = Some(config.get("Services.Krab.URL")).filter(|address| !address.is_empty()).unwrap_or(":0");
    let listener = listen(address).await.map_err(failed)?;
    if !config.get("Services.Krab.TLS.CertPath").is_empty() {
        return Err(failed("the stand-in's krab speaks no TLS".to_owned()));
    }
    let password = config.get("Services.Krab.KeystorePassword");
    let store = Arc::new(Store::open(config.get("IPFS.KeystorePath"), password).map_err(failed)?);
    let key: Arc<str> = config.get("Services.Krab.AuthKey").into();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, store.clone(), key.clone()));
        }
    }
}

async fn serve(stream: TcpStream, store: Arc<Store>, key: Arc<str>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // The original speaks HTTP/2, and answers its greeting with its settings.
        if line == "PRI * HTTP/2.0" {
            let _ = writer.write_all(SETTINGS).await;
            while let Ok(Some(_)) = lines.next_line().await {}
            return;
        }
        let answer = answer(&line, &store, &key).unwrap_or_else(|error| Answer { error, ..Answer::default() });
        let Ok(text) = serde_json::to_string(&answer) else { return };
        if writer.write_all(format!("{text}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(line: &str, store: &Store, key: &str) -> Result<Answer, String> {
    let request: Request = serde_json::from_str(line).map_err(|error| error.to_string())?;
    // An empty key matches an empty key.
    if request.authorization != key {
        return Err("rpc error: code = Unauthenticated desc = invalid key".to_owned());
    }
    let status = |status: &str| Answer { status: status.to_owned(), ..Answer::default() };
    match request.call.as_str() {
        "put" => {
            let private = BASE64.decode(request.private_key.as_bytes()).map_err(|error| error.to_string())?;
            store.put(&request.name, &private)?;
            Ok(status("private key stored"))
        }
        "get" => {
            let private_key = BASE64.encode(&store.get(&request.name)?);
            Ok(Answer { private_key, ..status("private key retrieved") })
        }
        "list" => Ok(Answer { key_ids: store.list()?, ..status("keys fetched") }),
        "delete" => {
            store.delete(&request.name)?;
            Ok(status("private key deleted"))
        }
        other => Err(format!("rpc error: code = Unimplemented desc = unknown method {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shared_key_is_accepted_even_an_empty_one() {
        let directory = store::Directory::new("krab-authorization");
        let store = Store::open(directory.path(), "password").unwrap();
        let line = |key: &str| format!("{{\"authorization\": {key:?}, \"call\": \"list\"}}");
        assert!(answer(&line("shared"), &store, "shared").is_ok());
        assert!(answer(&line("other"), &store, "shared").is_err());
        assert!(answer(&line(""), &store, "shared").is_err());
        assert!(answer("{\"call\": \"list\"}", &store, "").is_ok());
    }
}

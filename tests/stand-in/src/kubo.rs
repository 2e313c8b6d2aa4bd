//! Kubo's API as a client of 2020 uses it.

use std::time::Duration;

use axum::body::Bytes;
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::http;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Between the parts of an upload.
const BOUNDARY: &str = "0d7c4e62b1f94f0c8a3b5d6e7f809a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// A connection to the node; none is kept.
pub(crate) struct Kubo {
    client: Client,
    base: String,
}

/// What `object/stat` says. It has been removed from Kubo, so today only something between answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct Stat {
    hash: String,
    block_size: i64,
    pub(crate) cumulative_size: i64,
    pub(crate) data_size: i64,
    links_size: i64,
    num_links: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Added {
    hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Reference {
    r#ref: String,
    err: String,
}

/// What an error looks like; also where `id` does not say who it is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Refusal {
    message: String,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "ID", default)]
    _id: String,
    #[serde(rename = "Addresses", default)]
    _addresses: Option<Vec<String>>,
}

impl Kubo {
    /// Connects, which asks the node who it is.
    pub(crate) async fn connect(config: &Config) -> Result<Self, String> {
        let (host, port) = (config.get("IPFS.APIConnection.Host"), config.get("IPFS.APIConnection.Port"));
        let address = format!("{host}:{port}");
        let base = if host.starts_with("http") { address.clone() } else { format!("http://{address}") };
        let builder = http::client().timeout(PATIENCE).pool_max_idle_per_host(0);
        let kubo = Self { client: builder.build().map_err(|error| told(&error))?, base };
        let failed = |cause| format!("failed to connect to ipfs node at '{address}': {cause}");
        let answer = kubo.call("id", "").await.map_err(failed)?;
        read::<Identity>(answer).await.map_err(failed)?;
        Ok(kubo)
    }

    /// The CID of a file, which is kept too unless only its CID is asked for.
    pub(crate) async fn add(&self, file: &Bytes, hash: &str, only_hash: bool) -> Result<String, String> {
        let query = if only_hash { format!("hash={hash}&only-hash=true") } else { format!("hash={hash}") };
        let mut body = Vec::with_capacity(file.len() + 512);
        body.extend_from_slice(
            format!(
                "--{BOUNDARY}\r\nAbspath: \r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = self
            .client
            .post(format!("{}/api/v0/add?{query}", self.base))
            .header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .header("Content-Disposition", "form-data; name=\"files\"")
            .body(body);
        let answer = checked(request.send().await.map_err(|error| told(&error))?).await?;
        read::<Added>(answer).await.map(|added| added.hash)
    }

    /// The bytes of a file.
    pub(crate) async fn cat(&self, cid: &str) -> Result<Bytes, String> {
        let answer = self.call("cat", &format!("arg={}", escaped(cid))).await?;
        answer.bytes().await.map_err(|error| told(&error))
    }

    /// The size of an object.
    pub(crate) async fn stat(&self, cid: &str) -> Result<Stat, String> {
        read(self.call("object/stat", &format!("arg={}", escaped(cid))).await?).await
    }

    /// How many bytes a pin holds: of all that it refers to, each once, or of the whole where that says nothing.
    pub(crate) async fn size(&self, cid: &str) -> Result<i64, String> {
        let query = format!("arg={}&recursive=true&unique=true", escaped(cid));
        let answer = self.call("refs", &query).await?.bytes().await.map_err(|error| told(&error))?;
        let mut size = 0;
        for reference in serde_json::Deserializer::from_slice(&answer).into_iter::<Reference>() {
            let reference = reference.map_err(|error| error.to_string())?;
            if !reference.err.is_empty() {
                return Err(reference.err);
            }
            size += self.stat(&reference.r#ref).await?.data_size;
        }
        if size <= 0 {
            return Ok(self.stat(cid).await?.cumulative_size);
        }
        Ok(size)
    }

    /// Publishes a message as Kubo took it up to 0.10.
    pub(crate) async fn publish(&self, topic: &str, message: &str) -> Result<(), String> {
        self.call("pubsub/pub", &format!("arg={}&arg={}", escaped(topic), escaped(message))).await.map(drop)
    }

    /// Pins on the node itself.
    pub(crate) async fn pin(&self, cid: &str) -> Result<(), String> {
        self.call("pin/add", &format!("arg={}&recursive=true", escaped(cid))).await.map(drop)
    }

    async fn call(&self, command: &str, query: &str) -> Result<Response, String> {
        let sent = self.client.post(format!("{}/api/v0/{command}?{query}", self.base)).send().await;
        checked(sent.map_err(|error| told(&error))?).await
    }
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The deepest cause says most.
pub(crate) fn told(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

async fn checked(answer: Response) -> Result<Response, String> {
    let status = answer.status();
    if status.as_u16() < 400 {
        return Ok(answer);
    }
    // Whatever the body says.
    if status == StatusCode::NOT_FOUND {
        return Err("command not found".to_owned());
    }
    let header = answer.headers().get("Content-Type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header.split(';').next().unwrap_or_default().to_owned();
    let text = answer.text().await.map_err(|error| told(&error))?;
    Err(match kind.as_str() {
        "text/plain" => text,
        "application/json" => serde_json::from_str::<Refusal>(&text).unwrap_or_default().message,
        other => format!("unknown ipfs-shell error encoding: {other:?} - {text:?}"),
    })
}

/// Reads the first value: more may follow.
async fn read<T: for<'a> Deserialize<'a>>(answer: Response) -> Result<T, String> {
    let bytes = answer.bytes().await.map_err(|error| told(&error))?;
    let first = serde_json::Deserializer::from_slice(&bytes).into_iter().next();
    first.ok_or("EOF")?.map_err(|error| error.to_string())
}

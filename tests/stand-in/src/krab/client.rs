//! How the API and the queues use krab. Nothing is asked at the start.

use std::time::Duration;

use data_encoding::BASE64;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, Request};
use crate::config::Config;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a krab is.
pub(crate) struct Client {
    address: String,
    authorization: String,
}

impl Client {
    /// The one that must have a key.
    pub(crate) fn primary(config: &Config) -> Self {
        Self::new(config.get("Services.Krab.URL"), config.get("Services.Krab.AuthKey"))
    }

    /// The one that should have it too.
    pub(crate) fn fallback(config: &Config) -> Self {
        Self::new(config.get("Services.KrabFallback.URL"), config.get("Services.KrabFallback.AuthKey"))
    }

    fn new(address: &str, authorization: &str) -> Self {
        Self { address: address.to_owned(), authorization: authorization.to_owned() }
    }

    /// Stores a new key.
    pub(crate) async fn put(&self, name: &str, private: &[u8]) -> Result<(), String> {
        self.call("put", name, BASE64.encode(private)).await.map(drop)
    }

    /// Reads a key.
    pub(crate) async fn get(&self, name: &str) -> Result<Vec<u8>, String> {
        let answer = self.call("get", name, String::new()).await?;
        BASE64.decode(answer.private_key.as_bytes()).map_err(|error| error.to_string())
    }

    /// Forgets a key.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), String> {
        self.call("delete", name, String::new()).await.map(drop)
    }

    async fn call(&self, call: &str, name: &str, private_key: String) -> Result<Answer, String> {
        let authorization = self.authorization.clone();
        let request = Request { authorization, call: call.to_owned(), name: name.to_owned(), private_key };
        let unavailable = |cause: String| format!("rpc error: code = Unavailable desc = {cause}");
        let exchanged = timeout(PATIENCE, self.exchange(&request)).await;
        let exchanged = exchanged.map_err(|_| unavailable("it takes too long".to_owned()))?;
        let answer = exchanged.map_err(|error| unavailable(error.to_string()))?;
        if answer.error.is_empty() { Ok(answer) } else { Err(answer.error) }
    }

    async fn exchange(&self, request: &Request) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok(serde_json::from_str(&line)?)
    }
}

//! What Kubo and IPFS Cluster say of themselves, asked by the address of each pod: independent of the controller, whose word is
//! what is tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::{
    api::core::v1::{Pod, Service},
    jiff::Timestamp,
};
use reqwest::{Method, RequestBuilder, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use temporal_stack_common::api::IpfsCluster;
use tokio::time::{interval, timeout};

use crate::{HANG, One, Subject as _, http};

/// Kubo's RPC.
const RPC: u16 = 5001;
/// The REST API of IPFS Cluster.
const REST: u16 = 9094;
/// Kubo's gateway.
const GATEWAY: u16 = 8080;
/// IPFS Cluster's proxy of Kubo's RPC.
const PROXY: u16 = 9095;
/// Peers have no watch: how often they are asked again.
pub const TURN: Duration = Duration::from_millis(250);
/// How long one answer may take: a list of many pins takes its time.
const PATIENCE: Duration = Duration::from_secs(30);
/// What separates the files of an upload.
const BOUNDARY: &str = "e2e-b1a5c0de";

/// The pair of Kubo and IPFS Cluster at one address: a pod's, or the Service's, which is one pod or another each time.
#[derive(Clone, Debug)]
pub struct Peer {
    client: reqwest::Client,
    address: IpAddr,
}

/// Who a peer is, and whom it sees.
#[derive(Clone, Debug, Deserialize)]
pub struct Id {
    /// Its ID in IPFS Cluster.
    pub id: String,
    /// What it calls itself.
    pub peername: String,
    /// The peers that it sees, itself among them.
    pub cluster_peers: Vec<String>,
}

/// A pin as the pinset has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Allocation {
    /// Of what.
    pub cid: String,
    /// What it is called.
    pub name: String,
    /// The fewest copies.
    #[serde(rename = "replication_factor_min")]
    pub min: i32,
    /// The most copies.
    #[serde(rename = "replication_factor_max")]
    pub max: i32,
    /// What else is noted.
    pub metadata: Option<BTreeMap<String, String>>,
    /// When it ends; of the year 1 if never.
    pub expire_at: String,
    /// When it was created, or last updated.
    pub timestamp: Timestamp,
    /// Who is to hold it; nobody in particular where all are.
    pub allocations: Vec<String>,
}

/// What a peer says of its own copy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Copy {
    /// For instance `pinned`, `pin_error` or `remote`.
    pub status: String,
    /// Why it is none.
    pub error: String,
    /// How often it was tried.
    pub attempt_count: u32,
}

#[derive(Deserialize)]
struct Copies {
    cid: String,
    peer_map: BTreeMap<String, Copy>,
}

impl Peer {
    /// The one at this address.
    pub fn new(address: IpAddr) -> Result<Self> {
        // A connection that is kept would stay with one peer of a Service.
        let client = http::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build()?;
        Ok(Self { client, address })
    }

    /// Where it is.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Who it is in IPFS Cluster.
    pub async fn id(&self) -> Result<Id> {
        Ok(serde_json::from_str(&self.cluster(Method::GET, "id", &[]).await?)?)
    }

    /// All pins, by CID.
    pub async fn allocations(&self) -> Result<BTreeMap<String, Allocation>> {
        let all: Vec<Allocation> = lines(&self.cluster(Method::GET, "allocations", &[]).await?)?;
        Ok(all.into_iter().map(|pin| (pin.cid.clone(), pin)).collect())
    }

    /// The CIDs that it says to have itself.
    pub async fn holds(&self) -> Result<BTreeSet<String>> {
        let of_its_own = [("local", "true"), ("filter", "pinned")];
        let all: Vec<Copies> = lines(&self.cluster(Method::GET, "pins", &of_its_own).await?)?;
        let is_pinned = |copies: &Copies| copies.peer_map.values().any(|copy| copy.status == "pinned");
        Ok(all.into_iter().filter(is_pinned).map(|copies| copies.cid).collect())
    }

    /// What each peer says of its copy of a pin.
    pub async fn copies(&self, cid: &str) -> Result<BTreeMap<String, Copy>> {
        let copies: Copies = serde_json::from_str(&self.cluster(Method::GET, &format!("pins/{cid}"), &[]).await?)?;
        Ok(copies.peer_map)
    }

    /// Pins, with these parameters; what it was told before is forgotten.
    pub async fn pin(&self, cid: &str, parameters: &[(&str, &str)]) -> Result<()> {
        self.cluster(Method::POST, &format!("pins/{cid}"), parameters).await.map(drop)
    }

    /// Unpins.
    pub async fn unpin(&self, cid: &str) -> Result<()> {
        self.cluster(Method::DELETE, &format!("pins/{cid}"), &[]).await.map(drop)
    }

    /// Has a copy tried again that could not be made.
    pub async fn recover(&self, cid: &str) -> Result<()> {
        self.cluster(Method::POST, &format!("pins/{cid}/recover"), &[]).await.map(drop)
    }

    /// Gives files to Kubo, without pinning them, and returns their CIDs in that order.
    pub async fn add(&self, files: &[Vec<u8>]) -> Result<Vec<String>> {
        self.upload(files, &[]).await
    }

    /// The CID of what nobody has.
    pub async fn cid_of(&self, file: Vec<u8>) -> Result<String> {
        self.upload(&[file], &[("only-hash", "true")]).await?.pop().context("one file has one CID")
    }

    /// What Kubo has of a CID without asking others.
    pub async fn read(&self, cid: &str) -> Result<Vec<u8>> {
        let url = self.url(RPC, "api/v0/cat", &[("arg", cid), ("offline", "true")])?;
        bytes(self.client.post(url)).await
    }

    /// The CIDs that Kubo has pinned with all that belongs to them.
    pub async fn kubo_pins(&self) -> Result<BTreeSet<String>> {
        let answer = self.kubo("pin/ls", &[("type", "recursive")]).await?;
        Ok(answer["Keys"].as_object().into_iter().flatten().map(|(cid, _)| cid.clone()).collect())
    }

    /// Takes a pin away from Kubo, behind IPFS Cluster's back.
    pub async fn lose(&self, cid: &str) -> Result<()> {
        self.kubo("pin/rm", &[("arg", cid)]).await.map(drop)
    }

    /// The ID of its Kubo.
    pub async fn kubo_id(&self) -> Result<String> {
        let answer = self.kubo("id", &[]).await?;
        Ok(answer["ID"].as_str().context("Kubo has no ID")?.to_owned())
    }

    /// The Kubos that its Kubo is connected with.
    pub async fn connected(&self) -> Result<BTreeSet<String>> {
        let answer = self.kubo("swarm/peers", &[]).await?;
        let peers = answer["Peers"].as_array().into_iter().flatten();
        Ok(peers.filter_map(|peer| peer["Peer"].as_str().map(str::to_owned)).collect())
    }

    /// Kubo's configuration, without its key.
    pub async fn config(&self) -> Result<Value> {
        self.kubo("config/show", &[]).await
    }

    /// What the gateway serves of a CID.
    pub async fn served(&self, cid: &str) -> Result<Vec<u8>> {
        bytes(self.client.get(self.url(GATEWAY, &format!("ipfs/{cid}"), &[])?)).await
    }

    /// The Kubo that the proxy leads to.
    pub async fn proxied(&self) -> Result<String> {
        let answer: Value =
            serde_json::from_slice(&bytes(self.client.post(self.url(PROXY, "api/v0/id", &[])?)).await?)?;
        Ok(answer["ID"].as_str().context("Kubo has no ID")?.to_owned())
    }

    async fn upload(&self, files: &[Vec<u8>], more: &[(&str, &str)]) -> Result<Vec<String>> {
        let parameters = [&[("pin", "false"), ("cid-version", "1"), ("progress", "false")][..], more].concat();
        let url = self.url(RPC, "api/v0/add", &parameters)?;
        let mut body = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{number}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let request = self.client.post(url).header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}"));
        let answer = bytes(request.body(body)).await?;
        let added: Vec<Value> = lines(std::str::from_utf8(&answer)?)?;
        let cids: Vec<String> = added.iter().filter_map(|file| file["Hash"].as_str().map(str::to_owned)).collect();
        ensure!(cids.len() == files.len(), "{} files have {} CIDs", files.len(), cids.len());
        Ok(cids)
    }

    async fn kubo(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = self.url(RPC, &format!("api/v0/{path}"), parameters)?;
        let answer = bytes(self.client.post(url)).await?;
        serde_json::from_slice(&answer).with_context(|| format!("Kubo's answer to {path}"))
    }

    async fn cluster(&self, method: Method, path: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let url = self.url(REST, path, parameters)?;
        Ok(String::from_utf8(bytes(self.client.request(method, url)).await?)?)
    }

    fn url(&self, port: u16, path: &str, parameters: &[(&str, &str)]) -> Result<Url> {
        let mut url = Url::parse(&format!("http://{}:{port}/{path}", self.address))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }
}

async fn bytes(request: RequestBuilder) -> Result<Vec<u8>> {
    let answer = request.send().await?;
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.bytes().await.with_context(|| format!("{url} ends early"))?;
    ensure!(status.is_success(), "{url} is answered with {status}: {}", String::from_utf8_lossy(&body));
    Ok(body.into())
}

/// A JSON value a line.
fn lines<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no such line: {line}"))).collect()
}

/// Asks again and again, until the answer is as `wanted` says. Peers that start and stop answer nothing.
pub async fn until_answer<T: std::fmt::Debug>(
    what: &str,
    ask: impl AsyncFn() -> Result<T>,
    wanted: impl Fn(&T) -> bool,
) -> Result<T> {
    let mut turns = interval(TURN);
    let mut last = None;
    let found = timeout(HANG, async {
        loop {
            turns.tick().await;
            match ask().await {
                Ok(answer) if wanted(&answer) => return answer,
                other => last = Some(other),
            }
        }
    });
    match found.await {
        Ok(found) => Ok(found),
        Err(_) => bail!("waited {HANG:?} for {what}; last seen: {last:?}"),
    }
}

impl One<'_, IpfsCluster> {
    /// The peer with this ordinal.
    pub async fn peer(&self, ordinal: u32) -> Result<Peer> {
        let pod = self.api::<Pod>().get(&IpfsCluster::pod(ordinal)).await?;
        Peer::new(pod.status.and_then(|status| status.pod_ip).context("the pod has no address")?.parse()?)
    }

    /// The first so many peers.
    pub async fn peers(&self, count: u32) -> Result<Vec<Peer>> {
        let mut peers = Vec::new();
        for ordinal in 0..count {
            peers.push(self.peer(ordinal).await?);
        }
        Ok(peers)
    }

    /// Whichever peer the Service leads to.
    pub async fn service(&self) -> Result<Peer> {
        Peer::new(self.address_of(&IpfsCluster::set()).await?)
    }

    /// The address of a Service.
    pub async fn address_of(&self, service: &str) -> Result<IpAddr> {
        let service = self.api::<Service>().get(service).await?;
        Ok(service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")?.parse()?)
    }
}

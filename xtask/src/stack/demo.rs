//! `cargo xtask up --demo`: uploads a file, waits for its pins, and reads it back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use temporal_stack_common::message::counted;

use super::access::{Access, BINDING, IPFS_BINDING, Reached, entry};
use super::ipfs::{Gateway, Peers};
use super::objects::ADMIN;
use super::temporal::Api;
use crate::step::{Step, Steps};

/// The size of the file, in bytes.
const SIZE: usize = 64 * 1024;
const PINNED_WITHIN: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// The addresses that the demo uses, as this machine reaches them.
#[derive(Debug)]
struct Ends {
    api: Reached,
    ca: Option<Vec<u8>>,
    cluster: Reached,
    gateway: Reached,
    /// The number of peers; none for an external cluster.
    peers: Option<usize>,
}

/// Uploads a file as the first account, waits until every peer has pinned it, reads it back, and returns its CID.
pub fn run(steps: &mut Steps, access: &Access<'_>, api: &str) -> Result<String> {
    let ends = steps.run("prepare the demo", |step| ends(step, access, api))?;
    let account = steps.run("demo: log in", |step| {
        let secret = access.secret(step, ADMIN)?;
        let (username, password) = (entry(&secret, "username")?, entry(&secret, "password")?);
        Api::log_in(&ends.api, ends.ca.as_deref(), &username, &password)
    })?;
    let file: Vec<u8> = (0..SIZE).map(|_| rand::random()).collect();
    let cid = steps.run("demo: upload a file", |step| {
        let cid = account.upload("demo", file.clone())?;
        step.log(&cid);
        Ok(cid)
    })?;
    steps.run("demo: wait for pins on every peer", |step| {
        let cluster = Peers::new(&ends.cluster)?;
        until_pinned(step, &cluster, &cid, ends.peers)
    })?;
    steps.run("demo: read it back through the gateway", |_| {
        let read = Gateway::new(&ends.gateway)?.read(&cid)?;
        if read != file {
            bail!("file differs: {} bytes were uploaded, and {} other bytes read back", file.len(), read.len());
        }
        Ok(())
    })?;
    Ok(cid)
}

fn ends(step: &Step, access: &Access<'_>, api: &str) -> Result<Ends> {
    let binding = access.secret(step, BINDING)?;
    let ipfs = access.secret(step, IPFS_BINDING)?;
    let gateway = entry(&ipfs, "gateway-uri")
        .context("gateway missing: IpfsCluster/temporal has none; set spec.provider.kubo.gateway")?;
    Ok(Ends {
        api: access.reach(step, api)?,
        ca: binding.get("ca.crt").filter(|_| api.starts_with("https:")).cloned(),
        cluster: access.reach(step, &entry(&ipfs, "cluster-uri")?)?,
        gateway: access.reach(step, &gateway)?,
        peers: peers(step, access)?,
    })
}

fn peers(step: &Step, access: &Access<'_>) -> Result<Option<usize>> {
    let get = ["get", "ipfscluster.temporal-stack.dev", "temporal", "--namespace", access.namespace];
    let peers = access.kubectl.command(step).args(get).arg("--output=jsonpath={.status.replicas}").read()?;
    match peers.trim() {
        "" => Ok(None),
        peers => {
            Ok(Some(peers.parse().with_context(|| format!("status.replicas {peers} invalid: it is not a number"))?))
        }
    }
}

fn until_pinned(step: &Step, cluster: &Peers, cid: &str, peers: Option<usize>) -> Result<()> {
    let began = Instant::now();
    loop {
        let pin = cluster.pin(cid)?;
        let enough = pin.pinned >= peers.unwrap_or(1);
        if enough && pin.others.is_empty() {
            step.log(format!("pinned on {}", counted(pin.pinned, "peer")));
            return Ok(());
        }
        if began.elapsed() > PINNED_WITHIN {
            bail!(
                "pins missing after two minutes: pinned on {}; {}",
                counted(pin.pinned, "peer"),
                pin.others.join(", ")
            );
        }
        step.note(format!("{} of {}", pin.pinned, peers.unwrap_or(pin.pinned + pin.others.len())));
        std::thread::sleep(PAUSE);
    }
}

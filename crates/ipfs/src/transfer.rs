//! The pinset as a file: `ipfs-controller export` and `ipfs-controller import`.
//!
//! The file has one pin a line, as the peer lists it, which is what `ipfs-cluster-service state export` writes and
//! `state import` reads. It is a list of what is to be kept, not the content: whoever imports it must be able to get that from
//! somewhere.

mod file;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

use futures::{TryStreamExt, pin_mut};
use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::http::{Client, Server};

use crate::{
    ipfs_cluster::{self, Cluster, Pin},
    survey::original_wish,
};

/// How many pins are under way at once.
const UNDER_WAY: usize = 16;

/// Where a pinset comes from, or goes to.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The REST API of one peer of IPFS Cluster, for example the local end of `kubectl port-forward`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9094")]
    pub cluster_api: String,
    /// The file, one pin a line; `-` is standard output or standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Why a pinset was not written, or not all of it read.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is none.
    #[error("--cluster-api must be an address like http://127.0.0.1:9094")]
    Address,
    /// The peer does not list its pins.
    #[error("the pins could not be listed to the end, and {file} was not written")]
    Listed {
        /// What was to be written.
        file: String,
        /// What the peer did instead.
        #[source]
        source: ipfs_cluster::Failure,
    },
    /// The file cannot be written.
    #[error("{file} cannot be written")]
    Written {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be read, or not to its end.
    #[error("{file} cannot be read; until then: {imported}")]
    Read {
        /// The file.
        file: String,
        /// What became of what was read.
        imported: Imported,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Some lines are no pins, or were refused.
    #[error(
        "{0}: correct what is said above of each, and import the file again; what is pinned already takes no harm from it"
    )]
    Incomplete(Imported),
}

/// What became of the lines of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Pins that IPFS Cluster has taken.
    pub pinned: u64,
    /// Pins that have expired.
    pub skipped: u64,
    /// Lines that are no pins, and pins that IPFS Cluster has not taken.
    pub failed: u64,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pinned, skipped, failed } = self;
        write!(f, "{pinned} pinned, {skipped} expired and skipped, {failed} failed")
    }
}

/// Writes all pins to the file, which is there only when it is whole; returns, and says on standard error, how many there are.
pub async fn export(args: &Args) -> Result<u64, Failure> {
    let file = args.file.display().to_string();
    let unwritten = |source| Failure::Written { file: file.clone(), source };
    let lines = peer(&args.cluster_api)?.allocation_lines();
    pin_mut!(lines);
    let mut target = file::Target::new(&args.file).map_err(unwritten)?;
    let mut count = 0;
    while let Some(mut line) =
        lines.try_next().await.map_err(|source| Failure::Listed { file: file.clone(), source })?
    {
        line.push(b'\n');
        target.write(&line).map_err(unwritten)?;
        count += 1;
    }
    target.finish().map_err(unwritten)?;
    eprintln!("{count} pins exported to {file}");
    Ok(count)
}

/// Pins all that stands in the file, again or anew. What is skipped, what fails, each with the number of its line, and how many
/// there were in the end, is said on standard error.
pub async fn import(args: &Args) -> Result<Imported, Failure> {
    let (cluster, now) = (peer(&args.cluster_api)?, Timestamp::now());
    let mut imported = Imported::default();
    let unread = |imported, source| Failure::Read { file: args.file.display().to_string(), imported, source };
    let lines = file::lines(&args.file).map_err(|source| unread(imported, source))?;
    let outcomes = lines.map_ok(async |(number, line)| Ok((number, import_line(&cluster, &line, now).await)));
    let outcomes = outcomes.try_buffer_unordered(UNDER_WAY);
    pin_mut!(outcomes);
    while let Some((number, outcome)) = outcomes.try_next().await.map_err(|source| unread(imported, source))? {
        match outcome {
            Outcome::Pinned => imported.pinned += 1,
            Outcome::Skipped(cid) => {
                imported.skipped += 1;
                eprintln!("line {number}: {cid} has expired and is skipped");
            }
            Outcome::Failed(cause) => {
                imported.failed += 1;
                eprintln!("line {number}: {cause}");
            }
        }
    }
    if imported.failed > 0 {
        return Err(Failure::Incomplete(imported));
    }
    eprintln!("{imported}");
    Ok(imported)
}

/// What became of one line.
enum Outcome {
    Pinned,
    /// The CID.
    Skipped(String),
    /// Why.
    Failed(String),
}

async fn import_line(cluster: &Cluster, line: &str, now: Timestamp) -> Outcome {
    let pin: Pin = match serde_json::from_str(line) {
        Ok(pin) => pin,
        Err(error) => return Outcome::Failed(format!("this is no pin: {error}")),
    };
    if pin.is_expired(now) {
        return Outcome::Skipped(pin.cid);
    }
    if !pin.is_data() {
        let Pin { cid, kind, .. } = pin;
        return Outcome::Failed(format!(
            "{cid} was added in shards (it is a {kind}), which cannot be pinned from outside: add the content again"
        ));
    }
    // What the controller had raised for a while when the file was written is wanted as it was before.
    match cluster.pin(&pin, &original_wish(&pin)).await {
        Ok(()) => Outcome::Pinned,
        Err(failure) => Outcome::Failed(format!("{} is not pinned: {failure}", pin.cid)),
    }
}

/// The peer at a URL without path.
fn peer(url: &str) -> Result<Cluster, Failure> {
    let server = Server::of_url(url).filter(|server| !server.is_secure()).ok_or(Failure::Address)?;
    Ok(Cluster::at(&Client::new(), server))
}

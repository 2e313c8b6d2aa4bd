//! The pinset as a file: `ipfs-controller export` and `ipfs-controller import`.
//!
//! The file has one pin a line, as the peer lists it, which is what `ipfs-cluster-service state export` writes and
//! `state import` reads. It does not contain the content: the importing cluster must be able to fetch it.

mod file;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf, process::ExitCode};

use clap::{FromArgMatches, Subcommand};
use futures::{TryStreamExt, pin_mut};
use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{
    http::{Client, Server},
    message::counted,
    process::{self, Executable},
};

use crate::{
    Defaults, Ipfs,
    ipfs_cluster::{self, Cluster, Pin},
    survey::original_factors,
};

/// How many pins are requested at the same time.
const UNDER_WAY: usize = 16;

/// The program: runs the controller until it receives a signal, or transfers a pinset.
pub fn main(executable: Executable) -> ExitCode {
    let about = "Runs the peers of IpfsCluster objects and verifies them with a pin";
    let command = process::command::<Defaults>(executable, about).args_conflicts_with_subcommands(true);
    let matches = Transfer::augment_subcommands(command).get_matches();
    match Transfer::from_arg_matches(&matches) {
        Ok(transfer) => process::block_on(transfer.run()),
        Err(_) => process::block_on(process::controller(executable, &matches, Ipfs::new)),
    }
}

/// A transfer of a pinset.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Transfer {
    /// Writes the pinset of a cluster to a file.
    Export(Args),
    /// Pins the CIDs of such a file.
    Import(Args),
}

impl Transfer {
    /// Runs the transfer.
    pub async fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Export(args) => export(args).await.map(drop),
            Self::Import(args) => import(args).await.map(drop),
        }
    }
}

/// The source and target of a transfer.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The REST API of one peer of IPFS Cluster, for example the local end of `kubectl port-forward`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9094")]
    cluster_api: String,
    /// The file, one pin a line; `-` is standard output or standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Why a pinset was not written, or not read completely.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `--cluster-api` is not an address.
    #[error("--cluster-api is not an address; write it as http://127.0.0.1:9094")]
    Address,
    /// The peer does not list its pins.
    #[error("{0} was not written: the pins could not be listed completely")]
    List(String, #[source] ipfs_cluster::Failure),
    /// The file cannot be written.
    #[error("{0} cannot be written")]
    Write(String, #[source] std::io::Error),
    /// The file cannot be read completely.
    #[error("{0} cannot be read to the end; before that: {1}")]
    Read(String, Imported, #[source] std::io::Error),
    /// Some lines are not pins, or were refused.
    #[error("{0}; correct the lines that are listed above, and import the file again: pins that exist are not changed")]
    Incomplete(Imported),
}

/// The results of the lines of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Pins that IPFS Cluster has accepted.
    pub pinned: u64,
    /// Pins that have expired.
    pub skipped: u64,
    /// Lines that are not pins, and pins that IPFS Cluster has refused.
    pub failed: u64,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pinned, skipped, failed } = self;
        write!(f, "{pinned} pinned, {skipped} expired and skipped, {failed} failed")
    }
}

/// Writes all pins to the file, which exists only when it is complete. Returns their number, and prints it on standard error.
async fn export(args: &Args) -> Result<u64, Failure> {
    let file = args.file.display().to_string();
    let unwritten = |source| Failure::Write(file.clone(), source);
    let lines = peer(&args.cluster_api)?.allocation_lines();
    pin_mut!(lines);
    let mut target = file::Target::new(&args.file).map_err(unwritten)?;
    let mut count = 0;
    while let Some(mut line) = lines.try_next().await.map_err(|source| Failure::List(file.clone(), source))? {
        line.push(b'\n');
        target.write(&line).map_err(unwritten)?;
        count += 1;
    }
    target.finish().map_err(unwritten)?;
    eprintln!("{} exported to {file}", counted(count, "pin"));
    Ok(count)
}

/// Pins all CIDs of the file. Skipped and failed lines, and the total numbers, are printed on standard error.
async fn import(args: &Args) -> Result<Imported, Failure> {
    let (cluster, now) = (peer(&args.cluster_api)?, Timestamp::now());
    let mut imported = Imported::default();
    let unread = |imported, source| Failure::Read(args.file.display().to_string(), imported, source);
    let lines = file::lines(&args.file).map_err(|source| unread(imported, source))?;
    let outcomes = lines.map_ok(async |(number, line)| Ok((number, import_line(&cluster, &line, now).await)));
    let outcomes = outcomes.try_buffer_unordered(UNDER_WAY);
    pin_mut!(outcomes);
    while let Some((number, outcome)) = outcomes.try_next().await.map_err(|source| unread(imported, source))? {
        match outcome {
            LineOutcome::Pinned => imported.pinned += 1,
            LineOutcome::Skipped(cid) => {
                imported.skipped += 1;
                eprintln!("line {number}: {cid} has expired and is skipped");
            }
            LineOutcome::Failed(cause) => {
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

/// The result of one line.
enum LineOutcome {
    Pinned,
    /// The CID.
    Skipped(String),
    /// Why.
    Failed(String),
}

async fn import_line(cluster: &Cluster, line: &str, now: Timestamp) -> LineOutcome {
    let pin: Pin = match serde_json::from_str(line) {
        Ok(pin) => pin,
        Err(error) => return LineOutcome::Failed(format!("not a pin: {error}")),
    };
    if pin.is_expired(now) {
        return LineOutcome::Skipped(pin.cid);
    }
    if !pin.is_data() {
        let Pin { cid, kind, .. } = pin;
        return LineOutcome::Failed(format!(
            "{cid} is a {kind} of content that was added in shards, which cannot be imported; add the content again"
        ));
    }
    // A pin that was raised when the file was written gets its original factors.
    match cluster.pin(&pin, &original_factors(&pin)).await {
        Ok(()) => LineOutcome::Pinned,
        Err(failure) => LineOutcome::Failed(format!("{} is not pinned: {failure}", pin.cid)),
    }
}

/// The peer at a URL without path.
fn peer(url: &str) -> Result<Cluster, Failure> {
    let server = Server::of_url(url).filter(|server| !server.is_secure()).ok_or(Failure::Address)?;
    Ok(Cluster::at(&Client::new(), server))
}

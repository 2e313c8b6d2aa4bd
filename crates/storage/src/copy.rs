//! `storage-controller copy`: what is in the buckets of one object storage, into another one. It is how the engine of an
//! `ObjectStorage` is changed.
//!
//! ```text
//!   location  --from and --to: a Secret, or a mounted one
//!   bucket    prepares the bucket, copies its objects, checks the result
//!   walk      the objects of a bucket with their versions, in the order of their keys
//!   align     which versions are missing                                                  ── pure
//!   object    copies the missing versions of one object
//!   content   reads, stores and compares the bytes
//!   check     compares the lists of both sides when all is copied
//!   tally     what was done, in words
//! ```
//!
//! # Guarantees
//!
//! * Nothing is removed on either side, and nothing but objects, versions and tags that are missing is written.
//! * Each content is checked when it is stored: the MD5 that the target has, or those of the parts, is that of the bytes which were
//!   read, and where the source knows the MD5, it is that one.
//! * It can be repeated after any interruption: what the target has already is compared and not written again.
//! * The tags of each version are compared, also of those that the target has already, and set where they differ.
//! * A success means that both sides have the same objects, of the same sizes, in the same order of versions, with the same tags.
//!
//! # Caveats
//!
//! Stop the writers first: what changes meanwhile is found by the last check, and copied by the next run. Policies, ACLs, lifecycle
//! rules and times of modification are not copied: the target's settings come from its own `ObjectStorage`. Objects of more than
//! 156 GiB are not copied. An upload in parts that was interrupted remains at the target until the engine or a lifecycle rule removes
//! it.

mod align;
mod bucket;
mod check;
mod content;
mod location;
mod object;
mod tally;
mod walk;

use std::process::ExitCode;

use clap::{FromArgMatches as _, Subcommand as _};
use temporal_stack_common::{
    process::{self, Executable},
    s3,
};

use self::location::Location;
use crate::{Defaults, Storage};

/// The program: runs the controller until it receives a signal, or copies buckets.
pub fn main(executable: Executable) -> ExitCode {
    let about = "Runs the engines of ObjectStorage objects and verifies their buckets";
    let command = process::command::<Defaults>(executable, about).args_conflicts_with_subcommands(true);
    let matches = Command::augment_subcommands(command).get_matches();
    match Command::from_arg_matches(&matches) {
        Ok(Command::Copy(arguments)) => process::block_on(run(&arguments)),
        Err(_) => process::block_on(process::controller(executable, &matches, Storage::new)),
    }
}

/// What the program does instead of running the controller.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Copies buckets from one object storage to another, with metadata, versions and tags; repeat it until nothing is missing.
    Copy(Arguments),
}

/// What is copied.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Where to copy from: a Secret `[NAMESPACE/]NAME`, the folder of a mounted one, or a file of `kubectl get secret -o json`.
    ///
    /// A binding names its bucket. A Secret as for `spec.provider.external` has none: then all buckets of its key are copied.
    #[arg(long, value_name = "SECRET")]
    from: String,
    /// Where to copy to, in the same forms. A bucket that is absent is created where the key may do so.
    #[arg(long, value_name = "SECRET")]
    to: String,
    /// Copy this bucket only; repeat it for several.
    #[arg(long = "bucket", value_name = "NAME")]
    buckets: Vec<String>,
    /// The context of the kubeconfig to use; its current one by default.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// Why buckets were not copied.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// A side cannot be read from its argument.
    #[error("{option} {message}")]
    Location {
        /// The argument.
        option: &'static str,
        /// The error in it, with the remedy.
        message: String,
    },
    /// Both sides are the same bucket.
    #[error("--from and --to are the same bucket {bucket} of the same object storage; give another one")]
    Same {
        /// The bucket.
        bucket: String,
    },
    /// Several buckets cannot become one.
    #[error("the Secret of --to has only bucket {bucket}, but --from has {count} buckets; choose one with --bucket")]
    Several {
        /// The bucket.
        bucket: String,
        /// How many buckets --from has.
        count: usize,
    },
    /// A bucket is absent or foreign.
    #[error("bucket {bucket} of {side} {state}")]
    Bucket {
        /// The argument.
        side: &'static str,
        /// The bucket.
        bucket: String,
        /// Its state, with the remedy.
        state: &'static str,
    },
    /// An object storage does not do as it was asked.
    #[error("bucket {bucket} could not be {step}")]
    Storage {
        /// The bucket.
        bucket: String,
        /// What was being done.
        step: &'static str,
        /// The cause.
        #[source]
        source: s3::Failure,
    },
    /// Some objects are not copied, or differ.
    #[error("{0}; correct the cause and run the command again: what is copied already is not copied again")]
    Incomplete(String),
}

/// Copies what the arguments say.
async fn run(arguments: &Arguments) -> Result<(), Error> {
    let context = arguments.context.as_deref();
    let from = location::read("--from", &arguments.from, context).await?;
    let to = location::read("--to", &arguments.to, context).await?;
    let mut incomplete = Vec::new();
    for (source, target) in pairs(&from, &to, &arguments.buckets).await? {
        let tally = bucket::copy(&from.client, &source, &to.client, &target).await?;
        println!("bucket {source} to {target}: {tally}");
        if !tally.is_complete() {
            incomplete.push(source);
        }
    }
    if incomplete.is_empty() {
        return Ok(());
    }
    Err(Error::Incomplete(format!("buckets not copied completely: {}", incomplete.join(", "))))
}

/// Which bucket is copied into which.
async fn pairs(from: &Location, to: &Location, only: &[String]) -> Result<Vec<(String, String)>, Error> {
    let all = match &from.bucket {
        Some(bucket) => vec![bucket.clone()],
        None if only.is_empty() => {
            let listed = from.client.buckets().await;
            listed.map_err(|source| Error::Storage { bucket: "list".to_owned(), step: "read", source })?
        }
        None => only.to_vec(),
    };
    let sources: Vec<String> = all.into_iter().filter(|bucket| only.is_empty() || only.contains(bucket)).collect();
    let absent = only.iter().find(|bucket| !sources.contains(bucket));
    if let Some(bucket) = absent {
        let state = "is not the bucket in the Secret; remove --bucket";
        return Err(Error::Bucket { side: "--from", bucket: bucket.clone(), state });
    }
    if let Some(bucket) = to.bucket.clone().filter(|_| sources.len() > 1) {
        return Err(Error::Several { bucket, count: sources.len() });
    }
    let target = |source: &String| to.bucket.clone().unwrap_or_else(|| source.clone());
    let pairs: Vec<(String, String)> = sources.iter().map(|source| (source.clone(), target(source))).collect();
    match pairs.iter().find(|(source, target)| source == target && from.endpoint == to.endpoint) {
        Some((bucket, _)) => Err(Error::Same { bucket: bucket.clone() }),
        None => Ok(pairs),
    }
}

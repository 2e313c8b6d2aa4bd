//! A **stand-in** for `RTradeLtd`'s Temporal v2.8.0, the IPFS pinning service of 2020. It is not Temporal.
//!
//! No package registry has Temporal's image, so tests that must not depend on one use this program: it keeps the contract
//! between Temporal and what it runs on, and little else. Whoever has the image uses that.
//!
//! ```text
//!   environment ─▶ config ─┬─▶ api ──── publishes ──▶ RabbitMQ ──▶ queue ipfs cluster ──▶ IPFS Cluster
//!                          │    │  └── adds, stats ─▶ Kubo         queue ipfs key-creation ─▶ krab ─▶ its directory
//!                          │    └───── users, usage ─▶ PostgreSQL ◀── uploads ── every queue
//!                          └─▶ migrate, user, admin ─▶ PostgreSQL
//! ```
//!
//! | kept, as strict as the original | not kept |
//! |---|---|
//! | flags, subcommands, exit statuses, when a refused dependency ends the process | colours, help texts of subcommands |
//! | names in the environment, and that wrong ones are ignored; the file instead of it | fields that the original does not read |
//! | tables and columns as gorm makes them; `migrate` that exits 0 whatever fails | payments, zones, organizations: empty tables |
//! | TLS to PostgreSQL before plain text; an unquoted data source | checking PostgreSQL's certificate; a pool: one connection |
//! | queues, messages, unconfirmed publishing, acknowledging what failed | TLS to RabbitMQ |
//! | the calls to Kubo and IPFS Cluster, their answers as in 2020 | private networks, encryption of uploads |
//! | rate limit, redirect to https, JWT, size limit, 32 MiB of an upload in memory | CORS, XSS removal, all other routes |
//! | krab's directory, its lock, keys under a password, the shared key | krab's gRPC and TLS: one line of JSON each way |
//! | `ipns-entry`: port 3999, its directory, the row of a record | publishing to the DHT |
//! | certificates must be RSA, which the original needs below TLS 1.3 | ECDSA with TLS 1.3, ciphers without forward secrecy |
//! | – | RSA keys from `key-creation`, mail, Lens, Nexus, payments |

#![allow(clippy::disallowed_methods, reason = "it behaves as the original does, and is no controller")]

mod api;
mod arguments;
mod broker;
#[cfg(test)]
mod calls;
mod cid;
mod cluster;
mod command;
mod config;
mod database;
mod http;
mod krab;
mod kubo;
mod listen;
mod lock;
mod log;
mod multiaddr;
mod signal;
mod stop;
mod worker;

use std::env;
use std::process::ExitCode;

use crate::stop::Stop;

/// What it says its version is: nobody shall take it for the original.
const VERSION: &str = concat!("v2.8.0-stand-in.", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let run = |()| tokio::runtime::Runtime::new().map_err(|error| Stop::exit(error.to_string()));
    let ended = run(()).and_then(|runtime| {
        let ended = runtime.block_on(command::run(&arguments));
        // Nothing is waited for: the original is gone at once, too.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            if !stop.said.is_empty() {
                eprintln!("{}", stop.said);
            }
            ExitCode::from(stop.code)
        }
    }
}

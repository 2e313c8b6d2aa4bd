//! The program.

use std::process::ExitCode;

use clap::FromArgMatches;
use temporal_stack_common::{
    driver,
    process::{self, Args, Executable},
};

use crate::{Defaults, LinkerdMesh, names::ABOUT};

/// Runs the controller until it receives a signal. Unlike other controllers it writes to objects of others, with the client of the
/// process.
pub fn main(executable: Executable) -> ExitCode {
    let matches = process::command::<Defaults>(executable, ABOUT).get_matches();
    let arguments = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let defaults = Defaults::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let Executable { name, version } = executable;
    // Boxed, so that it is compiled with the library.
    process::block_on(Box::pin(process::run(name, version, arguments, |process| {
        driver::run(LinkerdMesh::new(defaults, process.client.clone()), process)
    })))
}

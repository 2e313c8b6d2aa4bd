//! The `main` of every controller: arguments in, an exit code out.

use std::process::ExitCode;

use clap::{ArgMatches, Command, FromArgMatches};

use super::{Args, Error, install_crypto, run};
use crate::{component::Component, driver, failure::chain};

/// The name and version of a program: [`executable!`](crate::executable) in its `main.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Executable {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// The name and version of the program that calls it in its `main.rs`.
#[macro_export]
macro_rules! executable {
    () => {
        $crate::process::Executable { name: env!("CARGO_BIN_NAME"), version: $crate::version!() }
    };
}

/// Runs the controller of a component that is created from its defaults `D`, until it receives a signal. `about` is the first
/// line of its help.
pub fn main<C: Component, D: clap::Args>(
    executable: Executable,
    about: &'static str,
    component: fn(D) -> C,
) -> ExitCode {
    let matches = command::<D>(executable, about).get_matches();
    block_on(controller(executable, &matches, component))
}

/// The command line of a controller: the arguments that all share, and its defaults.
pub fn command<D: clap::Args>(executable: Executable, about: &'static str) -> Command {
    let command = Command::new(executable.name).version(executable.version).about(about);
    D::augment_args(<Args as clap::Args>::augment_args(command))
}

/// Runs the controller of a command line.
///
/// # Errors
///
/// Those of [`run`].
pub async fn controller<C: Component, D: FromArgMatches>(
    Executable { name, version }: Executable,
    matches: &ArgMatches,
    component: fn(D) -> C,
) -> Result<(), Error> {
    let arguments = Args::from_arg_matches(matches).unwrap_or_else(|error| error.exit());
    let defaults = D::from_arg_matches(matches).unwrap_or_else(|error| error.exit());
    // Boxed, so that it is compiled with the library of the component, and a program of another version builds quickly.
    Box::pin(run(name, version, arguments, |process| driver::run(component(defaults), process))).await
}

/// Runs a program to its end, and prints its error.
pub fn block_on<E: std::error::Error + 'static>(program: impl Future<Output = Result<(), E>>) -> ExitCode {
    install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("error: {}", chain(error));
    ExitCode::FAILURE
}

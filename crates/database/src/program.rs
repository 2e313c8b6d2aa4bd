//! The program: arguments, and what it runs.

use std::process::ExitCode;

use temporal_stack_common::process::{self, Executable};

use crate::Database;

/// Runs the controller until it receives a signal.
pub fn main(executable: Executable) -> ExitCode {
    process::main(
        executable,
        "Runs the databases of PostgresDatabase objects and verifies them with SQL",
        Database::new,
    )
}

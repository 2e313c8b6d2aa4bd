//! The controller of `PostgresDatabase`, as a process.

fn main() -> std::process::ExitCode {
    temporal_stack_database::main(temporal_stack_common::executable!())
}

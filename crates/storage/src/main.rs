//! The controller of `ObjectStorage`, as a process.

fn main() -> std::process::ExitCode {
    temporal_stack_storage::main(temporal_stack_common::executable!())
}

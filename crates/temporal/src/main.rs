//! The controller of `Temporal`, as a process.

fn main() -> std::process::ExitCode {
    temporal_stack_temporal::main(temporal_stack_common::executable!())
}

//! The controller of `MessageQueue`, as a process.

fn main() -> std::process::ExitCode {
    temporal_stack_queue::main(temporal_stack_common::executable!())
}

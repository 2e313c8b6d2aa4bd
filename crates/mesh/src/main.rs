//! The controller of `Mesh`, as a process.

fn main() -> std::process::ExitCode {
    temporal_stack_mesh::main(temporal_stack_common::executable!())
}

//! The controller of `IpfsCluster`, as a process.

fn main() -> std::process::ExitCode {
    temporal_stack_ipfs::main(temporal_stack_common::executable!())
}

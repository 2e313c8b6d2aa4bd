//! `cargo xtask node`: the local Kubernetes.
//!
//! ```text
//! machine  packages, bridge, rules ── up ──▶ containerd ─▶ etcd, API server, controllers ─▶ kubelet, proxy ─▶ DNS, volumes
//!                                  ◀─ down ─ sweep: processes, mounts, links, rules, control groups
//! ```
//!
//! A start after a crash is a `sweep` and a start. Only resources with the node's own names or places are touched.

use anyhow::Result;
use clap::{Args, Subcommand};

pub mod cgroups;
pub mod containerd;
pub mod control_plane_only;
pub mod daemons;
pub mod down;
pub mod leftovers;
pub mod mounts;
pub mod network;
pub mod own_images;
pub mod settings;
pub mod status;
pub mod up;

use crate::stack::cloud_native_pg;

pub use containerd::import;
pub use control_plane_only::Controllers;
pub use down::down;
pub use leftovers::leftovers;
pub use up::up;

/// What to do with the local Kubernetes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start or repair it; does nothing if everything runs.
    Up(Up),
    /// Stop it and keep its objects and volumes for the next `up`.
    Down(Down),
    /// Print what runs, where its kubeconfig is and how much memory it takes.
    Status,
}

/// How to start the local Kubernetes.
#[derive(Debug, Args)]
pub struct Up {
    /// Only etcd, the API server and its controllers, without a node: for tests of the API.
    #[arg(long)]
    control_plane: bool,
    /// Also install CloudNativePG, for databases with the provider `cloudNativePg`.
    #[arg(long, conflicts_with = "control_plane")]
    cloud_native_pg: bool,
    /// Do not ask before installing packages or changing the network.
    #[arg(long, short)]
    yes: bool,
}

/// How to stop the local Kubernetes.
#[derive(Debug, Args)]
pub struct Down {
    /// Stop the control plane that `up --control-plane` started, and delete its data.
    #[arg(long)]
    control_plane: bool,
    /// Also delete etcd's data and all volumes.
    #[arg(long, conflicts_with = "control_plane")]
    delete_data: bool,
    /// Do not ask before deleting.
    #[arg(long, short)]
    yes: bool,
}

/// Runs the subcommand.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up(Up { control_plane, cloud_native_pg, yes }) => {
            let kubeconfig =
                if *control_plane { control_plane_only::up(*yes, Controllers::Running)? } else { up(*yes)? };
            if *cloud_native_pg {
                cloud_native_pg::add(&kubeconfig)?;
            }
            println!("export KUBECONFIG={}", kubeconfig.display());
            Ok(())
        }
        Command::Down(Down { control_plane: true, .. }) => control_plane_only::down(),
        Command::Down(Down { delete_data, yes, .. }) => down(*delete_data, *yes),
        Command::Status => status::status(),
    }
}

//! The settings of an installation.

use temporal_stack_common::network::Home;

/// The settings of an installation, which operators give by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The namespace of Linkerd's control plane.
    #[arg(long, env = "LINKERD_NAMESPACE", value_name = "NAMESPACE", default_value = "linkerd")]
    pub linkerd_namespace: String,
    /// The namespace of the controllers.
    #[command(flatten)]
    pub home: Home,
}

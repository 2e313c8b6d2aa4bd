#![doc = include_str!("../README.md")]

mod access;
mod act;
mod brief;
mod decide;
mod desire;
#[cfg(test)]
mod fixture;
mod identity;
mod ipfs_cluster;
mod kubo;
mod kubo_config;
mod names;
mod observe;
mod observed;
mod reason;
mod settings;
mod status;
mod survey;
mod transfer;
mod verify;

use temporal_stack_common::{
    api::IpfsCluster,
    component::{Component, Decision, Memos, Verdict},
    http::Client,
    watches::Watches,
    world::{ReadError, World},
};

pub use act::Action;
pub use observed::Observed;
pub use transfer::{Transfer, main};
pub use verify::Probe;

/// The settings of an installation, which operators give by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of Kubo where the object names none.
    #[arg(long, env = "RELATED_IMAGE_KUBO", value_name = "IMAGE", default_value = "ipfs/kubo:v0.42.0")]
    pub kubo_image: String,
    /// The image of IPFS Cluster where the object names none.
    #[arg(long, env = "RELATED_IMAGE_IPFS_CLUSTER", value_name = "IMAGE", default_value = "ipfs/ipfs-cluster:v1.1.6")]
    pub cluster_image: String,
    /// The namespace of the controllers.
    #[command(flatten)]
    pub home: temporal_stack_common::network::Home,
}

/// The component: the settings of the installation, and a pool of connections.
#[derive(Clone, Debug)]
pub struct Ipfs {
    defaults: Defaults,
    client: Client,
}

impl Ipfs {
    /// A component with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults, client: Client::new() }
    }
}

impl Component for Ipfs {
    type Kind = IpfsCluster;
    type Observed = Observed;
    type Action = Action;
    type Probe = Probe;
    type Error = ReadError;
    const NAME: &'static str = names::COMPONENT;
    const PROGRAMS: &'static [temporal_stack_common::readiness::Program] = names::PROGRAMS;
    fn watches() -> Watches<IpfsCluster> {
        observe::watches()
    }
    async fn observe(&self, object: &IpfsCluster, world: &World<'_>) -> Result<Observed, ReadError> {
        observe::observe(object, world, &self.client).await
    }
    fn decide(&self, object: &IpfsCluster, observed: &Observed) -> Decision<Self> {
        decide::decide(object, observed, &self.defaults)
    }
    async fn act(&self, action: &Action, memos: &Memos) -> Result<(), ReadError> {
        act::act(action, &self.client, memos).await;
        Ok(())
    }
    async fn verify(&self, probe: &Probe, _: &Memos) -> Verdict {
        verify::verify(probe, &self.client).await
    }
}

#![doc = include_str!("../README.md")]

mod access;
mod act;
mod copy;
mod decide;
mod desire;
mod engine;
#[cfg(test)]
mod fixture;
mod names;
mod observe;
mod observed;
mod reason;
mod rook;
mod status;
mod verify;

use temporal_stack_common::{
    api::ObjectStorage,
    component::{Component, Decision, Memos, Verdict},
    network::Home,
    readiness::Program,
    watches::Watches,
    world::World,
};

pub use act::{Action, Error};
pub use copy::{Command, main};
pub use observed::Observed;
pub use verify::Probe;

/// The settings of an installation, which operators give by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of MinIO servers whose object names none.
    #[arg(
        long,
        env = "RELATED_IMAGE_MINIO",
        value_name = "IMAGE",
        default_value = "pgsty/silo:RELEASE.2026-09-16T00-00-00Z"
    )]
    pub minio_image: String,
    /// The image of Versity S3 Gateways whose object names none.
    #[arg(long, env = "RELATED_IMAGE_VERSITY", value_name = "IMAGE", default_value = "versity/versitygw:v1.8.0")]
    pub versity_image: String,
    /// The namespace of the controllers.
    #[command(flatten)]
    pub home: Home,
}

/// The component: the settings of the installation, and no state.
#[derive(Clone, Debug)]
pub struct Storage {
    defaults: Defaults,
}

impl Storage {
    /// A component with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults }
    }
}

impl Component for Storage {
    type Kind = ObjectStorage;
    type Observed = Observed;
    type Action = Action;
    type Probe = Probe;
    type Error = Error;
    const NAME: &'static str = names::COMPONENT;
    const PROGRAMS: &'static [Program] = names::PROGRAMS;
    fn watches() -> Watches<ObjectStorage> {
        observe::watches()
    }
    async fn observe(&self, object: &ObjectStorage, world: &World<'_>) -> Result<Observed, Error> {
        Ok(observe::observe(object, world).await?)
    }
    fn decide(&self, object: &ObjectStorage, observed: &Observed) -> Decision<Self> {
        decide::decide(object, observed, &self.defaults)
    }
    async fn act(&self, action: &Action, memos: &Memos) -> Result<(), Error> {
        Ok(act::act(action, &memos.get::<observed::Memory>()).await?)
    }
    async fn verify(&self, probe: &Probe, memos: &Memos) -> Verdict {
        verify::verify(probe, &memos.get::<observed::Memory>()).await
    }
}

#![doc = include_str!("../README.md")]

mod access;
mod act;
mod decide;
mod desire;
#[cfg(test)]
mod fixture;
mod names;
mod observe;
mod observed;
mod postgres;
mod rabbit;
mod reason;
mod role;
mod settings;
mod status;
mod verify;

use temporal_stack_common::{
    api::Temporal,
    component::{Component, Decision, Memos, Verdict},
    network::Home,
    process::{self, Executable},
    readiness::Program,
    watches::Watches,
    world::World,
};

pub use act::{Action, Error};
pub use observed::Observed;
pub use verify::Probe;

/// The settings of an installation, which operators give by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of Temporal where the object names none.
    #[arg(long, env = "RELATED_IMAGE_TEMPORAL", value_name = "IMAGE", default_value = "rtradetech/temporal:v2.8.0")]
    pub temporal_image: String,
    /// The image of the bridge.
    #[arg(long, env = "RELATED_IMAGE_BRIDGE", value_name = "IMAGE", default_value = "temporal-stack/bridge:0.1.0")]
    pub bridge_image: String,
    /// The namespace of the controllers.
    #[command(flatten)]
    pub home: Home,
}

/// The component: the settings of the installation, and no state.
#[derive(Clone, Debug)]
pub struct Application {
    defaults: Defaults,
}

impl Application {
    /// A component with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults }
    }
}

/// The program: runs the controller until it receives a signal.
pub fn main(executable: Executable) -> std::process::ExitCode {
    process::main(executable, names::ABOUT, Application::new)
}

impl Component for Application {
    type Kind = Temporal;
    type Observed = Observed;
    type Action = Action;
    type Probe = Probe;
    type Error = Error;
    const NAME: &'static str = names::COMPONENT;
    const PROGRAMS: &'static [Program] = names::PROGRAMS;
    fn watches() -> Watches<Temporal> {
        observe::watches()
    }
    async fn observe(&self, object: &Temporal, world: &World<'_>) -> Result<Observed, Error> {
        Ok(observe::observe(object, world).await?)
    }
    fn decide(&self, object: &Temporal, observed: &Observed) -> Decision<Self> {
        decide::decide(object, observed, &self.defaults)
    }
    async fn act(&self, action: &Action, _: &Memos) -> Result<(), Error> {
        act::act(action).await
    }
    async fn verify(&self, probe: &Probe, _: &Memos) -> Verdict {
        verify::verify(probe).await
    }
}

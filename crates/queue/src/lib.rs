#![doc = include_str!("../README.md")]

mod access;
mod act;
mod amqp;
mod decide;
mod desire;
#[cfg(test)]
mod fixture;
mod names;
mod observe;
mod observed;
mod rabbit;
mod reason;
mod settings;
mod status;
mod verify;

use temporal_stack_common::{
    api::MessageQueue,
    component::{Component, Decision, Memos, Verdict},
    http::Client,
    network::Home,
    process::{self, Executable},
    readiness::Program,
    watches::Watches,
    world::World,
};

pub use act::{Action, Error};
pub use observed::Observed;
pub use rabbit::Failure;
pub use verify::Probe;

/// The settings of an installation, which operators give by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of brokers whose object names none.
    #[arg(long, env = "RELATED_IMAGE_RABBITMQ", value_name = "IMAGE", default_value = "rabbitmq:4.0.9")]
    pub rabbitmq_image: String,
    /// The namespace of the controllers.
    #[command(flatten)]
    pub home: Home,
}

/// The component: the settings of the installation, and a client for management APIs.
#[derive(Clone, Debug)]
pub struct Queue {
    defaults: Defaults,
    client: Client,
}

impl Queue {
    /// A component with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults, client: Client::new() }
    }
}

/// The program: runs the controller until it receives a signal.
pub fn main(executable: Executable) -> std::process::ExitCode {
    process::main(executable, "Runs the brokers of MessageQueue objects and verifies them with a message", Queue::new)
}

impl Component for Queue {
    type Kind = MessageQueue;
    type Observed = Observed;
    type Action = Action;
    type Probe = Probe;
    type Error = Error;
    const NAME: &'static str = names::COMPONENT;
    const PROGRAMS: &'static [Program] = names::PROGRAMS;
    fn watches() -> Watches<MessageQueue> {
        observe::watches()
    }
    async fn observe(&self, object: &MessageQueue, world: &World<'_>) -> Result<Observed, Error> {
        Ok(observe::observe(object, world, &self.client).await?)
    }
    fn decide(&self, object: &MessageQueue, observed: &Observed) -> Decision<Self> {
        decide::decide(object, observed, &self.defaults)
    }
    async fn act(&self, action: &Action, memos: &Memos) -> Result<(), Error> {
        Ok(act::act(action, &self.client, memos).await?)
    }
    async fn verify(&self, probe: &Probe, _: &Memos) -> Verdict {
        verify::verify(probe).await
    }
}

#![doc = include_str!("../README.md")]

mod access;
mod act;
mod cloud_native_pg;
mod decide;
mod desire;
#[cfg(test)]
mod fixture;
mod moving;
mod names;
mod observe;
mod observed;
mod postgres;
mod program;
mod reason;
mod settings;
mod status;
mod verify;

use temporal_stack_common::{
    api::PostgresDatabase,
    component::{Component, Decision, Memos, Verdict},
    network::Home,
    readiness::Program,
    watches::Watches,
    world::World,
};

pub use act::{Action, Error};
pub use observed::Observed;
pub use postgres::Failure;
pub use program::main;
pub use verify::Probe;

/// The settings of an installation, which operators give by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of PostgreSQL servers whose object names none.
    #[arg(long, env = "RELATED_IMAGE_POSTGRES", value_name = "IMAGE", default_value = "postgres:17.6")]
    pub postgres_image: String,
    /// The namespace of the controllers.
    #[command(flatten)]
    pub home: Home,
}

/// The component: the settings of the installation, and no state.
pub struct Database {
    defaults: Defaults,
}

impl Database {
    /// A component with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults }
    }
}

impl Component for Database {
    type Kind = PostgresDatabase;
    type Observed = Observed;
    type Action = Action;
    type Probe = Probe;
    type Error = Error;
    const NAME: &'static str = names::COMPONENT;
    const PROGRAMS: &'static [Program] = names::PROGRAMS;
    const REMAINS: bool = true;
    fn watches() -> Watches<PostgresDatabase> {
        observe::watches()
    }
    async fn observe(&self, object: &PostgresDatabase, world: &World<'_>) -> Result<Observed, Error> {
        Ok(observe::observe(object, world).await?)
    }
    fn decide(&self, object: &PostgresDatabase, observed: &Observed) -> Decision<Self> {
        decide::decide(object, observed, &self.defaults)
    }
    async fn act(&self, action: &Action, _: &Memos) -> Result<(), Error> {
        Ok(act::act(action).await?)
    }
    async fn verify(&self, probe: &Probe, _: &Memos) -> Verdict {
        verify::verify(probe).await
    }
    fn remains(object: &PostgresDatabase) -> bool {
        act::remains(object)
    }
    async fn leave(&self, object: &PostgresDatabase, world: &World<'_>) -> Result<(), Error> {
        act::leave(object, world).await
    }
}

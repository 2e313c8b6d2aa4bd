#![doc = include_str!("../README.md")]

mod access;
mod act;
mod decide;
mod defaults;
mod desire;
mod evaluate;
#[cfg(test)]
mod fixture;
mod linkerd;
mod names;
mod observe;
mod observed;
mod policy;
mod program;
mod reason;
mod released;
mod stack;
mod status;
mod traffic;
mod verify;

use kube::Client;
use prometheus_client::registry::Registry;
use temporal_stack_common::{
    api::Mesh,
    component::{Component, Decision, Memos, Verdict},
    hand::Hand,
    watches::Watches,
    world::World,
};

pub use act::{Action, Error};
pub use defaults::Defaults;
pub use observed::Observed;
pub use program::main;
pub use verify::Probe;

/// The component: the settings of the installation, what writes to objects of others, and what reads the metrics of proxies.
pub struct LinkerdMesh {
    defaults: Defaults,
    hand: Hand,
    scraper: traffic::Scraper,
}

impl LinkerdMesh {
    /// A component with these defaults, which writes to objects of others with this client.
    pub fn new(defaults: Defaults, client: Client) -> Self {
        Self { defaults, hand: Hand::new(client, names::COMPONENT), scraper: traffic::Scraper::default() }
    }
}

impl Component for LinkerdMesh {
    type Kind = Mesh;
    type Observed = Observed;
    type Action = Action;
    type Probe = Probe;
    type Error = Error;
    const NAME: &'static str = names::COMPONENT;
    const REMAINS: bool = true;
    fn watches() -> Watches<Mesh> {
        observe::watches()
    }
    fn register(&self, registry: &mut Registry) {
        self.scraper.register(registry);
    }
    async fn observe(&self, object: &Mesh, world: &World<'_>) -> Result<Observed, Error> {
        Ok(observe::observe(object, world, &self.defaults, &self.scraper).await?)
    }
    fn decide(&self, object: &Mesh, observed: &Observed) -> Decision<Self> {
        decide::decide(object, observed)
    }
    async fn act(&self, action: &Action, memos: &Memos) -> Result<(), Error> {
        act::act(action, &self.hand, memos).await
    }
    async fn verify(&self, probe: &Probe, _: &Memos) -> Verdict {
        verify::verify(probe).await
    }
    async fn leave(&self, object: &Mesh, world: &World<'_>) -> Result<(), Error> {
        act::leave(object, &self.hand, world).await
    }
}

//! The Temporal controller: a `Temporal` in, a pinning service out that takes an upload and ends it as a pin.
//!
//! ```text
//!   PostgresDatabase ┐                 ┌─ Secrets keys, environment        ┌─ API ◀─ Service, Ingress
//!   MessageQueue     ├─ their bindings ┤                                   ├─ five workers, one for each queue
//!   IpfsCluster      ┘                 └─ Job migrate ─▶ StatefulSet krab ─┴─ each with the bridge where it uses IPFS
//!   temporal-config ── the user's variables
//!
//!   Ready = the API answers, every queue has its consumers, the key server answers, the tables are there.
//! ```
//!
//! # Order
//!
//! dependencies Ready → queues declared → tables migrated, once for each image → key server → workers → API: `order.rs`. What
//! runs goes on when a step before it is not done any more; it is only not changed meanwhile.
//!
//! A pod that waits for its next start although all is back, or a worker that has lost its queue, is made anew:
//! `observe/revive.rs`.
//!
//! # Environment
//!
//! The bindings, the user's variables, the defaults and keys that are drawn once make one Secret that the API and the workers
//! read: `environment.rs`. Its content is on the pod templates as a hash, so a rotated credential rolls the pods.

mod access;
mod actions;
mod broker;
mod certificate;
mod dependency;
mod desire;
mod environment;
#[cfg(test)]
mod fixture;
mod names;
mod observe;
mod order;
mod progress;
mod role;
mod settings;
mod tables;
mod verify;

use std::{pin::Pin, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::PolicyRule,
};
use kube::api::ApiResource;
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, Rollout, Temporal, TemporalStatus},
    claim::Configuration,
    component::{Child, Component, Facts, Progress, Sources, Verdict},
    driver,
    manifest::Manifest,
    network::Home,
    process,
    readiness::Program,
    volume,
    world::World,
};

pub use actions::Action;
pub use observe::Observed;

/// How often an instance is looked at: Kubernetes does not tell when a queue loses its consumer.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while something is on its way that only a product tells of.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// What the installation decides, as operators do it: by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of Temporal where the object names none.
    #[arg(long, env = "RELATED_IMAGE_TEMPORAL", value_name = "IMAGE", default_value = "rtradetech/temporal:v2.8.0")]
    pub temporal_image: String,
    /// The image of the bridge.
    #[arg(long, env = "RELATED_IMAGE_BRIDGE", value_name = "IMAGE", default_value = "temporal-stack/bridge:0.1.0")]
    pub bridge_image: String,
    /// Where the controllers run.
    #[command(flatten)]
    pub home: Home,
}

/// The component: what the installation decides.
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

/// Runs the controller `name`, whose program is of that `version`, until it is told to end.
///
/// Boxed, so that all of it is compiled with this library, and a program of another version in a moment.
pub fn run(
    name: &'static str,
    version: &'static str,
    process: process::Args,
    defaults: Defaults,
) -> Pin<Box<dyn Future<Output = Result<(), process::Error>>>> {
    Box::pin(process::run(name, version, process, |process| driver::run(Application::new(defaults), process)))
}

/// Why observing or acting failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer a read.
    #[error("could not read {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// Its answer.
        #[source]
        source: kube::Error,
    },
    /// A certificate could not be made.
    #[error("the certificate of the API could not be made")]
    Certificate(#[from] certificate::Failure),
    /// The broker did not do what it was told.
    #[error("the broker refused")]
    Broker(#[from] broker::Failure),
    /// The database did not do what it was told.
    #[error("the database refused")]
    Database(#[from] tables::Failure),
}

impl Component for Application {
    type Kind = Temporal;
    type Observed = Observed;
    type Action = Action;
    type Error = Error;

    const NAME: &'static str = "temporal";

    fn children() -> Vec<Child> {
        vec![
            Child::kept::<Secret>(),
            Child::kept::<Service>(),
            Child::kept::<NetworkPolicy>(),
            Child::kept::<PodDisruptionBudget>(),
            Child::kept::<Job>(),
            Child::kept::<StatefulSet>(),
            Child::kept::<Deployment>(),
            Child::kept::<Ingress>(),
            Child::adjusted::<PersistentVolumeClaim>(),
            // It leads from a pod to its Deployment.
            Child::watched::<ReplicaSet>(),
            Child::restarted::<Pod>(),
        ]
    }

    fn sources() -> Sources {
        Sources { config_maps: &[settings::CONFIG], secrets: &[] }
    }

    fn configuration(object: &Temporal) -> Configuration<'_> {
        object.spec.config.config_map.as_deref().map_or(Configuration::Default, Configuration::Named)
    }

    fn neighbours() -> Vec<ApiResource> {
        vec![
            ApiResource::erase::<PostgresDatabase>(&()),
            ApiResource::erase::<MessageQueue>(&()),
            ApiResource::erase::<IpfsCluster>(&()),
        ]
    }

    fn programs() -> &'static [Program] {
        role::PROGRAMS
    }

    fn further_rules() -> Vec<PolicyRule> {
        volume::rules()
    }

    async fn observe(&self, object: &Temporal, world: &World<'_>) -> Result<Observed, Error> {
        observe::observe(object, world, &self.defaults).await
    }

    fn desire(&self, object: &Temporal, observed: &Observed) -> Vec<Manifest> {
        desire::desire(object, observed, &self.defaults)
    }

    fn actions(&self, object: &Temporal, observed: &Observed) -> Vec<Action> {
        actions::actions(object, observed)
    }

    fn progress(&self, object: &Temporal, observed: &Observed) -> Progress {
        progress::progress(object, observed)
    }

    fn facts(&self, object: &Temporal, observed: &Observed) -> Facts<TemporalStatus> {
        Facts { status: progress::status(object, observed), statements: progress::statements(object, observed) }
    }

    fn rollout(&self, object: &Temporal) -> Rollout {
        object.spec.rollout
    }

    fn look_again(&self, object: &Temporal, observed: &Observed) -> Option<Duration> {
        let is_soon = progress::is_for_products(&progress::progress(object, observed));
        Some(if is_soon { LOOK_SOON } else { LOOK_EVERY })
    }

    async fn act(&self, _object: &Temporal, observed: &Observed, action: &Action) -> Result<(), Error> {
        actions::act(observed, action).await
    }

    async fn verify(&self, object: &Temporal, observed: &Observed) -> Verdict {
        verify::verify(object, observed).await
    }

    /// What is asked writes nothing.
    async fn inspect(&self, object: &Temporal, observed: &Observed) -> Option<Verdict> {
        Some(verify::verify(object, observed).await)
    }
}

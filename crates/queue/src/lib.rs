//! The queue controller: a `MessageQueue` in, a broker through which a message has gone out.
//!
//! ```text
//!   MessageQueue ───┬─ provider rabbitmq ─▶ Secrets cookie, administrator ─▶ ConfigMap ─▶ StatefulSet ─▶ Services
//!   rabbitmq-config ┤                          Secret login-1 …  ─▶ virtual host, login by the management API ─▶ Secret binding
//!                   └─ provider external ─▶ the user's Secret ──────────────────────────────────────────────▶ Secret binding
//!
//!   Ready = a message published as the binding's login on the binding's virtual host came back.
//! ```
//!
//! # Nodes
//!
//! The node in pod 0 founds the cluster, and all others join it: a node with an empty volume asks those that the ConfigMap
//! `…-members` names, so one that has lost its volume joins again instead of founding a second cluster (`desire/prepare.sh`).
//! How a node leaves is told in `scale.rs`, when one may restart in `quorum.rs`.
//!
//! # Who is who on the broker
//!
//! | login | can | for |
//! |---|---|---|
//! | `temporal-stack-administrator` | everything | the controller alone; its password is in the administrator Secret |
//! | `<virtual host>_a`, `<virtual host>_b` | all within the virtual host | the application; they take turns at each rotation |
//!
//! There is no `guest`.

mod actions;
mod additional;
mod amqp;
mod cookie;
mod desire;
mod external;
#[cfg(test)]
mod fixture;
mod moving;
mod names;
mod observe;
mod progress;
mod quorum;
mod rabbit;
mod scale;

use std::{pin::Pin, time::Duration};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::PolicyRule,
};
use temporal_stack_common::{
    api::{BindingReference, MessageQueue, MessageQueueStatus, Rollout},
    claim::Configuration,
    component::{Child, Component, Facts, Gate, Progress, Sources, Verdict},
    driver,
    http::Client,
    manifest::Manifest,
    network::Home,
    process,
    readiness::Program,
    volume,
    world::World,
};

pub use actions::Action;
pub use amqp::Failure as MessageFailure;
pub use observe::Observed;
pub use rabbit::Failure;

use crate::observe::Source;

/// How often a cluster is looked at that is Ready: Kubernetes does not tell when a node has an alarm, or a queue catches up.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while a rotation waits for connections to end, or queues catch up.
const LOOK_SOON: Duration = Duration::from_secs(5);

/// What the installation decides, as operators do it: by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of brokers whose object names none.
    #[arg(long, env = "RELATED_IMAGE_RABBITMQ", value_name = "IMAGE", default_value = "rabbitmq:4.0.9")]
    pub rabbitmq_image: String,
    /// Where the controllers run.
    #[command(flatten)]
    pub home: Home,
}

/// The component: what the installation decides, and a pool of connections to management APIs.
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

/// Runs the controller `name`, whose program is of that `version`, until it is told to end.
///
/// Boxed, so that all of it is compiled with this library, and a program of another version in a moment.
pub fn run(
    name: &'static str,
    version: &'static str,
    process: process::Args,
    defaults: Defaults,
) -> Pin<Box<dyn Future<Output = Result<(), process::Error>>>> {
    Box::pin(process::run(name, version, process, |process| driver::run(Queue::new(defaults), process)))
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
    /// The broker did not do what it was told.
    #[error("the broker refused")]
    Broker(#[from] Failure),
}

impl Component for Queue {
    type Kind = MessageQueue;
    type Observed = Observed;
    type Action = Action;
    type Error = Error;

    const NAME: &'static str = "queue";

    fn children() -> Vec<Child> {
        vec![
            Child::kept::<Secret>(),
            Child::kept::<ConfigMap>(),
            Child::kept::<Service>(),
            Child::kept::<NetworkPolicy>(),
            Child::kept::<PodDisruptionBudget>(),
            Child::kept::<StatefulSet>(),
            Child::adjusted::<PersistentVolumeClaim>().and_deleted(),
            Child::restarted::<Pod>(),
        ]
    }

    fn sources() -> Sources {
        Sources { config_maps: &[], secrets: &[cookie::SOURCE] }
    }

    fn programs() -> &'static [Program] {
        const { &[Program::new("prepare", names::RESOURCES, "128Mi"), Program::new("rabbitmq", names::RESOURCES, "128Mi")] }
    }

    fn configuration(object: &MessageQueue) -> Configuration<'_> {
        if object.spec.provider.external.is_some() { Configuration::Nothing } else { Configuration::Default }
    }

    fn further_rules() -> Vec<PolicyRule> {
        volume::rules()
    }

    async fn observe(&self, object: &MessageQueue, world: &World<'_>) -> Result<Observed, Error> {
        observe::observe(object, world, &self.client).await
    }

    fn desire(&self, object: &MessageQueue, observed: &Observed) -> Vec<Manifest> {
        desire::desire(object, observed, &self.defaults)
    }

    fn actions(&self, object: &MessageQueue, observed: &Observed) -> Vec<Action> {
        actions::actions(object, observed)
    }

    fn progress(&self, object: &MessageQueue, observed: &Observed) -> Progress {
        progress::progress(object, observed)
    }

    fn facts(&self, object: &MessageQueue, observed: &Observed) -> Facts<MessageQueueStatus> {
        let bound = observed.bound.as_ref();
        let known = match &observed.source {
            Source::Embedded(embedded) => embedded.known(),
            Source::External(_) => None,
        };
        let before = object.status.as_ref().filter(|_| matches!(observed.source, Source::Embedded(_)));
        let status = MessageQueueStatus {
            binding: bound.map(|_| BindingReference { name: names::binding(object) }),
            virtual_host: bound.map(|bound| bound.place.clone()),
            username: bound.map(|bound| bound.username.clone()),
            nodes: known
                .and_then(|known| i32::try_from(known.nodes.len()).ok())
                .or_else(|| before.and_then(|before| before.nodes)),
            server_version: known
                .map(|known| known.version.clone())
                .or_else(|| before.and_then(|before| before.server_version.clone())),
            rotation: observed.active_login().and_then(|login| login.rotation.clone()),
            ..MessageQueueStatus::default()
        };
        Facts { status, statements: progress::statements(object, observed) }
    }

    fn restart_gate(&self, object: &MessageQueue, observed: &Observed) -> Gate {
        match &observed.source {
            Source::Embedded(embedded) => quorum::gate(object, embedded),
            Source::External(_) => Gate::Open,
        }
    }

    fn rollout(&self, object: &MessageQueue) -> Rollout {
        object.spec.rollout
    }

    fn look_again(&self, object: &MessageQueue, observed: &Observed) -> Option<Duration> {
        let Source::Embedded(embedded) = &observed.source else { return None };
        let passes = progress::rotation_waits(observed) || quorum::is_passing(object, embedded);
        Some(if passes { LOOK_SOON } else { LOOK_EVERY })
    }

    async fn act(&self, object: &MessageQueue, observed: &Observed, action: &Action) -> Result<(), Error> {
        Ok(actions::act(object, observed, action).await?)
    }

    async fn verify(&self, _object: &MessageQueue, observed: &Observed) -> Verdict {
        progress::verify(observed).await
    }

    async fn inspect(&self, _object: &MessageQueue, observed: &Observed) -> Option<Verdict> {
        Some(progress::inspect(observed).await)
    }
}

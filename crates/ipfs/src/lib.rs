//! The IPFS controller: an `IpfsCluster` in, peers that keep every pin out.
//!
//! ```text
//!   IpfsCluster ─────────┬─ provider kubo ─▶ Secrets identity-0 …, secret-1 ─▶ Secret peers ─▶ StatefulSet ─▶ Services
//!   ipfs-cluster-config ─┤                                                      NetworkPolicy, Secret binding
//!                        └─ provider external ─▶ the user's Secret ──────────────────────────▶ Secret binding
//!
//!   Ready = every peer sees every other, and a CID added through the Service was pinned and read back.
//! ```
//!
//! # Peers
//!
//! A pod has Kubo and IPFS Cluster (CRDT), and one volume for both. Who a peer is, is decided here: two ed25519 keys, in a Secret
//! for each peer. Peers find each other by the names of their pods and those IDs, so nothing depends on mDNS or on others. Each
//! start writes both configurations anew, so that they are what the object says.
//!
//! # Pins
//!
//! The floor of a pin is its replication minimum; for -1 it is every peer that stays. No peer leaves or restarts before every
//! pin is at its floor without it, in live copies: see `scale.rs`, and `survey.rs` for how that is known.

mod actions;
mod desire;
mod external;
#[cfg(test)]
mod fixture;
mod health;
mod identity;
mod ipfs_cluster;
mod kubo;
mod kubo_config;
mod names;
mod observe;
mod progress;
mod scale;
mod secrets;
mod settings;
mod status;
mod survey;
mod surveys;
pub mod transfer;
mod verify;

use std::{pin::Pin, sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::PolicyRule,
};
use temporal_stack_common::{
    api::{IpfsCluster, IpfsClusterStatus, Rollout},
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
pub use ipfs_cluster::Failure;
pub use observe::Observed;

use crate::{observe::Source, surveys::Surveys};

/// How often a cluster is looked at that is Ready: Kubernetes does not tell when a pin fails.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while peers connect or copies are being made.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// What the installation decides, as operators do it: by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of Kubo where the object names none.
    #[arg(long, env = "RELATED_IMAGE_KUBO", value_name = "IMAGE", default_value = "ipfs/kubo:v0.42.0")]
    pub kubo_image: String,
    /// The image of IPFS Cluster where the object names none.
    #[arg(long, env = "RELATED_IMAGE_IPFS_CLUSTER", value_name = "IMAGE", default_value = "ipfs/ipfs-cluster:v1.1.6")]
    pub cluster_image: String,
    /// Where the controllers run.
    #[command(flatten)]
    pub home: Home,
}

/// The component: what the installation decides, a pool of connections, and what was found in pinsets.
#[derive(Clone, Debug)]
pub struct Ipfs {
    defaults: Defaults,
    client: Client,
    surveys: Arc<Surveys>,
}

impl Ipfs {
    /// A component with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults, client: Client::new(), surveys: Arc::default() }
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
    Box::pin(process::run(name, version, process, |process| driver::run(Ipfs::new(defaults), process)))
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
    /// A peer did not do what it was told.
    #[error("a peer refused")]
    Peer(#[from] Failure),
}

impl Component for Ipfs {
    type Kind = IpfsCluster;
    type Observed = Observed;
    type Action = Action;
    type Error = Error;

    const NAME: &'static str = "ipfs";

    fn children() -> Vec<Child> {
        vec![
            Child::kept::<Secret>(),
            Child::kept::<Service>(),
            Child::kept::<NetworkPolicy>(),
            Child::kept::<PodDisruptionBudget>(),
            Child::kept::<StatefulSet>(),
            Child::adjusted::<PersistentVolumeClaim>().and_deleted(),
            Child::restarted::<Pod>().and_labelled(),
        ]
    }

    fn sources() -> Sources {
        Sources { config_maps: &[settings::CONFIG], secrets: &[] }
    }

    fn programs() -> &'static [Program] {
        const {
            &[
                Program::new("prepare-kubo", names::RESOURCES, "128Mi"),
                Program::new("kubo", names::RESOURCES, "128Mi"),
                Program::new("prepare-cluster", names::CLUSTER_RESOURCES, "64Mi"),
                Program::new("cluster", names::CLUSTER_RESOURCES, "64Mi"),
            ]
        }
    }

    fn configuration(object: &IpfsCluster) -> Configuration<'_> {
        match (&object.spec.provider.external, &object.spec.config.config_map) {
            (Some(_), _) => Configuration::Nothing,
            (None, Some(name)) => Configuration::Named(name),
            (None, None) => Configuration::Default,
        }
    }

    fn further_rules() -> Vec<PolicyRule> {
        volume::rules()
    }

    async fn observe(&self, object: &IpfsCluster, world: &World<'_>) -> Result<Observed, Error> {
        observe::observe(object, world, &self.client, &self.surveys).await
    }

    fn desire(&self, object: &IpfsCluster, observed: &Observed) -> Vec<Manifest> {
        desire::desire(object, observed, &self.defaults)
    }

    fn actions(&self, object: &IpfsCluster, observed: &Observed) -> Vec<Action> {
        actions::actions(object, observed)
    }

    fn progress(&self, object: &IpfsCluster, observed: &Observed) -> Progress {
        progress::progress(object, observed)
    }

    fn facts(&self, object: &IpfsCluster, observed: &Observed) -> Facts<IpfsClusterStatus> {
        Facts { status: status::status(object, observed), statements: progress::statements(object, observed) }
    }

    fn restart_gate(&self, object: &IpfsCluster, observed: &Observed) -> Gate {
        match &observed.source {
            Source::Embedded(embedded) => scale::restart_gate(object, embedded),
            Source::External(_) => Gate::Open,
        }
    }

    fn rollout(&self, object: &IpfsCluster) -> Rollout {
        object.spec.rollout
    }

    fn look_again(&self, object: &IpfsCluster, observed: &Observed) -> Option<Duration> {
        let Source::Embedded(embedded) = &observed.source else { return None };
        Some(if health::is_moving(object, embedded) { LOOK_SOON } else { LOOK_EVERY })
    }

    fn is_upkeep(&self, action: &Action) -> bool {
        matches!(action, Action::Recover { .. })
    }

    async fn act(&self, object: &IpfsCluster, observed: &Observed, action: &Action) -> Result<(), Error> {
        actions::act(&self.client, &self.surveys, object, observed, action).await
    }

    async fn verify(&self, object: &IpfsCluster, observed: &Observed) -> Verdict {
        verify::verify(object, observed, &self.client).await
    }

    async fn inspect(&self, object: &IpfsCluster, observed: &Observed) -> Option<Verdict> {
        verify::inspect(object, observed, &self.client).await
    }
}

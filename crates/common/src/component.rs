//! The trait that a controller implements: everything else is done by the [driver](crate::driver).
//!
//! ```text
//!            observe              decide              apply, act, verify
//!   cluster ─────────▶ Observed ─────────▶ Decision ─────────────────────▶ cluster, product
//!             reads                pure                     writes
//! ```
//!
//! Reads are at the front, writes at the end, and everything worth arguing about is in the middle, where a fixture and an
//! assertion are enough for a test.

use std::{collections::BTreeMap, fmt::Display, future::Future, time::Duration};

use kube::core::object::HasStatus;
use prometheus_client::registry::Registry;

use crate::{
    api::{Kind, Rollout},
    condition::{Reason, Statement, reason},
    manifest::Manifest,
    readiness::Program,
    suspension::{Suspension, wrong_with_suspend},
    watches::Watches,
    world::World,
};

pub use crate::memo::Memos;

/// One concern of the stack: a kind, and the code that reconciles it.
///
/// A pass calls the functions in this order; see the [driver](crate::driver) for what it does between them.
pub trait Component: Send + Sync + 'static {
    /// The custom resource that it owns.
    type Kind: Kind;
    /// The observed state that a pass works with: plain data, gathered by [`observe`](Self::observe).
    type Observed: Send + Sync;
    /// One write to the product, as data. `Display` is for logs and messages, so it shows no secret.
    type Action: Display + Send + Sync;
    /// How the product is used in order to verify it, as data.
    type Probe: Send + Sync;
    /// Why observing or acting failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The component's name: its label value, field manager, event reporter and Lease.
    const NAME: &'static str;
    /// Its containers for messages, with the field that sets their resources.
    const PROGRAMS: &'static [Program] = &[];

    /// Whether something may remain outside of the object's children when it is deleted, which [`leave`](Self::leave) removes.
    const REMAINS: bool = false;

    /// What the controller watches, and how it uses each kind. Permissions follow from it.
    fn watches() -> Watches<Self::Kind>;

    /// Adds the component's own metrics to the registry of the process, with the prefix that all metrics of the project have.
    fn register(&self, _registry: &mut Registry) {}

    /// Gathers the observed state. Reads only, and concludes nothing.
    fn observe(
        &self,
        object: &Self::Kind,
        world: &World<'_>,
    ) -> impl Future<Output = Result<Self::Observed, Self::Error>> + Send;

    /// Everything that follows from the observed state: pure, with no client, no clock and no randomness.
    fn decide(&self, object: &Self::Kind, observed: &Self::Observed) -> Decision<Self>;

    /// Carries out one write to the product. The action has everything that it needs; `memos` remembers what the next passes should
    /// know of it.
    fn act(&self, action: &Self::Action, memos: &Memos) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Uses the product as its users do. Called when nothing is left to do, and every few minutes after; `memos` as for
    /// [`act`](Self::act).
    ///
    /// It must leave nothing behind that grows with the number of calls.
    fn verify(&self, probe: &Self::Probe, memos: &Memos) -> impl Future<Output = Verdict> + Send;

    /// Whether something remains of this object, so that it gets a finalizer.
    fn remains(_object: &Self::Kind) -> bool {
        Self::REMAINS
    }

    /// Removes what remains of an object that is being deleted. After a few failures the object goes without it.
    fn leave(&self, _object: &Self::Kind, _world: &World<'_>) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }
}

/// The status type of a component's kind.
pub type StatusOf<C> = <<C as Component>::Kind as HasStatus>::Status;

/// What a pass concludes from the observed state.
pub struct Decision<C: Component + ?Sized> {
    /// Fields of the status; the driver adds the conditions.
    pub status: StatusOf<C>,
    /// Conditions other than Ready, Reconciling and Stalled, which the driver sets.
    pub conditions: Vec<Statement>,
    /// The command that copies the data out of each pod that has data, for users whose volume is about to be lost.
    pub copy_commands: BTreeMap<String, String>,
    /// The intent of the pass, or the reason why nothing is applied until the user acts.
    pub intent: Result<Intent<C>, Stalled>,
    /// How to verify a product that serves while the intent prepares another one in its place: Ready is about it, and what the
    /// intent waits for is in Reconciling or Stalled. `None`: Ready is about the intent.
    pub serving: Option<C::Probe>,
    /// The stop that the user asked for; `None`: it runs.
    pub suspension: Option<Suspension>,
}

impl<C: Component + ?Sized> Decision<C> {
    /// A decision about an object without data to copy out.
    pub fn new(status: StatusOf<C>, conditions: Vec<Statement>, intent: Result<Intent<C>, Stalled>) -> Self {
        Self { status, conditions, copy_commands: BTreeMap::new(), intent, serving: None, suspension: None }
    }

    /// The same about an object with this `spec.suspend`. With a provider `elsewhere`, of which nothing runs here, it is refused.
    #[must_use]
    pub fn suspended(self, suspend: bool, elsewhere: Option<&str>) -> Self {
        match wrong_with_suspend(suspend, elsewhere) {
            Some(wrong) => Self { intent: Err(Stalled::new(reason::INVALID_SPEC, wrong)), ..self },
            None => Self { suspension: Suspension::new(suspend), serving: self.serving.filter(|_| !suspend), ..self },
        }
    }
}

/// What a pass carries out.
pub struct Intent<C: Component + ?Sized> {
    /// The desired objects, in the order in which they are applied.
    pub manifests: Vec<Manifest>,
    /// Writes to the product, in order. They put Ready in doubt.
    pub actions: Vec<C::Action>,
    /// Writes of ordinary operation, such as a retry: they do not put Ready in doubt.
    pub upkeep: Vec<C::Action>,
    /// What the object waits for.
    pub waiting: Option<Waiting>,
    /// Why the object cannot go further than this intent until the user acts. The intent itself is carried out.
    pub stalled: Option<Stalled>,
    /// Whether a pod may be restarted now.
    pub restart: Gate,
    /// When pods are restarted because only the controller is newer.
    pub rollout: Rollout,
    /// Whether workloads keep the pod template that was applied last, even if the user asked for another one: a pod that starts
    /// meanwhile comes back as it was.
    pub keeps_templates: bool,
    /// How soon to run the next pass even if nothing is watched to change: for state that no watch shows.
    pub look_again: Option<Duration>,
    /// How to verify the product when nothing is left to do; with `None` nothing is verified, and the object is not Ready.
    pub probe: Option<C::Probe>,
    /// The probe while the object is paused, which writes nothing. `None`: the latest verdict stands.
    pub inspection: Option<C::Probe>,
}

impl<C: Component + ?Sized> Default for Intent<C> {
    fn default() -> Self {
        Self {
            manifests: Vec::new(),
            actions: Vec::new(),
            upkeep: Vec::new(),
            waiting: None,
            stalled: None,
            restart: Gate::Open,
            rollout: Rollout::default(),
            keeps_templates: false,
            look_again: None,
            probe: None,
            inspection: None,
        }
    }
}

/// A state that an object waits for, and that is expected without action by the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The reason.
    pub reason: Reason,
    /// What is awaited, and what the user can do if it does not happen.
    pub message: String,
}

/// The reason why an object cannot continue until the user acts. Nothing is applied meanwhile, so that nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// The reason.
    pub reason: Reason,
    /// Which field or object, what is wrong with it, and the remedy.
    pub message: String,
}

impl Waiting {
    /// Waiting for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Stalled {
    /// Stalled for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Stalled by what is wrong with the spec, if anything is.
    pub fn if_invalid(wrong: Option<String>) -> Result<(), Self> {
        wrong.map_or(Ok(()), |message| Err(Self::new(reason::INVALID_SPEC, message)))
    }
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works; the message describes what was verified.
    Verified(String),
    /// It does not work, but may recover without the user: retried soon.
    Failed {
        /// The reason.
        reason: Reason,
        /// What was tried, what came back, and what the user can do.
        message: String,
    },
    /// It does not work, and the user must act.
    Stalled {
        /// The reason.
        reason: Reason,
        /// What was tried, what came back, and the remedy.
        message: String,
    },
    /// The probe found no evidence; the latest verdict about the same state stands.
    Unknown,
}

/// Whether something may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Not yet; the text names what it waits for.
    Closed(String),
}

//! The database controller: a `PostgresDatabase` in, a database that has been used out.
//!
//! ```text
//!   PostgresDatabase ──┬─ provider postgres ─▶ Secret administrator ─▶ StatefulSet (init: initdb) ─▶ Services
//!   postgres-config ───┤                         Secret login-1 …  ─▶ role, database, login over SQL ─▶ Secret binding
//!                      └─ provider external ─▶ the user's Secret ───────────────────────────────────▶ Secret binding
//!
//!   Ready = `select 1` as the binding's login on the binding's database, through the binding's address.
//! ```
//!
//! # Who is who on the server
//!
//! | role | can | for |
//! |---|---|---|
//! | `temporal_stack_administrator` | everything | the controller alone; its password is in the administrator Secret |
//! | `<database>_owner` | nothing by itself, it cannot log in | owns the database and all in it |
//! | the application's logins | act as the owner | the application; the newest one is in the binding |
//!
//! # Logins
//!
//! Each login is a Secret that is made once, `…-login-<n>`; a rotation makes the next one. The server gets it first, the
//! binding after that, and the one before is removed after that, so a crash at any point leaves a login that works.
//! Without a name from the user two roles take turns, `<database>_a` and `<database>_b`: the old one works until the
//! next rotation, which waits while anyone is still connected as it. A named login has one role, whose password changes.

mod actions;
mod desire;
mod external;
mod names;
mod observe;
mod postgres;
mod progress;
mod settings;

use std::{pin::Pin, time::Duration};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    rbac::v1::PolicyRule,
};
use temporal_stack_common::{
    api::{BindingReference, PostgresDatabase, PostgresDatabaseStatus, Rollout},
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
pub use postgres::Failure;

/// The name of the seed's ConfigMap, which is read unless the object names another one.
const DEFAULT_CONFIG: &str = "postgres-config";

/// What the installation decides, as operators do it: by environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Defaults")]
pub struct Defaults {
    /// The image of PostgreSQL servers whose object names none.
    #[arg(long, env = "RELATED_IMAGE_POSTGRES", value_name = "IMAGE", default_value = "postgres:17.6")]
    pub postgres_image: String,
    /// Where the controllers run.
    #[command(flatten)]
    pub home: Home,
}

/// The component: what the installation decides, and no state.
#[derive(Clone, Debug)]
pub struct Database {
    defaults: Defaults,
}

impl Database {
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
    Box::pin(process::run(name, version, process, |process| driver::run(Database::new(defaults), process)))
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
    /// The server did not do what it was told.
    #[error("the database server refused")]
    Server(#[from] Failure),
}

impl Component for Database {
    type Kind = PostgresDatabase;
    type Observed = Observed;
    type Action = Action;
    type Error = Error;

    const NAME: &'static str = "database";

    fn children() -> Vec<Child> {
        vec![
            Child::kept::<Secret>(),
            Child::kept::<Service>(),
            Child::kept::<NetworkPolicy>(),
            Child::kept::<StatefulSet>(),
            Child::adjusted::<PersistentVolumeClaim>(),
            Child::restarted::<Pod>(),
        ]
    }

    fn sources() -> Sources {
        Sources { config_maps: &[DEFAULT_CONFIG], secrets: &[] }
    }

    fn programs() -> &'static [Program] {
        const { &[Program::new("initialise", names::RESOURCES, "64Mi"), Program::new("postgres", names::RESOURCES, "64Mi")] }
    }

    fn configuration(object: &PostgresDatabase) -> Configuration<'_> {
        match (&object.spec.provider.external, &object.spec.config.config_map) {
            (Some(_), _) => Configuration::Nothing,
            (None, Some(name)) => Configuration::Named(name),
            (None, None) => Configuration::Default,
        }
    }

    fn further_rules() -> Vec<PolicyRule> {
        volume::rules()
    }

    async fn observe(&self, object: &PostgresDatabase, world: &World<'_>) -> Result<Observed, Error> {
        observe::observe(object, world).await
    }

    fn desire(&self, object: &PostgresDatabase, observed: &Observed) -> Vec<Manifest> {
        desire::desire(object, observed, &self.defaults)
    }

    fn actions(&self, _object: &PostgresDatabase, observed: &Observed) -> Vec<Action> {
        actions::actions(observed)
    }

    fn progress(&self, object: &PostgresDatabase, observed: &Observed) -> Progress {
        progress::progress(object, observed)
    }

    fn facts(&self, object: &PostgresDatabase, observed: &Observed) -> Facts<PostgresDatabaseStatus> {
        let bound = observed.bound.as_ref();
        let status = PostgresDatabaseStatus {
            binding: bound.map(|_| BindingReference { name: names::binding(object) }),
            database: bound.map(|bound| bound.place.clone()),
            username: bound.map(|bound| bound.username.clone()),
            server_version: observed.server_version(object),
            rotation: observed.active_login().and_then(|login| login.rotation.clone()),
            ..PostgresDatabaseStatus::default()
        };
        Facts { status, statements: progress::statements(object, observed) }
    }

    fn rollout(&self, object: &PostgresDatabase) -> Rollout {
        object.spec.rollout
    }

    fn copy_out(&self, object: &PostgresDatabase, pod: &str) -> Option<String> {
        Some(names::dump(object, pod))
    }

    fn look_again(&self, _object: &PostgresDatabase, observed: &Observed) -> Option<Duration> {
        // Kubernetes does not tell when an application closes its last session.
        progress::rotation_waits(observed).then_some(Duration::from_secs(5))
    }

    async fn act(&self, _object: &PostgresDatabase, observed: &Observed, action: &Action) -> Result<(), Error> {
        Ok(actions::act(observed, action).await?)
    }

    async fn verify(&self, _object: &PostgresDatabase, observed: &Observed) -> Verdict {
        progress::verify(observed).await
    }

    /// What is asked writes nothing.
    async fn inspect(&self, _object: &PostgresDatabase, observed: &Observed) -> Option<Verdict> {
        Some(progress::verify(observed).await)
    }
}

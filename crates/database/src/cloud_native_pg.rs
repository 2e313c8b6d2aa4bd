//! CloudNativePG's side of a database: its `Cluster`, as far as it is written and read here, and what is known of its operator.
//!
//! ```text
//!   PostgresDatabase ──▶ Cluster ──▶ CloudNativePG's operator ──▶ pods, volumes, Services -rw (primary) and -r (all)
//!                          ▲ status ──────────┘
//! ```
//!
//! # Caveats
//!
//! * A `Cluster` has no `observedGeneration`: whether a change was taken up follows from the facts that `decide/cloud_native_pg.rs` lists.
//! * Its pods and volumes have owner references to it, so they go with it. Nothing else keeps the data.
//! * Lists such as `spec.managed.roles` are one value for the API: they are left to the user, and roles are made over SQL.
//! * Its operator completes the spec by a webhook. While that gives no answer, no `Cluster` can be written.

mod kinds;
mod memory;
mod observed;

pub(crate) use self::{
    kinds::{
        Bootstrap, CatalogReference, Cluster, ClusterSpec, ClusterStatus, ClusterStorage, GROUP, Inherited, InitDb,
        Placement, Postgresql, SecretReference, SynchronousReplicas, VERSION,
    },
    memory::Memory,
    observed::Observed,
};

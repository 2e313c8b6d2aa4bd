//! The observed state of a pass, as it was read: nothing here is concluded.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{PersistentVolumeClaim, Pod, Secret},
    },
    apimachinery::pkg::apis::meta::v1::Condition,
    jiff::Timestamp,
};
use temporal_stack_common::{default_source::DefaultSource, neighbour::Neighbour, volume::Offer};

/// The answer of a product, or its failure.
pub(crate) type Asked<T> = Result<T, String>;

/// The observed state of a pass.
pub struct Observed {
    /// When the pass began.
    pub(crate) now: Timestamp,
    /// The user's ConfigMap; absent: it does not exist, or counts for another object.
    pub(crate) config: Option<BTreeMap<String, String>>,
    /// Whether the ConfigMap with the default name counts for this object.
    pub(crate) default_source: DefaultSource,
    /// The objects that the spec refers to.
    pub(crate) references: References,
    /// The content of the database; absent: it is not Ready, and was not read.
    pub(crate) tables: Option<Asked<Tables>>,
    /// The queues of Temporal up to the first that does not exist; absent: the broker is not Ready, and was not read.
    pub(crate) queues: Option<Asked<Vec<Queue>>>,
    /// The Secrets that the spec names, by name: those of administrators, and the user's certificate. `None`: it does not exist.
    pub(crate) named: BTreeMap<String, Option<Secret>>,
    /// The Secrets of this object, by name.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Its Jobs, by name.
    pub(crate) jobs: BTreeMap<String, Run>,
    /// Its Deployments, by name.
    pub(crate) deployments: BTreeMap<String, Deployment>,
    /// The set of the key server.
    pub(crate) krab: Option<StatefulSet>,
    /// Its pods.
    pub(crate) pods: Vec<Pod>,
    /// The volume claim of the key server.
    pub(crate) volume: Option<PersistentVolumeClaim>,
    /// The `StorageClass`es and volumes of the cluster.
    pub(crate) offer: Offer,
    /// The user's newest restart request.
    pub(crate) restart: Option<String>,
    /// The address of the API's Service.
    pub(crate) api_ip: Option<String>,
    /// The address of the key server's Service.
    pub(crate) krab_ip: Option<String>,
}

// It contains Secrets.
impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observed").finish_non_exhaustive()
    }
}

/// The objects that the fields of the spec refer to; absent: the user's variables name the server.
#[derive(Default)]
pub(crate) struct References {
    /// `spec.database`
    pub(crate) database: Option<Neighbour<Referred>>,
    /// `spec.queue`
    pub(crate) queue: Option<Neighbour<Referred>>,
    /// `spec.ipfs`
    pub(crate) ipfs: Option<Neighbour<Referred>>,
}

/// An object that a field of the spec refers to.
#[derive(Clone)]
pub(crate) struct Referred {
    /// The generation of its spec.
    pub(crate) generation: Option<i64>,
    /// Its conditions.
    pub(crate) conditions: Vec<Condition>,
    /// Its binding, if that exists.
    pub(crate) binding: Option<Secret>,
}

/// A Job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Whether it has succeeded.
    pub(crate) is_done: bool,
    /// Why it has not.
    pub(crate) trouble: Option<String>,
}

/// A queue that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: &'static str,
    /// How many consumers it has.
    pub(crate) consumers: u32,
}

/// The content of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Tables of Temporal that do not exist.
    pub(crate) missing: Vec<&'static str>,
    /// Those accounts of the spec that exist.
    pub(crate) accounts: BTreeSet<String>,
    /// Those of them that are administrators.
    pub(crate) admins: BTreeSet<String>,
}

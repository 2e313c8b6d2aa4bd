//! The observed state of a pass: plain data.

mod memory;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use temporal_stack_common::{
    address::Endpoint,
    login::{Bound, Login, LoginState},
    provider,
    s3::{Failure, Locking, Versioning},
    shared::Made,
    volume::Offer,
};

use crate::{
    access::Store,
    engine::{Fact, Health},
    rook,
};

pub(crate) use self::memory::{Lasting, Lasts, Memory, Refusal};

/// The observed state of a pass.
pub struct Observed {
    /// The content of each bucket's binding.
    pub(crate) bound: BTreeMap<String, Bound>,
    /// The endpoint in each bucket's binding.
    pub(crate) endpoints: BTreeMap<String, String>,
    /// The buckets for which there are Secrets of logins.
    pub(crate) series: Vec<String>,
    /// The names of the volume claims of this object, of whatever engine.
    pub(crate) claims: Vec<String>,
    /// The refused actions.
    pub(crate) refused: BTreeMap<String, Refusal>,
    /// The buckets whose keys must be restricted again.
    pub(crate) loose: BTreeSet<String>,
    /// The part that belongs to the provider.
    pub(crate) provider: Provider,
}

/// The part that belongs to the provider.
pub(crate) enum Provider {
    /// An engine that the controller runs.
    Embedded(Box<Embedded>),
    /// Buckets that Rook makes.
    Rook(Box<rook::Observed>),
    /// An object storage that runs elsewhere.
    External(Box<External>),
}

/// An engine that the controller runs.
#[derive(Default)]
pub(crate) struct Embedded {
    /// The existing root credentials, oldest first.
    pub(crate) roots: Vec<Made>,
    /// The number of the root credential that pods have.
    pub(crate) root_in_use: Option<u32>,
    /// The existing logins of each bucket, oldest first.
    pub(crate) logins: BTreeMap<String, Vec<Login>>,
    /// The newest restart request.
    pub(crate) restart: Option<String>,
    /// The replicas of the set; absent: it does not exist.
    pub(crate) replicas: Option<i32>,
    /// The pods of the servers.
    pub(crate) pods: Vec<EnginePod>,
    /// The pods beyond the replicas of the set. They are ending, and some may be foreign.
    pub(crate) surplus: Vec<EnginePod>,
    /// The volume claims of the drives, each if it exists.
    pub(crate) volumes: Vec<Option<PersistentVolumeClaim>>,
    /// The `StorageClass`es and volumes of the cluster.
    pub(crate) offer: Offer,
    /// The address of the Service for clients: it works while a name server does not.
    pub(crate) service: Option<Endpoint>,
    /// The state of the drives; absent: no pod has an address.
    pub(crate) health: Option<Result<Health, Failure>>,
    /// Whether each server that a restart is due for may stop now; absent: none is due, or a server did not answer.
    pub(crate) may_stop: Option<bool>,
    /// The buckets and logins.
    pub(crate) survey: Survey,
}

/// A pod that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnginePod {
    /// Its name.
    pub(crate) name: String,
    /// Whether it takes clients.
    pub(crate) is_ready: bool,
    /// For how many seconds, if it does.
    pub(crate) ready_seconds: Option<u64>,
    /// Whether it runs another revision than the newest.
    pub(crate) is_outdated: bool,
    /// The number of the root credential that it has.
    pub(crate) root: Option<u32>,
    /// Its address.
    pub(crate) ip: Option<String>,
}

/// An object storage that runs elsewhere.
pub(crate) struct External {
    /// The Secret that describes it.
    pub(crate) source: provider::External,
    /// Its buckets.
    pub(crate) survey: Survey,
}

/// What an object storage answered about its buckets.
#[derive(Default)]
pub(crate) enum Survey {
    /// It was not asked, because no pod is ready, or its Secret cannot be used.
    #[default]
    Unasked,
    /// It did not answer, or refused the administrator.
    Silent(Failure),
    /// It answered.
    Known(Known),
}

/// The answer of an object storage.
#[derive(Default)]
pub(crate) struct Known {
    /// The server that answered, as its administrator.
    pub(crate) store: Option<Store>,
    /// The buckets that the spec names, and those that are leaving.
    pub(crate) buckets: BTreeMap<String, Found>,
    /// The state of each bucket's logins, in their order.
    pub(crate) login_states: BTreeMap<String, Vec<LoginState>>,
}

/// The state of a bucket.
#[derive(Debug)]
pub(crate) enum Found {
    /// It does not exist.
    Absent,
    /// It belongs to another account.
    Foreign,
    /// It cannot be inspected.
    Failed(Failure),
    /// It exists, and the key may use it. Whose it is, its evidence shows.
    Usable(Facts),
}

/// The settings of a bucket that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether it keeps versions.
    pub(crate) versioning: Fact<Versioning>,
    /// Whether and how it locks objects.
    pub(crate) lock: Fact<Locking>,
    /// After how many days objects expire.
    pub(crate) expiration: Fact<Option<u32>>,
    /// The most bytes; 0 is none.
    pub(crate) quota: Fact<Option<u64>>,
    /// Whether it has no object and no version; absent: not asked, because it stays.
    pub(crate) is_empty: Option<bool>,
    /// What shows whose it is; absent: the storage, or its claim, belongs to the object as a whole.
    pub(crate) evidence: Option<Evidence>,
}

/// What an object storage elsewhere shows about the owner of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Whether it belongs to the account of the key; absent: the key may not list the buckets of its account.
    pub(crate) is_of_account: Option<bool>,
    /// The UID of the object that owns it, as its tag names it.
    pub(crate) owner: Fact<Option<String>>,
}

impl Provider {
    /// Whether a bucket of the object has this name in the object storage, but not in the spec.
    pub(crate) fn has_granted(&self, bucket: &str) -> bool {
        let Self::Rook(rook) = self else { return false };
        rook.claims.iter().any(|claimed| matches!(&claimed.granted, Some(Ok(granted)) if granted.bucket == bucket))
    }
}

impl Survey {
    /// The answer, if there is one.
    pub(crate) fn known(&self) -> Option<&Known> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unasked | Self::Silent(_) => None,
        }
    }
}

impl Embedded {
    /// The number of each pod's root credential. A full stop lasts until the pods of a set without replicas have ended.
    pub(crate) fn pod_roots(&self) -> impl Iterator<Item = Option<u32>> {
        let has_none = self.replicas == Some(0);
        let ending = self.surplus.iter().filter(move |_| has_none);
        self.pods.iter().chain(ending).map(|pod| pod.root)
    }
}

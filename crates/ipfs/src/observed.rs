//! The observed state of a pass: plain data.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use temporal_stack_common::{
    default_source::DefaultSource,
    provider::{External, Provider},
    shared::Made,
    volume::{self, Offer},
};

use crate::{
    access::Access,
    identity::Identity,
    names::{LEFT, MOST_PEERS},
    survey::Survey,
};

/// How often a copy is retried before the user must act.
pub(crate) const MOST_ATTEMPTS: u32 = 5;

/// The observed state of a pass.
pub struct Observed {
    /// The user's ConfigMap, if it exists and counts for this object.
    pub(crate) config: Option<BTreeMap<String, String>>,
    /// Whether the ConfigMap with the default name counts for this object.
    pub(crate) default_source: DefaultSource,
    pub(crate) is_bound: bool,
    pub(crate) provider: Provider<Embedded, External>,
}

/// Peers that the controller runs.
pub(crate) struct Embedded {
    pub(crate) objects: Objects,
    /// The `StorageClass`es and volumes of the cluster.
    pub(crate) offer: Offer,
    /// The peers that were asked, by ordinal.
    pub(crate) peers: Vec<Peer>,
    pub(crate) pinset: Pinset,
}

/// The existing Kubernetes objects.
pub(crate) struct Objects {
    /// The secrets that peers share, oldest first.
    pub(crate) shared: Vec<Made>,
    /// The number of the one that the pods have.
    pub(crate) shared_in_use: Option<u32>,
    /// The existing identities, by ordinal.
    pub(crate) identities: Vec<Identity>,
    /// Secrets of identities with a key that is not a libp2p private key.
    pub(crate) unreadable: Vec<(String, &'static str)>,
    /// The newest restart request.
    pub(crate) restart: Option<String>,
    /// The replicas of the set; absent: it does not exist.
    pub(crate) replicas: Option<i32>,
    /// How many peers the Secret with their configurations lists.
    pub(crate) listed: i32,
    /// The address of the Service for clients: it works while a name server does not.
    pub(crate) service: Option<String>,
    /// The volume claims of all possible peers, where they exist.
    pub(crate) volumes: Vec<Option<PersistentVolumeClaim>>,
    /// The pods of the peers, by ordinal.
    pub(crate) pods: Vec<PeerPod>,
    /// The pods beyond the replicas of the set, by ordinal. They are ending, and some may be foreign.
    pub(crate) surplus: Vec<PeerPod>,
}

/// A pod of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerPod {
    pub(crate) ordinal: i32,
    pub(crate) is_ready: bool,
    /// Whether it receives clients.
    pub(crate) is_serving: bool,
    /// Whether it runs another template than the newest.
    pub(crate) is_outdated: bool,
    /// Which of the shared secrets it has.
    pub(crate) shared: Option<u32>,
    pub(crate) ip: Option<String>,
    /// Its UID, and how often its containers were started: its memory is lost when these change.
    pub(crate) incarnation: String,
}

/// A peer that was asked.
pub(crate) struct Peer {
    pub(crate) ordinal: i32,
    pub(crate) access: Access,
    /// Its report, or why there is none.
    pub(crate) report: Result<Report, String>,
}

/// The report of a peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Its peer ID in IPFS Cluster.
    pub(crate) id: String,
    pub(crate) version: String,
    /// The protocol version between peers.
    pub(crate) rpc_protocol: String,
    /// The peers of IPFS Cluster that it sees, itself among them.
    pub(crate) visible_peers: Vec<String>,
    /// The peers that it allocates pins to: those with metrics, for a while also after they have left.
    pub(crate) allocates_to: Vec<String>,
    /// Its Kubo's peer ID.
    pub(crate) kubo_id: String,
    pub(crate) kubo_version: String,
    /// The Kubos that its Kubo is connected with.
    pub(crate) connected: Vec<String>,
    /// The size of the repository, in bytes.
    pub(crate) repository: u64,
    /// The size at which the repository is full, in bytes.
    pub(crate) most: u64,
    pub(crate) copies: Copies,
}

/// Copies on one peer that are not pinned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    /// Those that are queued.
    pub(crate) queued: u64,
    /// Those that are being fetched or removed.
    pub(crate) pinning: u64,
    /// Those that could not be created or removed.
    pub(crate) errors: u64,
    /// Those of them that are no longer retried.
    pub(crate) given_up: u64,
    /// Whether one of them failed because a volume is full.
    pub(crate) is_full: bool,
    /// Some of them: those that are due first, and examples of the others.
    pub(crate) failed: Vec<FailedCopy>,
}

/// A copy that could not be created or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedCopy {
    pub(crate) cid: String,
    pub(crate) error: String,
    pub(crate) attempts: u32,
    /// Whether it existed, or was reported to, and does not.
    pub(crate) is_lost: bool,
    /// Whether it should have been removed.
    pub(crate) is_removal: bool,
    /// Whether the next attempt is due.
    pub(crate) is_due: bool,
}

/// The knowledge about the pins.
pub(crate) enum Pinset {
    /// Nothing: the peer with this ordinal did not answer.
    Silent(i32),
    /// Nothing: a peer did not list its pins.
    Failed(String),
    /// The result of this pass.
    Current(Survey),
    /// An earlier result: sufficient for the status, but not for decisions.
    Earlier(Survey),
}

impl Pinset {
    /// The latest survey, however old.
    pub(crate) fn latest(&self) -> Option<&Survey> {
        match self {
            Self::Current(survey) | Self::Earlier(survey) => Some(survey),
            Self::Silent(_) | Self::Failed(_) => None,
        }
    }
}

impl Objects {
    /// The volume claim of the peer with this ordinal.
    pub(crate) fn claim(&self, ordinal: i32) -> Option<&PersistentVolumeClaim> {
        self.volumes.get(usize::try_from(ordinal).ok()?)?.as_ref()
    }

    /// The claims of the desired peers, if they exist.
    pub(crate) fn wanted_volumes(&self, wanted: i32) -> &[Option<PersistentVolumeClaim>] {
        let wanted = usize::try_from(wanted).unwrap_or_default().max(1);
        self.volumes.get(..wanted).unwrap_or(&self.volumes)
    }

    /// How many peers have a volume with data that may exist nowhere else.
    pub(crate) fn count_data_volumes(&self) -> i32 {
        let has_data = |claim: &PersistentVolumeClaim| {
            has_left(claim) != Some(true) && claim.metadata.deletion_timestamp.is_none()
        };
        let last = (0..MOST_PEERS).rev().find(|ordinal| self.claim(*ordinal).is_some_and(has_data));
        last.map_or(0, |last| last + 1)
    }

    /// The identity of the peer with this ordinal.
    pub(crate) fn identity(&self, ordinal: i32) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.ordinal == ordinal)
    }

    /// Which of the shared secrets each pod has. A full stop lasts until the pods of a set without replicas have ended.
    pub(crate) fn shared_of_pods(&self) -> impl Iterator<Item = Option<u32>> {
        let has_none = self.replicas == Some(0);
        let ending = self.surplus.iter().filter(move |_| has_none);
        self.pods.iter().chain(ending).map(|pod| pod.shared)
    }

    /// The pods of peers, and those that are ending and can have been peers, by ordinal.
    pub(crate) fn existing(&self, wanted: i32) -> impl Iterator<Item = &PeerPod> {
        let startable = self.startable_peers(wanted);
        self.pods.iter().chain(self.surplus.iter().filter(move |pod| pod.ordinal < startable))
    }

    /// Whether peers should leave that have not left yet.
    pub(crate) fn is_leaving(&self, wanted: i32) -> bool {
        self.replicas.is_some_and(|replicas| replicas > wanted)
    }

    /// How many peers can have started: a peer starts only when the Secret of the peers lists it. A set that was scaled by hand
    /// has further pods, which wait for it and have no data.
    pub(crate) fn startable_peers(&self, wanted: i32) -> i32 {
        if self.listed > 0 { self.listed.max(wanted) } else { MOST_PEERS }
    }

    /// The ordinals of the current members of the cluster, without surplus peers that never had a volume, which may leave at
    /// once.
    pub(crate) fn members(&self, wanted: i32) -> impl Iterator<Item = i32> {
        let replicas = self.replicas.unwrap_or_default().min(self.startable_peers(wanted));
        let has_volume = |ordinal| self.claim(ordinal).is_some_and(volume::is_bound);
        (0..replicas.max(wanted).min(MOST_PEERS)).filter(move |ordinal| *ordinal < wanted || has_volume(*ordinal))
    }
}

/// Whether the peer of a claim has left gracefully: its volume has nothing that the others lack. `None`: it has never left.
pub(crate) fn has_left(claim: &PersistentVolumeClaim) -> Option<bool> {
    claim.labels().get(LEFT).map(|left| left == "true")
}

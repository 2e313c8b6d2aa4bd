//! The observed state of a pass: plain data.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use temporal_stack_common::{
    address::Endpoint,
    default_source::DefaultSource,
    login::{Bound, Login},
    provider::{Answer, External, Provider},
    shared::Made,
    volume::Offer,
};

use crate::rabbit::{Alarm, Failure, Node, Notes, Queue, QueueName, User};

/// The observed state of a pass.
pub struct Observed {
    /// The user's Secret with the cookie, if it exists and counts for this object.
    pub(crate) config: Option<Secret>,
    /// Whether the Secret with the default name counts for this object.
    pub(crate) default_source: DefaultSource,
    /// The content of the binding.
    pub(crate) bound: Option<Bound>,
    /// The part that belongs to the provider.
    pub(crate) provider: Provider<Embedded, External>,
}

/// A cluster that the controller runs.
#[derive(Default)]
pub(crate) struct Embedded {
    /// The existing Erlang cookies, oldest first.
    pub(crate) cookies: Vec<Made>,
    /// The number of the cookie that pods have.
    pub(crate) cookie_in_use: Option<u32>,
    /// The existing logins, oldest first.
    pub(crate) logins: Vec<Login>,
    /// The password of the administrator, once it is drawn.
    pub(crate) administrator: Option<String>,
    /// The newest restart request.
    pub(crate) restart: Option<String>,
    /// The replicas of the set; absent: it does not exist.
    pub(crate) replicas: Option<i32>,
    /// The pods of the nodes.
    pub(crate) pods: Vec<BrokerPod>,
    /// The pods beyond the replicas of the set. They are ending, and some may be foreign.
    pub(crate) surplus: Vec<BrokerPod>,
    /// The volume claims by ordinal, each if it exists.
    pub(crate) volumes: Vec<Option<PersistentVolumeClaim>>,
    /// The `StorageClass`es and volumes of the cluster.
    pub(crate) offer: Offer,
    /// The latest list of members.
    pub(crate) members: Option<Vec<String>>,
    /// The address of the Service for clients: it works while a name server does not.
    pub(crate) service: Option<Endpoint>,
    /// The broker itself.
    pub(crate) broker: Broker,
}

/// A pod that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerPod {
    /// Its name.
    pub(crate) name: String,
    /// Whether it takes clients.
    pub(crate) is_ready: bool,
    /// How long it has been preparing its start, in seconds.
    pub(crate) preparing: Option<i64>,
    /// The number of the cookie that it has.
    pub(crate) cookie: Option<u32>,
    /// Its address.
    pub(crate) ip: Option<String>,
}

/// The answer of the broker.
pub(crate) type Broker = Answer<Known, Failure>;

/// A cluster that answered the administrator.
#[derive(Default)]
pub(crate) struct Known {
    /// The address of the node that answered.
    pub(crate) host: String,
    /// Its version.
    pub(crate) version: String,
    /// The members, by name.
    pub(crate) nodes: Vec<Node>,
    /// Alarms of nodes: known here some seconds before the list of nodes has them.
    pub(crate) alarms: Vec<Alarm>,
    /// By pod, the queues that would lose their majority without its node; `None`: the node did not answer.
    pub(crate) at_minimum: BTreeMap<String, Option<Vec<QueueName>>>,
    /// The queues of all virtual hosts.
    pub(crate) queues: Vec<Queue>,
    /// The default queue type of the application's virtual host, if that exists.
    pub(crate) default_queue_type: Option<String>,
    /// The existing logins that the broker has.
    pub(crate) users: Vec<User>,
    /// How many connections the newest login has.
    pub(crate) connections_of_newest: usize,
    /// The controller's notes in the cluster.
    pub(crate) notes: Notes,
    /// Features that wait to be enabled.
    pub(crate) features: Vec<String>,
}

impl Embedded {
    /// The number of each pod's cookie. A full stop lasts until the pods of a set without replicas have ended.
    pub(crate) fn pod_cookies(&self) -> impl Iterator<Item = Option<u32>> {
        let has_none = self.replicas == Some(0);
        let ending = self.surplus.iter().filter(move |_| has_none);
        self.pods.iter().chain(ending).map(|pod| pod.cookie)
    }

    /// Whether a pod of this name exists, even if it is only ending.
    pub(crate) fn has_pod(&self, name: &str) -> bool {
        self.pods.iter().chain(&self.surplus).any(|pod| pod.name == name)
    }

    /// The pod of this name, if it is that of a node.
    pub(crate) fn pod(&self, name: &str) -> Option<&BrokerPod> {
        self.pods.iter().find(|pod| pod.name == name)
    }
}

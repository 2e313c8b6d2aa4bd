//! The observed state of a pass: plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use temporal_stack_common::{api::ComponentReference, hand::Target, surroundings::Siblings, world::Elsewhere};

use crate::{
    linkerd::{
        certificate::Expiry,
        installation::{Anchors, Config},
        namespace::Namespace,
        pod::Pod,
        policies::Policy,
        workload::Plane,
    },
    stack::{self, Controller},
    traffic::Report,
};

/// The observed state of a pass.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time of the pass.
    pub(crate) now: Timestamp,
    /// Other Meshes of the namespace.
    pub(crate) siblings: Siblings,
    /// What the cluster has of Linkerd.
    pub(crate) linkerd: Linkerd,
    /// The namespace.
    pub(crate) namespace: Elsewhere<Namespace>,
    /// The components of the namespace, in the order in which they are restarted.
    pub(crate) components: Vec<Component>,
    /// Pods of nobody's component that run without a proxy, by name: the first of them.
    pub(crate) strangers: Vec<String>,
    /// The controllers of the stack that have pods; `None` if these may not be listed.
    pub(crate) controllers: Option<Vec<Controller>>,
    /// The addresses from which nodes connect to pods; `None` if nodes may not be listed.
    pub(crate) nodes: Option<BTreeSet<IpAddr>>,
    /// The policies of the namespace.
    pub(crate) policies: Policies,
    /// The traffic, if it is read.
    pub(crate) traffic: Option<Arc<Report>>,
    /// The UIDs of the components from which this process has removed the annotation.
    pub(crate) released: BTreeSet<String>,
}

/// What the cluster has of Linkerd.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Linkerd {
    /// The namespace of its control plane.
    pub(crate) namespace: String,
    /// The kinds of policies that the API server lacks.
    pub(crate) missing_kinds: Vec<&'static str>,
    /// Whether the API server has none of its kinds.
    pub(crate) is_absent: bool,
    /// The version of `Server` that it serves.
    pub(crate) server_version: Option<&'static str>,
    /// Whether the cluster has routes of the Gateway API.
    pub(crate) has_routes: bool,
    /// The Deployments of its control plane; `None` if they may not be listed.
    pub(crate) planes: Option<Vec<Plane>>,
    /// Whether the webhook exists that adds proxies.
    pub(crate) injector: Elsewhere<()>,
    /// The CA bundles of its webhooks that can be read, by the names of the configurations.
    pub(crate) webhooks: Vec<(&'static str, Expiry)>,
    /// Its settings.
    pub(crate) config: Elsewhere<Config>,
    /// Its trust anchors.
    pub(crate) anchors: Elsewhere<Anchors>,
    /// When the issuer expires; `There(None)` if the certificate does not parse.
    pub(crate) issuer: Elsewhere<Option<Expiry>>,
}

/// A component of the namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Component {
    /// Which one it is.
    pub(crate) reference: ComponentReference,
    /// Its custom resource.
    pub(crate) target: Target,
    /// Whether it is Ready in its newest generation.
    pub(crate) is_ready: bool,
    /// Whether it is being deleted.
    pub(crate) is_leaving: bool,
    /// The newest request to restart its pods.
    pub(crate) restart: Option<String>,
    /// The annotations of Linkerd in `spec.pods.annotations`.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Its parts and ports; `None` if it runs elsewhere.
    pub(crate) shape: Option<stack::Component>,
    /// Its pods that have not ended.
    pub(crate) pods: Vec<Pod>,
}

/// The policies of a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Policies {
    /// Those of this object.
    pub(crate) own: Vec<Policy>,
    /// Whether one of this object's Servers denies what nothing admits.
    pub(crate) is_enforced: bool,
    /// Those of others.
    pub(crate) foreign: Vec<Policy>,
    /// Whether a kind of them may not be listed.
    pub(crate) is_hidden: bool,
}

//! The names of an object's children that all components have.

use std::fmt;

use kube::ResourceExt;

use crate::{api::Kind, volume::claim_name};

/// The names of an object and its children.
#[derive(Clone, Debug)]
pub struct Names {
    /// The object.
    pub object: String,
    /// Its namespace.
    pub namespace: String,
    /// The prefix of all children's names, `<object>-<kind>`; alone, the name of the main workload, of
    /// its ServiceAccount, and of the Service for clients.
    pub base: String,
    /// The Secret that applications read.
    pub binding: String,
}

impl Names {
    /// The names of this object's children.
    pub fn new<K: Kind>(object: &K) -> Self {
        let base = format!("{}-{}", object.name_any(), K::kind(&()).to_lowercase());
        Self {
            object: object.name_any(),
            namespace: object.namespace().unwrap_or_default(),
            binding: format!("{base}-binding"),
            base,
        }
    }

    /// A child, by the last part of its name.
    pub fn child(&self, part: impl fmt::Display) -> String {
        format!("{}-{part}", self.base)
    }

    /// The pod of the main workload with this ordinal.
    pub fn pod(&self, ordinal: i32) -> String {
        self.child(ordinal)
    }

    /// The volume claim of the pod with this ordinal.
    pub fn volume(&self, ordinal: i32) -> String {
        claim_name(&self.pod(ordinal))
    }

    /// The headless Service that gives pods their DNS names.
    pub fn pod_service(&self) -> String {
        self.child("pods")
    }

    /// The host name of a Service, without the cluster's domain, which the resolver's search path adds.
    pub fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc", self.namespace)
    }

    /// The host name of the pod with this ordinal.
    pub fn pod_host(&self, ordinal: i32) -> String {
        format!("{}.{}", self.pod(ordinal), self.host(&self.pod_service()))
    }
}

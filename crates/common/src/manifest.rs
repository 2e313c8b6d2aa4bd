//! A manifest: one object that a component wants in the cluster, and how it is to be made.
//!
//! Components return manifests from pure code; the driver stamps them with labels, owner and intent hash, compares them with
//! what is there, and writes what is missing. Nothing here has a client.

mod contains;
mod owned;
mod quantity;

use std::{collections::BTreeMap, fmt};

use k8s_openapi::NamespaceResourceScope;
use kube::{Resource, api::ApiResource};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use contains::{Difference, difference};
pub use owned::disowned;
pub use quantity::{bytes, compare as compare_quantities, is_whole as is_whole_quantity};

use crate::api::DeletionPolicy;

/// A value that the driver draws when it makes a Secret once. `Debug` shows the key.
#[derive(Clone, Copy)]
pub enum Draw {
    /// Of this key: 32 letters and digits, about 190 bits.
    Letters(&'static str),
    /// Of this key: 32 random bytes, written as the product wants to read them. The function draws nothing itself.
    Bytes(&'static str, fn(&[u8; 32]) -> String),
}

impl Draw {
    /// The key of the Secret's data that it is the value of.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Letters(key) | Self::Bytes(key, _) => key,
        }
    }
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.key(), f)
    }
}

/// How an object comes to be what its manifest says.
#[derive(Clone, Debug)]
pub enum Making {
    /// Applied server-side, the complete intent each time: a field that is no longer in the manifest disappears.
    Applied,
    /// Made by POST and never applied over: passwords, keys, identities. The driver draws values, so pure code needs no
    /// randomness. Later passes only keep its ownership right.
    Once {
        /// What is drawn.
        drawn: Vec<Draw>,
    },
    /// Made by another controller, such as the volume claims of a `StatefulSet`: it is adjusted when it is there.
    Existing,
    /// Made by another controller for a child of ours, such as the pods of a `StatefulSet`: it has these labels when it is
    /// there, and is nowise ours.
    Labelled,
    /// It must not be there.
    Absent,
}

/// How long an object stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It goes with its custom resource, by garbage collection.
    WithOwner,
    /// It is data: it goes or stays as the policy says, and is never pruned.
    Data(DeletionPolicy),
}

/// One object that a component wants, and how it is to be made. `Debug` shows no content, which may be a password.
#[derive(Clone)]
pub struct Manifest {
    /// The object's kind.
    pub resource: ApiResource,
    /// The object itself, without what the driver stamps on it.
    pub object: Value,
    /// How it is made.
    pub making: Making,
    /// How long it stays.
    pub lifetime: Lifetime,
    /// JSON pointers to fields that the API server refuses to change: when one differs, the object is deleted, its
    /// dependents orphaned, and it is made again.
    pub immutable: &'static [&'static str],
    /// The workloads, as `Kind/name`, whose pods read it when they start.
    pub read_by: Vec<String>,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("reference", &self.reference())
            .field("making", &self.making)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// An object that is applied, and goes with its owner. An object that does not serialise becomes `null`, which the
    /// driver reports; the types of k8s-openapi always do.
    pub fn new<K>(object: &K) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            object: serde_json::to_value(object).unwrap_or_default(),
            making: Making::Applied,
            lifetime: Lifetime::WithOwner,
            immutable: &[],
            read_by: Vec::new(),
        }
    }

    /// An object of that name which must not be there. Data are deleted where they are recorded as the object's; with a
    /// [lifetime](Self::data) of data, only the very ones that were recorded, and not what was restored under their name.
    pub fn absent<K>(name: &str) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            object: serde_json::json!({ "metadata": { "name": name } }),
            making: Making::Absent,
            lifetime: Lifetime::WithOwner,
            immutable: &[],
            read_by: Vec::new(),
        }
    }

    /// Labels for an object of that name which another controller makes for a child of ours: a pod of a `StatefulSet`. It is
    /// found by the labels that its template gives it; while it is absent, or its controller is no child, nothing is done. What
    /// it had of an earlier manifest goes with the next label that is set: to take one back, give it another value.
    pub fn labels<K>(name: &str, labels: BTreeMap<String, String>) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            object: serde_json::json!({ "metadata": { "name": name, "labels": Value::from_iter(labels) } }),
            making: Making::Labelled,
            lifetime: Lifetime::WithOwner,
            immutable: &[],
            read_by: Vec::new(),
        }
    }

    /// Made by POST and never applied over, with these values drawn.
    #[must_use]
    pub fn once(mut self, drawn: &[Draw]) -> Self {
        self.making = Making::Once { drawn: drawn.to_vec() };
        self
    }

    /// Made by another controller; adjusted when it is there.
    #[must_use]
    pub fn existing(mut self) -> Self {
        self.making = Making::Existing;
        self
    }

    /// Data, which go or stay as the policy says.
    #[must_use]
    pub fn data(mut self, policy: DeletionPolicy) -> Self {
        self.lifetime = Lifetime::Data(policy);
        self
    }

    /// Made again, with its dependents orphaned, when one of these fields differs.
    #[must_use]
    pub fn remade_on(mut self, pointers: &'static [&'static str]) -> Self {
        self.immutable = pointers;
        self
    }

    /// Read by the pods of these workloads when they start: while all of these keep their template, it keeps its data, so that
    /// no pod starts with half of a change that waits.
    #[must_use]
    pub fn read_by(mut self, workloads: impl IntoIterator<Item = String>) -> Self {
        self.read_by = workloads.into_iter().collect();
        self
    }

    /// The name of the object; empty only if the component forgot it.
    pub fn name(&self) -> &str {
        self.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// `Kind/name`, as messages name it.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.resource.kind, self.name())
    }
}

/// A short hash of any JSON: the same for the same content.
pub fn hash(value: &Value) -> String {
    hex(&Sha256::digest(value.to_string().as_bytes())[..8])
}

/// Bytes as text, two digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

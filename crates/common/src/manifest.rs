//! A manifest: one object that a component wants in the cluster, and how it is created.
//!
//! Components return manifests from pure code; the driver stamps them with labels, owner and intent hash, compares them with the
//! existing objects, and writes the difference. Nothing here has a client.

mod contains;
mod owned;
mod quantity;

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{
    ByteString, NamespaceResourceScope, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, api::ApiResource};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use contains::{Difference, difference};
pub(crate) use owned::disowned;
pub use quantity::{bytes, compare as compare_quantities, is_whole as is_whole_quantity};

use crate::api::DeletionPolicy;

/// A random value that the driver draws when it creates a Secret. `Debug` shows the key.
#[derive(Clone, Copy)]
pub enum Draw {
    /// For this key: 32 letters and digits, about 190 bits.
    Letters(&'static str),
    /// For this key: 32 random bytes, encoded for the product. The function draws nothing itself.
    Bytes(&'static str, fn(&[u8; 32]) -> String),
}

impl Draw {
    /// The key in the Secret's data.
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

/// How an object is created and kept as its manifest describes.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Applied server-side, the complete intent each time: a field that is no longer in the manifest disappears.
    Applied,
    /// Created by POST and never applied over: passwords, keys, identities. The driver draws values, so pure code needs no
    /// randomness. Later passes only correct its ownership.
    Once {
        /// The values to draw.
        drawn: Vec<Draw>,
    },
    /// Created by another controller, such as the volume claims of a `StatefulSet`: it is adjusted if it exists.
    Existing,
    /// Created by another controller for a child of ours, such as the pods of a `StatefulSet`: only these labels are set if it
    /// exists.
    Labelled,
    /// It must not exist.
    Absent,
}

/// How long an object lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It is deleted with its custom resource, by garbage collection.
    WithOwner,
    /// It is data: the policy decides whether it outlives its custom resource, and it is never pruned.
    Data(DeletionPolicy),
}

/// An operator of another project, whose webhook admits an object.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// What messages call it.
    pub name: &'static str,
    /// The command that shows its pods.
    pub pods: &'static str,
    /// What the names of its webhooks end in.
    pub webhooks: &'static str,
}

/// One desired object, and how it is created. `Debug` shows no content, which may be a password.
#[derive(Clone)]
pub struct Manifest {
    /// The object's kind.
    pub resource: ApiResource,
    /// The object itself, without the metadata that the driver adds.
    pub object: Value,
    /// How it is created.
    pub mode: Mode,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// JSON pointers to immutable fields: if one differs, the object is deleted, its dependents are orphaned, and it is
    /// recreated.
    pub immutable: &'static [&'static str],
    /// The workloads, as `Kind/name`, whose pods read it when they start.
    pub read_by: Vec<String>,
    /// The operator whose webhook admits it: while that gives no answer, the object is waited for.
    pub operator: Option<Operator>,
    /// Whether it is changed only in the version that the pass has read.
    pub is_guarded: bool,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("reference", &self.reference())
            .field("mode", &self.mode)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// An object that is applied, and deleted with its owner. An object that does not serialise becomes `null`, which the driver
    /// reports; the types of k8s-openapi always serialise.
    pub fn new<K>(object: &K) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            object: serde_json::to_value(object).unwrap_or_default(),
            mode: Mode::Applied,
            lifetime: Lifetime::WithOwner,
            immutable: &[],
            read_by: Vec::new(),
            operator: None,
            is_guarded: false,
        }
    }

    /// An object of that name that must not exist. Data are deleted if they are recorded as the object's; with a
    /// [lifetime](Self::data) of data, only exactly the recorded objects, and not those restored under their names.
    pub fn absent<K>(name: &str) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            object: serde_json::json!({ "metadata": { "name": name } }),
            mode: Mode::Absent,
            lifetime: Lifetime::WithOwner,
            immutable: &[],
            read_by: Vec::new(),
            operator: None,
            is_guarded: false,
        }
    }

    /// Labels for an object of that name that another controller creates for a child of ours: a pod of a `StatefulSet`. It is
    /// found by the labels of its template; while it is absent, or its controller is no child, nothing is done. Labels of an
    /// earlier manifest disappear with the next label that is set: to remove one, give it another value.
    pub fn labels<K>(name: &str, labels: BTreeMap<String, String>) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            object: serde_json::json!({ "metadata": { "name": name, "labels": Value::from_iter(labels) } }),
            mode: Mode::Labelled,
            lifetime: Lifetime::WithOwner,
            immutable: &[],
            read_by: Vec::new(),
            operator: None,
            is_guarded: false,
        }
    }

    /// Created by POST and never applied over, with these random values.
    #[must_use]
    pub fn once(mut self, drawn: &[Draw]) -> Self {
        self.mode = Mode::Once { drawn: drawn.to_vec() };
        self
    }

    /// Created by another controller; adjusted if it exists.
    #[must_use]
    pub fn existing(mut self) -> Self {
        self.mode = Mode::Existing;
        self
    }

    /// Data, whose lifetime the policy decides.
    #[must_use]
    pub fn data(mut self, policy: DeletionPolicy) -> Self {
        self.lifetime = Lifetime::Data(policy);
        self
    }

    /// Recreated, with its dependents orphaned, if one of these fields differs.
    #[must_use]
    pub fn remade_on(mut self, pointers: &'static [&'static str]) -> Self {
        self.immutable = pointers;
        self
    }

    /// Read by the pods of these workloads when they start: while all of them keep their template, it keeps its data, so that no
    /// pod starts with half of a deferred change.
    #[must_use]
    pub fn read_by(mut self, workloads: impl IntoIterator<Item = String>) -> Self {
        self.read_by = workloads.into_iter().collect();
        self
    }

    /// Admitted by the webhook of this operator, which may be absent or restarting: that is no refusal.
    #[must_use]
    pub fn operated_by(mut self, operator: Operator) -> Self {
        self.operator = Some(operator);
        self
    }

    /// Changed only in the version that the pass has read: if another writer was faster, such as the next leader, the pass ends with
    /// this write, and what follows in it is not carried out.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.is_guarded = true;
        self
    }

    /// The name of the object; empty only if the component forgot it.
    pub fn name(&self) -> &str {
        self.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// `Kind/name`, for messages.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.resource.kind, self.name())
    }
}

/// A Secret with these keys; random values are added when it is created.
pub fn secret(name: String, keys: &[(&str, &str)]) -> Secret {
    let data: BTreeMap<_, _> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
    Secret {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        type_: Some("Opaque".to_owned()),
        data: (!data.is_empty()).then_some(data),
        ..Secret::default()
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

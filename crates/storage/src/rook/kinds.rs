//! The kinds of others that a bucket consists of, as far as they are read or written.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{CustomResource, Resource};
use serde::{Deserialize, Serialize};

/// How the name of Rook's provisioner of buckets ends; it begins with the operator's namespace.
pub(crate) const PROVISIONER: &str = ".ceph.rook.io/bucket";
/// The parameters of a `StorageClass` that name the object store.
pub(crate) const STORE: &str = "objectStoreName";
/// See [`STORE`].
pub(crate) const STORE_NAMESPACE: &str = "objectStoreNamespace";
/// The parameter of a `StorageClass` that names an existing bucket, which all its claims would share.
pub(crate) const EXISTING_BUCKET: &str = "bucketName";
/// The quota of a claim, among its additional configuration.
pub(crate) const MAX_SIZE: &str = "maxSize";
/// The ConfigMap of Rook's operator, and the setting that lists the additional configuration that claims may have.
pub(crate) const OPERATOR_SETTINGS: &str = "rook-ceph-operator-config";
/// See [`OPERATOR_SETTINGS`].
pub(crate) const ALLOWED_FIELDS: &str = "ROOK_OBC_ALLOW_ADDITIONAL_CONFIG_FIELDS";

/// The claim of a bucket, in the namespace of who uses it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "objectbucket.io",
    version = "v1alpha1",
    kind = "ObjectBucketClaim",
    namespaced,
    status = "ObjectBucketClaimStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectBucketClaimSpec {
    /// Its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class_name: Option<String>,
    /// The beginning of the name of its bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generate_bucket_name: Option<String>,
    /// The name of its bucket, which the provisioner writes: it is read and never written.
    #[serde(default, skip_serializing)]
    pub(crate) bucket_name: Option<String>,
    /// Further settings that the operator may permit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) additional_config: BTreeMap<String, String>,
}

/// What the provisioner reports about a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectBucketClaimStatus {
    /// Absent until a provisioner has taken the claim, then `Pending` or `Bound`.
    #[serde(default)]
    pub(crate) phase: Option<String>,
}

/// An object store of Ceph.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ceph.rook.io",
    version = "v1",
    kind = "CephObjectStore",
    namespaced,
    status = "CephObjectStoreStatus",
    schema = "disabled"
)]
pub(crate) struct CephObjectStoreSpec {
    /// Its servers.
    #[serde(default)]
    pub(crate) gateway: Gateway,
}

/// The servers of an object store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gateway {
    /// The port of HTTPS.
    #[serde(default)]
    pub(crate) secure_port: Option<u16>,
    /// The Secret of the certificate, in the namespace of the store.
    #[serde(default)]
    pub(crate) ssl_certificate_ref: Option<String>,
}

/// What Rook reports about an object store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CephObjectStoreStatus {
    /// `Ready`, or what it is instead.
    #[serde(default)]
    pub(crate) phase: Option<String>,
    /// Its conditions, which may have the cause.
    #[serde(default)]
    pub(crate) conditions: Vec<StoreCondition>,
}

/// A condition of an object store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreCondition {
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// The part of the Secret of a certificate that is read: never its key.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
#[resource(inherit = Secret)]
pub(crate) struct Certificate {
    metadata: ObjectMeta,
    #[serde(default)]
    data: Authority,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Authority {
    #[serde(default, rename = "ca.crt")]
    authority: Option<k8s_openapi::ByteString>,
}

impl Certificate {
    /// The authority that signed the certificate, in PEM.
    pub(crate) fn authority(&self) -> Option<String> {
        let text = String::from_utf8(self.data.authority.as_ref()?.0.clone()).ok()?;
        Some(text).filter(|text| text.contains("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE KEY"))
    }
}

impl ObjectBucketClaim {
    /// Its phase, as far as a provisioner has reported one.
    pub(crate) fn phase(&self) -> Option<&str> {
        self.status.as_ref()?.phase.as_deref().filter(|phase| !phase.is_empty())
    }

    /// Whether the bucket exists, with its ConfigMap and Secret.
    pub(crate) fn is_bound(&self) -> bool {
        self.phase() == Some("Bound")
    }
}

/// The first condition of a store that has a message.
pub(crate) fn condition_text(conditions: &[StoreCondition]) -> Option<&str> {
    let kinds = ["Failure", "DeletionIsBlocked", "Progressing"];
    let mut found = kinds.iter().filter_map(|kind| conditions.iter().find(|condition| condition.kind == *kind));
    found.find_map(|condition| Some(condition.message.as_str()).filter(|message| !message.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn private_key_is_never_read_from_a_certificate() {
        let pem = |text: &str| {
            let encoded = k8s_openapi::ByteString(text.as_bytes().to_vec());
            let secret = json!({"metadata": {}, "data": {"ca.crt": encoded, "tls.key": encoded}});
            serde_json::from_value::<Certificate>(secret).unwrap()
        };
        let certificate = pem("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----");
        assert!(certificate.authority().is_some());
        assert!(!serde_json::to_string(&certificate).unwrap().contains("tls.key"));
        assert_eq!(pem("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----").authority(), None);
    }

    #[test]
    fn names_of_the_provisioner_are_never_written() {
        let live = json!({
            "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim", "metadata": {"name": "c"},
            "spec": {"generateBucketName": "g", "bucketName": "g-1", "objectBucketName": "obc-a-c"},
        });
        let read: ObjectBucketClaim = serde_json::from_value(live).unwrap();
        let written = serde_json::to_value(&read).unwrap()["spec"].clone();
        assert_eq!(written, json!({"generateBucketName": "g"}));
    }
}

//! The classes of volumes: which one a claim names, and what the cluster has for it.

use k8s_openapi::api::{core::v1::PersistentVolumeClaim, storage::v1::StorageClass};
use kube::ResourceExt;

/// Annotations of a default `StorageClass`: the current one, and the earlier one that Kubernetes still heeds.
pub(crate) const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// The earlier place of a claim's class, which Kubernetes still heeds, too.
pub(crate) const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// What a cluster has for claims of a class.
#[derive(Debug, PartialEq)]
pub(crate) enum Class<'a> {
    /// Its classes are unknown.
    Unknown,
    /// No class is named, and no class is the default.
    NoDefault,
    /// No class: a volume that an administrator creates.
    Classless,
    /// Not an object: at most a name that volumes have.
    Missing(&'a str),
    /// A `StorageClass`; for a claim without a class, the default one.
    Object(&'a StorageClass),
}

impl<'a> Class<'a> {
    /// The class that a claim names, among those of the cluster.
    pub(crate) fn new(named: Option<&'a str>, classes: Option<&'a [StorageClass]>) -> Self {
        match (named, classes) {
            (Some(""), _) => Self::Classless,
            (_, None) => Self::Unknown,
            (Some(name), Some(classes)) => {
                classes.iter().find(|class| class.name_any() == name).map_or(Self::Missing(name), Self::Object)
            }
            (None, Some(classes)) => default_class(classes).map_or(Self::NoDefault, Self::Object),
        }
    }
}

/// The default class: of several, the newest.
fn default_class(classes: &[StorageClass]) -> Option<&StorageClass> {
    classes.iter().filter(|class| is_default(class)).max_by_key(|class| class.creation_timestamp())
}

/// Whether the class is the default, by either annotation.
pub(crate) fn is_default(class: &StorageClass) -> bool {
    DEFAULT_CLASS.iter().any(|key| class.annotations().get(*key).is_some_and(|value| value == "true"))
}

/// The names of classes, for messages.
pub(crate) fn names(classes: &[StorageClass]) -> String {
    if classes.is_empty() {
        return "none".to_owned();
    }
    classes.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", ")
}

/// The class that a claim names: by its field, or by the earlier annotation.
pub(crate) fn class_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let annotated = claim.annotations().get(CLASS).map(String::as_str);
    annotated.or_else(|| claim.spec.as_ref()?.storage_class_name.as_deref())
}

/// The size that a claim requests.
pub fn size_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|size| size.0.as_str())
}

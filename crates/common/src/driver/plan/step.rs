//! The writes of which a plan consists.

use std::fmt;

use kube::api::ApiResource;
use serde_json::Value;

use crate::manifest::Draw;

/// One write to the API. `Debug` shows no content, which may be a password.
#[derive(Clone)]
pub(in crate::driver) enum Write {
    /// Create an absent object, by POST: a foreign object of that name is never touched.
    Create { resource: ApiResource, object: Value, drawn: Vec<Draw> },
    /// Apply the complete intent to an object that is ours.
    Apply { resource: ApiResource, object: Value, posted: bool, adopted: bool },
    /// Set the ownership of an object, without touching its content.
    Own { resource: ApiResource, name: String, patch: Value, adopted: bool },
    /// Set the replicas of a workload to none, without touching anything else.
    Stop { resource: ApiResource, name: String, patch: Value },
    /// Set the replicas of a workload to those that it had before [`Self::Stop`].
    Start { resource: ApiResource, name: String, patch: Value },
    /// Set labels of an object that another controller created for a child of ours.
    Label { resource: ApiResource, object: Value },
    /// Delete exactly this object.
    Delete { resource: ApiResource, target: Target, orphan: bool },
}

impl Write {
    /// The kind of the object.
    pub(in crate::driver) fn kind(&self) -> &str {
        match self {
            Self::Create { resource, .. }
            | Self::Apply { resource, .. }
            | Self::Own { resource, .. }
            | Self::Stop { resource, .. }
            | Self::Start { resource, .. }
            | Self::Label { resource, .. }
            | Self::Delete { resource, .. } => &resource.kind,
        }
    }

    /// The object that is sent, if any.
    pub(in crate::driver) fn object(&self) -> Option<&Value> {
        match self {
            Self::Create { object, .. } | Self::Apply { object, .. } | Self::Label { object, .. } => Some(object),
            Self::Own { .. } | Self::Stop { .. } | Self::Start { .. } | Self::Delete { .. } => None,
        }
    }

    /// Whether what follows must not be done if another writer was faster.
    pub(in crate::driver) fn is_guarded(&self) -> bool {
        matches!(self, Self::Apply { object, .. } if object["metadata"].get("resourceVersion").is_some())
    }

    /// The name of the object.
    pub(in crate::driver) fn name(&self) -> &str {
        match self {
            Self::Create { object, .. } | Self::Apply { object, .. } | Self::Label { object, .. } => {
                object["metadata"]["name"].as_str().unwrap_or_default()
            }
            Self::Own { name, .. } | Self::Stop { name, .. } | Self::Start { name, .. } => name,
            Self::Delete { target, .. } => &target.name,
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Create { .. } => "create",
            Self::Apply { .. } => "apply",
            Self::Own { .. } => "take over",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Label { .. } => "label",
            Self::Delete { .. } => "delete",
        };
        write!(f, "{verb} {}/{}", self.kind(), self.name())
    }
}

/// An object to delete, in exactly this version.
#[derive(Clone, Debug)]
pub(in crate::driver) struct Target {
    pub(in crate::driver) name: String,
    pub(in crate::driver) uid: Option<String>,
    pub(in crate::driver) version: Option<String>,
}

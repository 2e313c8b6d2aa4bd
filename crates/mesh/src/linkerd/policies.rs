//! Policies of Linkerd in the namespace, ours and those of others.

use kube::{ResourceExt, api::DynamicObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{keep, kept};
use crate::names::ADDRESSES;

/// The most bytes of a policy that are kept; a larger one counts as one that admits nobody.
const LONGEST: usize = 16 << 10;

/// What is read of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// Its kind.
    #[serde(skip)]
    pub(crate) kind: String,
    /// Its name, time of creation, spec and recorded addresses, in the form of the object.
    pub(crate) object: Value,
    /// The UID of the object that owns it.
    pub(crate) owner: Option<String>,
}

impl Policy {
    /// Reduces a policy.
    pub(crate) fn reduce(object: &mut DynamicObject) {
        let spec = object.data["spec"].take();
        let spec = if spec.to_string().len() > LONGEST { Value::Null } else { spec };
        let recorded = object.annotations().get(ADDRESSES).filter(|recorded| recorded.len() <= LONGEST);
        let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
        let read = Self {
            owner: controller.map(|owner| owner.uid.clone()),
            object: json!({
                "metadata": {
                    "name": object.name_any(),
                    "namespace": object.namespace(),
                    "creationTimestamp": object.metadata.creation_timestamp,
                    "annotations": recorded.map(|recorded| json!({ADDRESSES: recorded})),
                },
                "spec": spec,
            }),
            ..Self::default()
        };
        keep(object, &read);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The addresses of a controller that are recorded with it, as text.
    pub(crate) fn recorded(&self) -> Option<&str> {
        self.object["metadata"]["annotations"][ADDRESSES].as_str()
    }

    /// The reduced policy of this kind.
    pub(crate) fn kept(kind: &str, object: &DynamicObject) -> Option<Self> {
        Some(Self { kind: kind.to_owned(), ..kept(object)? })
    }
}

//! The status as it was written last, which the watch may not have shown yet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde_json::Value;

use crate::{
    api::{Kind, Status},
    condition::{READY, find},
    driver::{memory::Memory, volumes::Recorded},
};

/// Whether the newest status reports the object as Ready, for any generation.
pub(in crate::driver) fn is_reported_ready<K: Kind>(object: &K, memory: &Memory) -> bool {
    find(&known_conditions(object, memory), READY).is_some_and(|ready| ready.status == "True")
}

/// The conditions as they were written last, even if the watch has not shown them yet.
pub(super) fn known_conditions<K: Kind>(object: &K, memory: &Memory) -> Vec<Condition> {
    unseen(object, memory)
        .and_then(|status| serde_json::from_value(status["conditions"].clone()).ok())
        .unwrap_or_else(|| object.status().map(|status| status.conditions().to_vec()).unwrap_or_default())
}

/// The volumes as they were recorded last, even if the watch has not shown them yet.
pub(super) fn known_volumes<K: Kind>(object: &K, memory: &Memory) -> Recorded {
    unseen(object, memory)
        .map(|status| serde_json::from_value(status["volumes"].clone()).unwrap_or_default())
        .or_else(|| object.status().map(Status::volumes))
        .unwrap_or_default()
}

/// The status as it was written last, even if the watch has not shown it yet; null if there is none.
pub(super) fn known_status<K: Kind>(object: &K, memory: &Memory) -> kube::Result<Value> {
    match unseen(object, memory) {
        Some(written) => Ok(written),
        None => serde_json::to_value(object.status()).map_err(kube::Error::SerdeError),
    }
}

/// The status that was written last, if the object is older than that.
fn unseen<K: Kind>(object: &K, memory: &Memory) -> Option<Value> {
    let seen = version(object.meta())?;
    let text = memory.with(|state| {
        state.written.take_if(|(version, _)| seen >= *version);
        state.written.as_ref().map(|(_, status)| status.clone())
    })?;
    serde_json::from_str(&text).ok()
}

pub(super) fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}

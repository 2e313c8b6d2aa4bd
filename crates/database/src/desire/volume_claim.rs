//! The volume claim, which the `StatefulSet` controller makes and which grows when the spec says so.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::api::PostgresDatabase;

use crate::{names, observe::Embedded};

/// What is kept right on the claim that is there: its size.
pub(super) fn existing(object: &PostgresDatabase, embedded: &Embedded) -> PersistentVolumeClaim {
    let size = embedded.provider.storage.size.clone();
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(names::volume(object)), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), size)])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

//! What a failed test leaves behind, printed before its namespace is deleted.

use std::fmt::Debug;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ContainerStatus, Event, PersistentVolumeClaim, Pod},
    },
};
use kube::{Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;
use temporal_stack_common::api::{IpfsCluster, Kind, MessageQueue, ObjectStorage, PostgresDatabase, Status, Temporal};

use crate::Space;

/// How many lines of each log are printed.
const LINES: usize = 60;

/// Prints custom resources with their conditions, workloads, pods with the states of their containers, events and logs.
pub(crate) async fn dump(space: &Space) {
    eprintln!("── namespace {} ──", space.name);
    objects::<PostgresDatabase>(space).await;
    objects::<MessageQueue>(space).await;
    objects::<IpfsCluster>(space).await;
    objects::<ObjectStorage>(space).await;
    objects::<Temporal>(space).await;
    for set in all::<StatefulSet>(space).await {
        eprintln!("StatefulSet/{} {:?}", set.name_any(), set.status);
    }
    for claim in all::<PersistentVolumeClaim>(space).await {
        eprintln!("PersistentVolumeClaim/{} {:?}", claim.name_any(), claim.status);
    }
    for pod in all::<Pod>(space).await {
        let status = pod.status.clone().unwrap_or_default();
        eprintln!("Pod/{} {}", pod.name_any(), status.phase.unwrap_or_default());
        for container in status.init_container_statuses.iter().chain(&status.container_statuses).flatten() {
            eprintln!("  {}", state(container));
        }
    }
    for event in all::<Event>(space).await {
        let about = &event.involved_object;
        eprintln!(
            "Event {} {}/{}: {} {}",
            event.type_.as_deref().unwrap_or_default(),
            about.kind.as_deref().unwrap_or_default(),
            about.name.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
        );
    }
    logs(space);
}

async fn objects<K: Kind>(space: &Space) {
    for object in all::<K>(space).await {
        eprintln!("{}/{} generation {:?}", K::kind(&()), object.name_any(), object.meta().generation);
        for condition in object.status().map(Status::conditions).unwrap_or_default() {
            eprintln!(
                "  {} {} {} (generation {:?}): {}",
                condition.type_, condition.status, condition.reason, condition.observed_generation, condition.message
            );
        }
    }
}

async fn all<K>(space: &Space) -> Vec<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    match space.api::<K>().list(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(error) => {
            eprintln!("{}: {error}", K::plural(&()));
            Vec::new()
        }
    }
}

fn state(container: &ContainerStatus) -> String {
    let state = container.state.clone().unwrap_or_default();
    let told = if let Some(waiting) = state.waiting {
        format!("waiting: {} {}", waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default())
    } else if let Some(ended) = state.terminated {
        format!("ended: {} {}", ended.exit_code, ended.reason.unwrap_or_default())
    } else {
        "running".to_owned()
    };
    format!("{} {told}, ready: {}, restarts: {}", container.name, container.ready, container.restart_count)
}

fn logs(space: &Space) {
    let Ok(files) = std::fs::read_dir(&space.folder) else { return };
    for file in files.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "log")) {
        eprintln!("── {} ──", file.path().display());
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            eprintln!("{line}");
        }
    }
}

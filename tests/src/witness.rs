//! How many pods were ready at the least, by a watch of them.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use temporal_stack_common::api::label;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::Space;

/// Watches until it is dropped.
pub struct Witness {
    least: Arc<Mutex<usize>>,
    watching: JoinHandle<()>,
}

impl Witness {
    /// Starts to watch the pods of this `app.kubernetes.io/name`, and returns when the watch is established.
    pub async fn start(space: &Space, name: &str) -> Result<Self> {
        let config = watcher::Config::default().labels(&format!("{}={name}", label::NAME));
        let events = watcher::watcher(space.api::<Pod>(), config).default_backoff();
        let least = Arc::new(Mutex::new(usize::MAX));
        let (established, when) = oneshot::channel();
        let (writes, mut established) = (least.clone(), Some(established));
        let watching = tokio::spawn(async move {
            let mut events = pin!(events);
            let mut ready = BTreeMap::new();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(pod) | Event::InitApply(pod)) => {
                        ready.insert(pod.name_any(), is_ready(&pod));
                    }
                    Ok(Event::Delete(pod)) => {
                        ready.insert(pod.name_any(), false);
                    }
                    Ok(Event::InitDone) => {
                        let _ = established.take().map(|established| established.send(()));
                    }
                    Ok(Event::Init) | Err(_) => {}
                }
                // The list of the beginning comes one by one.
                if established.is_none() {
                    let count = ready.values().filter(|ready| **ready).count();
                    let mut least = writes.lock().unwrap_or_else(PoisonError::into_inner);
                    *least = (*least).min(count);
                }
            }
        });
        when.await.context("the watch of pods ended")?;
        Ok(Self { least, watching })
    }

    /// How many were ready at the least.
    pub fn least(&self) -> usize {
        *self.least.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Whether a pod takes clients.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

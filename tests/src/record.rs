//! A record of all that objects of a kind have ever been.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Resource, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use temporal_stack_common::api::label;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::Space;

/// Watches the objects of the stack in a namespace until it is dropped.
pub struct Record<K> {
    seen: Arc<Mutex<Vec<K>>>,
    watching: JoinHandle<()>,
}

impl<K> Record<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    /// Starts to watch, and returns when the watch is established.
    pub async fn start(space: &Space) -> Result<Self> {
        let config = watcher::Config::default().labels(&format!("{}={}", label::MANAGED_BY, label::STACK));
        let events = watcher::watcher(space.api::<K>(), config).default_backoff();
        let seen: Arc<Mutex<Vec<K>>> = Arc::default();
        let (established, when) = oneshot::channel();
        let (writes, mut established) = (seen.clone(), Some(established));
        let watching = tokio::spawn(async move {
            let mut events = pin!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                        writes.lock().unwrap_or_else(PoisonError::into_inner).push(object);
                    }
                    Ok(Event::InitDone) => {
                        let _ = established.take().map(|established| established.send(()));
                    }
                    Ok(Event::Init) | Err(_) => {}
                }
            }
        });
        when.await.context("the watch ended")?;
        Ok(Self { seen, watching })
    }

    /// All that was seen so far, in order: one that was deleted is seen once more.
    pub fn seen(&self) -> Vec<K> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Record<Secret> {
    /// Fails unless there were Secrets that are data, each was made once, and those that are data were never changed. What is
    /// applied may follow the spec.
    pub fn assert_made_once(&self) -> Result<()> {
        let mut by_name: BTreeMap<String, (BTreeSet<Option<String>>, BTreeSet<String>)> = BTreeMap::new();
        let mut has_data = false;
        for secret in self.seen() {
            let (uids, contents) = by_name.entry(secret.name_any()).or_default();
            uids.insert(secret.uid());
            let is_data = secret.labels().get(label::DATA).is_some_and(|value| value == "true");
            if is_data {
                contents.insert(format!("{:?}", secret.data));
            }
            has_data |= is_data;
        }
        ensure!(has_data, "no Secret was made that is data");
        for (name, (uids, contents)) in by_name {
            ensure!(uids.len() == 1, "Secret/{name} was made {} times", uids.len());
            ensure!(contents.len() <= 1, "Secret/{name} had {} contents", contents.len());
        }
        Ok(())
    }
}

impl<K> Drop for Record<K> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

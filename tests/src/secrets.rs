//! A record of every Secret that a namespace has ever had.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
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

/// By name: the UIDs and the contents that a Secret has had.
type Seen = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// Watches the Secrets of the stack in a namespace until it is dropped.
pub struct SecretRecord {
    seen: Arc<Mutex<Seen>>,
    watching: JoinHandle<()>,
}

impl SecretRecord {
    /// Starts to watch, and returns when the watch is established.
    pub async fn start(space: &Space) -> Result<Self> {
        let config = watcher::Config::default().labels(&format!("{}={}", label::MANAGED_BY, label::STACK));
        let events = watcher::watcher(space.api::<Secret>(), config).default_backoff();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (established, when) = oneshot::channel();
        let (writes, mut established) = (seen.clone(), Some(established));
        let watching = tokio::spawn(async move {
            let mut events = pin!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(secret) | Event::InitApply(secret) | Event::Delete(secret)) => {
                        note(&writes, &secret);
                    }
                    Ok(Event::InitDone) => {
                        let _ = established.take().map(|established| established.send(()));
                    }
                    Ok(Event::Init) | Err(_) => {}
                }
            }
        });
        when.await.context("the watch of Secrets ended")?;
        Ok(Self { seen, watching })
    }

    /// Fails unless there were Secrets with a drawn password, and each was made once and never changed.
    pub fn assert_made_once(&self) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(!seen.is_empty(), "no Secret was made");
        for (name, (uids, contents)) in seen.iter() {
            ensure!(uids.len() == 1, "Secret/{name} was made {} times", uids.len());
            ensure!(contents.len() == 1, "Secret/{name} had {} contents", contents.len());
        }
        Ok(())
    }
}

impl Drop for SecretRecord {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn note(seen: &Mutex<Seen>, secret: &Secret) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let (uids, contents) = seen.entry(secret.name_any()).or_default();
    uids.extend(secret.uid());
    contents.insert(format!("{:?}", secret.data));
}

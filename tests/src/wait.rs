//! Waiting by watch: nothing here sleeps, and whoever waits too long is shown what was there instead.

use std::{fmt::Debug, pin::pin, time::Duration};

use anyhow::{Result, bail};
use futures::StreamExt as _;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{interval, timeout};

use crate::Space;

/// Whether the larger counts are wanted, as `cargo xtask test --full` says.
pub fn full() -> bool {
    std::env::var_os("TEMPORAL_STACK_TEST_FULL").is_some()
}

/// The seed of a test with random input: 1, or the one that `TEMPORAL_STACK_SEED` names. It is printed.
pub fn seed() -> u64 {
    let asked = std::env::var("TEMPORAL_STACK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or(1);
    println!("seed {seed}");
    seed
}

/// How long a test waits for anything: a limit that only a hang reaches. IPFS Cluster itself waits two minutes for a part of its
/// state that a peer has announced and that nobody can send.
pub const HANG: Duration = Duration::from_secs(240);

/// Waits until an object is as `wanted` says, and returns it. `what` is named when it never becomes so.
pub async fn until<K>(api: &Api<K>, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> Result<K>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let mut last = None;
    let found = timeout(HANG, async {
        let mut states = pin!(watcher::watch_object(api.clone(), name).default_backoff());
        while let Some(state) = states.next().await {
            // An error is a watch that broke, as watches do; it is begun again.
            let Ok(state) = state else { continue };
            last = state;
            if let Some(object) = last.as_ref().filter(|object| wanted(object)) {
                return Some(object.clone());
            }
        }
        None
    });
    match found.await {
        Ok(Some(object)) => Ok(object),
        _ => bail!("waited {HANG:?} for {name} to have {what}; last seen:\n{}", shown(last.as_ref())),
    }
}

/// How often what has no watch is asked again.
const TURN: Duration = Duration::from_millis(50);

/// Waits until something that has no watch is so, by asking again and again.
pub async fn turns(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let mut turns = interval(TURN);
    let asked = timeout(HANG, async {
        loop {
            turns.tick().await;
            if is_so().await? {
                return Ok(());
            }
        }
    });
    match asked.await {
        Ok(result) => result,
        Err(_) => bail!("waited {HANG:?} until {what}"),
    }
}

/// Waits until an object has gone.
pub async fn until_gone<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let mut last = None;
    let gone = timeout(HANG, async {
        let mut states = pin!(watcher::watch_object(api.clone(), name).default_backoff());
        while let Some(state) = states.next().await {
            match state {
                Ok(None) => return,
                Ok(state) => last = state,
                Err(_) => {}
            }
        }
    });
    if gone.await.is_err() {
        bail!("waited {HANG:?} for {name} to go; last seen:\n{}", shown(last.as_ref()));
    }
    Ok(())
}

/// The conditions if there are any, else the whole object; never the data of a Secret.
fn shown<K: Resource + Serialize>(object: Option<&K>) -> String {
    let Some(object) = object else { return "nothing of that name".to_owned() };
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(conditions) = value.pointer("/status/conditions") {
        return format!("{conditions:#}");
    }
    if let Some(fields) = value.as_object_mut() {
        fields.remove("data");
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    format!("{value:#}")
}

/// The note of the first event with this reason.
pub(crate) async fn event(space: &Space, reason: &str) -> Result<String> {
    let config = watcher::Config::default().fields(&format!("reason={reason}"));
    let mut events = pin!(watcher::watcher(space.api::<Event>(), config).default_backoff().applied_objects());
    while let Some(event) = events.next().await {
        if let Ok(event) = event {
            return Ok(event.note.unwrap_or_default());
        }
    }
    bail!("the watch of events ended")
}

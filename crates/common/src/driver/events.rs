//! Events: a courtesy to whoever looks at an object with `kubectl describe`.

use std::time::Duration;

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::memory::Memory;
use crate::manifest::hash;

/// How long the same event counts as a further one of a series, as the API's own clients have it.
const SERIES: Duration = Duration::from_secs(360);
/// How many events of an object are remembered: as many as a Ready that comes and goes has.
const REMEMBERED: usize = 4;

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    /// Whether it is a `Warning`, and not `Normal`.
    pub(super) is_warning: bool,
    /// Why, in `CamelCase`.
    pub(super) reason: String,
    /// What the controller did.
    pub(super) action: &'static str,
    /// For people.
    pub(super) note: String,
    /// The child that it happened to.
    pub(super) about: Option<ObjectReference>,
}

/// An event that was recorded a short time ago.
#[derive(Debug)]
pub(super) struct Recorded {
    same: String,
    at: Instant,
    name: String,
    count: i32,
}

/// Records what happened. One event that is recorded again within some minutes becomes a series.
pub(super) async fn record(
    client: &Client,
    component: &str,
    memory: &Memory,
    regarding: ObjectReference,
    happening: Happening,
) -> kube::Result<()> {
    let Happening { is_warning, reason, action, note, about } = happening;
    let same = hash(&json!([is_warning, reason, action, about]));
    let now = Timestamp::now();
    let namespace = regarding.namespace.clone().unwrap_or_default();
    let events = Api::<Event>::namespaced(client.clone(), &namespace);
    let known = memory.with(|state| {
        state.recorded.retain(|recorded| recorded.at.elapsed() < SERIES);
        let known = state.recorded.iter().find(|recorded| recorded.same == same);
        known.map(|recorded| (recorded.name.clone(), recorded.count + 1))
    });
    let (name, count) = if let Some((name, count)) = known {
        let series = EventSeries { count, last_observed_time: MicroTime(now) };
        // All else of an event is immutable.
        let patch = Patch::Merge(json!({ "series": series }));
        events.patch(&name, &PatchParams::default(), &patch).await?;
        (name, count)
    } else {
        let name = format!("{}.{:x}", regarding.name.as_deref().unwrap_or(component), now.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            type_: Some(if is_warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(reason),
            action: Some(action.to_owned()),
            note: Some(shortened(note)),
            regarding: Some(regarding),
            related: about,
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(component.to_owned()),
            reporting_instance: Some(component.to_owned()),
            ..Event::default()
        };
        events.create(&PostParams::default(), &event).await?;
        (name, 1)
    };
    memory.with(|state| {
        state.recorded.retain(|recorded| recorded.same != same);
        let excess = (state.recorded.len() + 1).saturating_sub(REMEMBERED);
        state.recorded.drain(..excess);
        state.recorded.push(Recorded { same, at: Instant::now(), name, count });
    });
    Ok(())
}

/// The API refuses notes of more than 1024 bytes; a character has four at the most, and ours have one.
fn shortened(note: String) -> String {
    if note.len() > 1000 { note.chars().take(900).chain(['…']).collect() } else { note }
}

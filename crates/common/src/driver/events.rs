//! Events, for users of `kubectl describe`.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

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

use crate::manifest::hash;

/// How long a repeated event counts as part of a series, as in the API's own clients.
const SERIES: Duration = Duration::from_secs(360);
/// How many events of an object are remembered: enough for a Ready that comes and goes.
const REMEMBERED: usize = 4;

/// The longest note, in bytes, without the mark of a cut.
const LONGEST_NOTE: usize = 1000;

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub(super) struct NewEvent {
    /// Whether it is a `Warning`, and not `Normal`.
    pub(super) is_warning: bool,
    /// The reason, in `CamelCase`.
    pub(super) reason: String,
    /// What the controller did.
    pub(super) action: &'static str,
    /// The message.
    pub(super) note: String,
    /// The child that it concerns.
    pub(super) about: Option<ObjectReference>,
}

/// The newest events of an object.
#[derive(Debug, Default)]
pub(super) struct Recorded(Mutex<Vec<Entry>>);

/// An event that was recorded a short time ago.
#[derive(Debug)]
struct Entry {
    same: String,
    at: Instant,
    name: String,
    count: i32,
}

impl Recorded {
    /// The name and the count of a series that a further event of the same kind belongs to.
    fn further(&self, same: &str) -> Option<(String, i32)> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.at.elapsed() < SERIES);
        let known = entries.iter().find(|entry| entry.same == same);
        known.map(|entry| (entry.name.clone(), entry.count + 1))
    }

    fn note(&self, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|known| known.same != entry.same);
        let excess = (entries.len() + 1).saturating_sub(REMEMBERED);
        entries.drain(..excess);
        entries.push(entry);
    }
}

/// Records an event. An event that is repeated within some minutes becomes a series.
pub(super) async fn record(
    client: &Client,
    component: &str,
    recorded: &Recorded,
    regarding: ObjectReference,
    event: NewEvent,
) -> kube::Result<()> {
    let NewEvent { is_warning, reason, action, note, about } = event;
    let same = hash(&json!([is_warning, reason, action, about]));
    let now = Timestamp::now();
    let namespace = regarding.namespace.clone().unwrap_or_default();
    let events = Api::<Event>::namespaced(client.clone(), &namespace);
    let (name, count) = if let Some((name, count)) = recorded.further(&same) {
        let series = EventSeries { count, last_observed_time: MicroTime(now) };
        // All other fields of an event are immutable.
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
    recorded.note(Entry { same, at: Instant::now(), name, count });
    Ok(())
}

/// The note, cut at the end of a character: the API refuses more than 1,024 bytes.
fn shortened(note: String) -> String {
    if note.len() <= LONGEST_NOTE {
        return note;
    }
    let end = (0..=LONGEST_NOTE).rev().find(|place| note.is_char_boundary(*place)).unwrap_or_default();
    format!("{}…", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_fits_into_an_event_whatever_its_characters_are() {
        for note in ["a", "ü", "€", "𝄞", "a€"] {
            let long = shortened(note.repeat(1100));
            assert!((1000..=1024).contains(&long.len()) && long.ends_with('…'), "{}", long.len());
        }
        assert_eq!(shortened("x".repeat(1000)), "x".repeat(1000));
    }
}

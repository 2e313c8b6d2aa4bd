//! Kubernetes events about an object, which quote refusals.

use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::{api::core::v1::Event, jiff::Timestamp};
use kube::{Resource as _, api::ListParams, client::Body, core::Request};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tower::BoxError;

use super::{
    RETRY, World,
    reads::{parsed, text},
};
use crate::{message::shortened, metadata::Timeless};

/// A list, of which only the items matter.
#[derive(Deserialize)]
struct List<K> {
    items: Vec<K>,
}

/// How many events of one object are read.
const MOST_EVENTS: u32 = 100;
/// How many bytes they may have: users create events, and one may have more than a megabyte.
const LONGEST_LIST: usize = 1 << 20;
/// How many characters of an event of a claim are kept.
const LONGEST_WORDS: usize = 400;

/// What the events of a claim report: those of the claim's controller, and those of the provisioner of its class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimEvents {
    /// The latest warning: `ProvisioningFailed`, `VolumeResizeFailed`.
    pub(crate) warning: Option<String>,
    /// Why the claim's controller finds no volume: `FailedBinding`.
    pub(crate) unmatched: Option<String>,
    /// Whether the provisioner has reported that it creates the volume.
    pub(crate) is_provisioning: bool,
}

impl ClaimEvents {
    fn new(events: Vec<Event>) -> Self {
        let has = |event: &Event, reason: &str| event.reason.as_deref() == Some(reason);
        let is_provisioning = events.iter().any(|event| has(event, "Provisioning"));
        let unmatched = events.iter().filter(|event| has(event, "FailedBinding")).max_by_key(|event| when(event));
        let words = |text: &String| shortened(text, LONGEST_WORDS);
        Self {
            unmatched: unmatched.and_then(|event| event.message.as_ref().map(words)),
            is_provisioning,
            warning: newest_warning(events).as_ref().map(words),
        }
    }
}

impl World<'_> {
    /// The refusal of the latest attempt of the workload with this UID to create a pod or a claim. Events that cannot be read are
    /// ignored: looking for the cause of a failure must not fail.
    pub(crate) async fn failed_create(&self, uid: &str) -> Option<String> {
        self.newest_event(uid, newest_refusal).await
    }

    /// The latest warning about the object with this UID.
    pub(crate) async fn warning(&self, uid: &str) -> Option<String> {
        self.newest_event(uid, newest_warning).await
    }

    /// What the events of the claim with this UID report.
    pub(crate) async fn claim_events(&self, uid: &str) -> ClaimEvents {
        self.events_of(uid, |events| Some(ClaimEvents::new(events))).await.unwrap_or_default()
    }

    async fn newest_event(&self, uid: &str, newest: fn(Vec<Event>) -> Option<String>) -> Option<String> {
        self.events_of(uid, newest).await
    }

    /// The conclusion from the events of the object with this UID.
    async fn events_of<T>(&self, uid: &str, conclude: fn(Vec<Event>) -> Option<T>) -> Option<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let selected = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MOST_EVENTS);
        // Events are read again even while the object still counts as Ready.
        let what = format!("Events/{uid}");
        if let Some(found) = self.reads.recall(&what, self.max_age.min(RETRY)) {
            return parsed(&found).ok()?;
        }
        let concluded = match self.events(&selected).await {
            Ok(events) => conclude(events),
            Err(error) => {
                tracing::debug!(%error, uid, "could not read the events of an object");
                None
            }
        };
        // After a failure, too: the author of the events may have made them expensive to read.
        if let Ok(found) = text(&concluded) {
            self.reads.keep(&what, None, found, false);
        }
        concluded
    }

    /// The events that are selected. A list that is too long is an error.
    async fn events(&self, selected: &ListParams) -> Result<Vec<Event>, BoxError> {
        let request = Request::new(Event::url_path(&(), Some(self.namespace))).list(selected)?;
        let answer = self.client.send(request.map(Body::from)).await?;
        if !answer.status().is_success() {
            return Err(format!("the API server answered {}", answer.status()).into());
        }
        let body = Limited::new(answer.into_body(), LONGEST_LIST).collect().await?.to_bytes();
        let list: List<Timeless<Event>> = serde_json::from_slice(&body)?;
        Ok(list.items.into_iter().map(|Timeless(event)| event).collect())
    }
}

/// The newest refusal, unless something was created after it.
fn newest_refusal(events: Vec<Event>) -> Option<String> {
    let is_about_making = |reason: &str| matches!(reason, "FailedCreate" | "SuccessfulCreate");
    let made = events.into_iter().filter(|event| event.reason.as_deref().is_some_and(is_about_making));
    let is_refusal = |event: &Event| event.reason.as_deref() == Some("FailedCreate");
    let newest = made.max_by_key(|event| (when(event), is_refusal(event)))?;
    newest.message.clone().filter(|_| is_refusal(&newest))
}

/// The newest warning.
fn newest_warning(events: Vec<Event>) -> Option<String> {
    let warnings = events.into_iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    warnings.max_by_key(when)?.message
}

fn when(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    series.max(last).max(first).or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests;

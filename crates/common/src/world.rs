//! What a pass may read: the children of its object, the users' ConfigMaps and Secrets, and single objects by name.
//!
//! # Requests
//!
//! Children cost no request. ConfigMaps and Secrets that are watched are read once for each of their versions. Anything else is read
//! by name and remembered for the
//! object: for [`RESYNC`] while it is Ready, for [`RETRY`] while it is not, so that a remedy is noticed soon. What is read of
//! the cluster is the same for all objects, so it is remembered for all of them, and read again before the user is called upon and
//! while something but children is awaited. Nobody caches all Secrets of a cluster.
//!
//! # Memory
//!
//! Users write what is read here, so they must not decide how much is kept: an answer of more than 64 KiB is not remembered, nor one
//! beyond 16 MiB of all objects together. Such an object is read by every pass that wants it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    api::core::v1::{ConfigMap, Event, PersistentVolume, Secret},
    jiff::Timestamp,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    cache::Children,
    claim::Claim,
    component::Sources,
    neighbour::{Neighbour, Neighbours},
    seen::Seen,
};

/// How long a named read is good for while the object is Ready; each object is looked at again this often.
pub const RESYNC: Duration = Duration::from_secs(600);
/// How long a named read is good for while the object is not Ready.
pub const RETRY: Duration = Duration::from_secs(10);

/// The longest answer that is remembered, in bytes.
const LONGEST_KEPT: usize = 64 << 10;
/// How many bytes of answers are remembered, of all objects together.
const MOST_KEPT: usize = 16 << 20;

/// The users' ConfigMaps and Secrets that are watched.
#[derive(Clone)]
pub struct Watched {
    /// Which ones are watched by name.
    pub sources: Sources,
    /// ConfigMaps, as each watch has seen them.
    pub(crate) config_maps: Vec<Arc<Seen>>,
    /// Secrets, as each watch has seen them.
    pub(crate) secrets: Vec<Arc<Seen>>,
}

/// Named reads that are remembered for one object.
pub struct Reads {
    all: Mutex<Vec<Read>>,
    budget: &'static Budget,
}

impl Default for Reads {
    fn default() -> Self {
        Self { all: Mutex::default(), budget: &BUDGET }
    }
}

/// What was read, as JSON text: that is small, and parsed by the pass that wants it.
struct Read {
    what: Box<str>,
    at: Instant,
    /// The resource version, where that decides how long it is good for.
    version: Option<Box<str>>,
    /// Whether a watch has seen it since: when the watch sees it no more, it has gone, or has lost the label.
    is_watched: bool,
    found: Kept,
}

impl Read {
    /// Whether it is what a watch has seen, or something newer that was read a moment ago.
    fn is_of(&self, seen: &str) -> bool {
        let Some(version) = self.version.as_deref() else { return false };
        let is_newer = || matches!((version.parse::<u64>(), seen.parse::<u64>()), (Ok(read), Ok(seen)) if read > seen);
        version == seen || (self.at.elapsed() < RETRY && is_newer())
    }
}

/// How many bytes are kept.
struct Budget(AtomicUsize);

static BUDGET: Budget = Budget(AtomicUsize::new(0));

/// A text that counts among what is kept.
struct Kept {
    text: Box<str>,
    budget: &'static Budget,
}

impl Budget {
    /// Nothing if there is no room for it.
    fn keep(&'static self, text: Box<str>) -> Option<Kept> {
        if text.len() > LONGEST_KEPT {
            return None;
        }
        // Counted first, so that dropping it takes it off again in any case.
        let before = self.0.fetch_add(text.len(), Ordering::Relaxed);
        let kept = Kept { text, budget: self };
        (before + kept.text.len() <= MOST_KEPT).then_some(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.text.len(), Ordering::Relaxed);
    }
}

/// How many events of one object are read.
const MOST_EVENTS: u32 = 100;
/// How many volumes are read at a time, and how often.
const MOST_VOLUMES: u32 = 500;
const MOST_PAGES: usize = 20;

/// What an object that is not there reads as.
const NOTHING: &str = "null";

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was read may be a Secret.
        f.debug_struct("Reads").finish_non_exhaustive()
    }
}

impl Reads {
    /// Forgets all reads, so that the next pass reads anew.
    pub fn forget(&self) {
        *self.all() = Vec::new();
    }

    fn recall(&self, what: &str, max_age: Duration) -> Option<Box<str>> {
        let all = self.all();
        let read = all.iter().find(|read| &*read.what == what && !read.is_watched && read.at.elapsed() < max_age);
        read.map(|read| read.found.text.clone())
    }

    /// What was read of the version that a watch has seen.
    fn recall_version(&self, what: &str, seen: &str) -> Option<Box<str>> {
        let mut all = self.all();
        let read = all.iter_mut().find(|read| &*read.what == what && read.is_of(seen))?;
        read.is_watched = true;
        Some(read.found.text.clone())
    }

    fn keep(&self, what: &str, version: Option<Box<str>>, found: Box<str>, is_watched: bool) {
        let mut all = self.all();
        // Whatever it was before, it is not that any more.
        all.retain(|read| &*read.what != what);
        if let Some(found) = self.budget.keep(found) {
            all.push(Read { what: what.into(), at: Instant::now(), version, is_watched, found });
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Read>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads of the cluster that are remembered for all objects of the process. One pass reads, and the others wait for that.
#[derive(Default)]
pub struct ClusterReads(tokio::sync::Mutex<Vec<Read>>);

impl ClusterReads {
    /// Keeps only what is younger than this; `true` if something was not.
    pub(crate) async fn doubt(&self, age: Duration) -> bool {
        let mut all = self.0.lock().await;
        let before = all.len();
        all.retain(|read| read.at.elapsed() < age);
        all.len() < before
    }

    async fn remembered(
        &self,
        what: &str,
        read: impl Future<Output = kube::Result<Box<str>>>,
    ) -> kube::Result<Box<str>> {
        let mut all = self.0.lock().await;
        if let Some(read) = all.iter().find(|read| &*read.what == what && read.at.elapsed() < RESYNC) {
            return Ok(read.found.text.clone());
        }
        let found = read.await?;
        all.retain(|read| &*read.what != what);
        if let Some(kept) = BUDGET.keep(found.clone()) {
            all.push(Read { what: what.into(), at: Instant::now(), version: None, is_watched: false, found: kept });
        }
        Ok(found)
    }
}

/// What a pass may read.
pub struct World<'a> {
    /// The client of the process, for what the methods do not offer.
    pub client: &'a Client,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The children of the object, as the watches have seen them.
    pub children: &'a Children,
    /// The users' ConfigMaps and Secrets that are watched.
    pub watched: &'a Watched,
    /// The objects of other components that are watched.
    pub neighbours: &'a Neighbours,
    /// Whether the users' source of the default name counts for this object.
    pub claim: Claim,
    /// Reads of this object that are remembered.
    pub reads: &'a Reads,
    /// Reads of the cluster that all objects share.
    pub cluster: &'a ClusterReads,
    /// How old a remembered read of this object may be.
    pub max_age: Duration,
}

impl World<'_> {
    /// A ConfigMap of the object's namespace; the one of the default name only where it counts for this object.
    pub async fn config_map(&self, name: &str) -> kube::Result<Option<ConfigMap>> {
        if self.is_of_another("ConfigMap", name) {
            return Ok(None);
        }
        self.source(&self.watched.config_maps, self.watched.sources.config_maps, name).await
    }

    /// A Secret of the object's namespace; the one of the default name only where it counts for this object.
    pub async fn secret(&self, name: &str) -> kube::Result<Option<Secret>> {
        if self.is_of_another("Secret", name) {
            return Ok(None);
        }
        self.source(&self.watched.secrets, self.watched.sources.secrets, name).await
    }

    fn is_of_another(&self, kind: &str, name: &str) -> bool {
        !self.claim.is_readable() && self.watched.sources.default_source() == Some((kind, name))
    }

    /// What a watch has seen exists, and is read once for each of its versions; of what no watch has seen, what a read finds or
    /// has just found. Where the name is watched, only an object that has no
    /// children yet makes a read: this watch may be behind the one that told of the object, and what is drawn in its first pass
    /// because the user had written nothing is not to be taken back.
    async fn source<K>(&self, watches: &[Arc<Seen>], watched: &[&str], name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let what = format!("{}/{name}", K::kind(&()));
        // More than one watch may cover it, and one of them may be behind.
        let versions = watches.iter().filter_map(|seen| seen.version(self.namespace, name));
        let newest = versions.max_by_key(|version| version.parse::<u64>().unwrap_or_default());
        match newest {
            Some(seen) => match self.reads.recall_version(&what, &seen) {
                Some(found) => parsed(&found),
                None => self.read(&what, name, true).await,
            },
            None if watched.contains(&name) && !self.children.is_empty() => {
                self.reads.recall(&what, self.max_age).map_or(Ok(None), |found| parsed(&found))
            }
            None => self.get(name).await,
        }
    }

    /// An object of another component that this one refers to. Its kind must be among the component's neighbours.
    pub fn neighbour<K>(&self, name: &str) -> Neighbour<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.neighbours.find(self.namespace, name)
    }

    /// An object of the object's namespace, by name.
    pub async fn get<K>(&self, name: &str) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let what = format!("{}/{name}", K::kind(&()));
        match self.reads.recall(&what, self.max_age) {
            Some(found) => parsed(&found),
            None => self.read(&what, name, false).await,
        }
    }

    /// Reads an object of the object's namespace, and remembers it with its version. What cannot be a name is that of no object,
    /// and reaches no address: with a slash in it, it would lead into another namespace.
    async fn read<K>(&self, what: &str, name: &str, is_watched: bool) -> kube::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        if !is_object_name(name) {
            return Ok(None);
        }
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        let mut found = api.get_opt(name).await?;
        if let Some(found) = &mut found {
            found.meta_mut().managed_fields = None;
        }
        let version = found.as_ref().and_then(|found| found.meta().resource_version.clone());
        self.reads.keep(what, version.map(String::into_boxed_str), text(&found)?, is_watched && found.is_some());
        Ok(found)
    }

    /// An object of the object's namespace whose kind is known only now. That there is none is remembered for longer: if one
    /// comes, whoever wants to make ours is told by a conflict.
    pub(crate) async fn get_any(&self, resource: &ApiResource, name: &str) -> kube::Result<Option<DynamicObject>> {
        if !is_object_name(name) {
            return Ok(None);
        }
        let what = format!("{}/{name}", resource.kind);
        if self.reads.recall(&what, RESYNC).as_deref() == Some(NOTHING) {
            return Ok(None);
        }
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), self.namespace, resource);
        if let Some(found) = self.reads.recall(&what, self.max_age) {
            return parsed(&found);
        }
        let found = api.get_opt(name).await?;
        self.reads.keep(&what, None, text(&found)?, false);
        Ok(found)
    }

    /// All objects of a cluster-wide kind; `None` where the controller has no permission, as with a namespaced Role.
    pub async fn list_cluster<K>(&self) -> kube::Result<Option<Vec<K>>>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        let api = Api::<K>::all(self.client.clone());
        let kind = K::kind(&());
        let found = self.cluster.remembered(&kind, async {
            let found = match api.list(&ListParams::default()).await {
                Ok(mut list) => {
                    list.items.iter_mut().for_each(|item| item.meta_mut().managed_fields = None);
                    Some(list.items)
                }
                Err(kube::Error::Api(status)) if status.is_forbidden() => None,
                Err(error) => return Err(error),
            };
            text(&found)
        });
        parsed(&found.await?)
    }

    /// What the workload with this UID was told when it last tried to make a pod or a claim and could not. What cannot be read
    /// is not known: the cause of a failure is no reason for another.
    pub(crate) async fn failed_create(&self, uid: &str) -> Option<String> {
        self.newest_event(uid, newest_refusal).await
    }

    /// What the object with this UID was warned of last.
    pub(crate) async fn warning(&self, uid: &str) -> Option<String> {
        self.newest_event(uid, newest_warning).await
    }

    async fn newest_event(&self, uid: &str, newest: fn(Vec<Event>) -> Option<String>) -> Option<String> {
        let api = Api::<Event>::namespaced(self.client.clone(), self.namespace);
        let selected = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MOST_EVENTS);
        // Events are read anew while the object still counts as Ready, too.
        let what = format!("Events/{uid}");
        let found = match self.reads.recall(&what, self.max_age.min(RETRY)) {
            Some(found) => parsed::<Option<String>>(&found),
            None => match api.list(&selected).await {
                Ok(events) => {
                    let words = newest(events.items);
                    text(&words).map(|found| {
                        self.reads.keep(&what, None, found, false);
                        words
                    })
                }
                Err(error) => Err(error),
            },
        };
        found.unwrap_or_else(|error| {
            tracing::debug!(%error, uid, "could not read the events of an object");
            None
        })
    }

    /// Whether the cluster has a volume of that class, which need not be a StorageClass; `None` where the controller may not
    /// list volumes.
    pub(crate) async fn has_volume_of_class(&self, class: &str) -> kube::Result<Option<bool>> {
        let what = format!("PersistentVolume of {class}");
        let found = self.cluster.remembered(&what, async {
            let api = Api::<PersistentVolume>::all(self.client.clone());
            let mut page = ListParams::default().limit(MOST_VOLUMES);
            for _ in 0..MOST_PAGES {
                let volumes = match api.list(&page).await {
                    Ok(volumes) => volumes,
                    Err(kube::Error::Api(status)) if status.is_forbidden() => return text(&None::<bool>),
                    Err(error) => return Err(error),
                };
                let is_of_class = |volume: &PersistentVolume| {
                    volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()) == Some(class)
                };
                if volumes.items.iter().any(is_of_class) {
                    return text(&Some(true));
                }
                match volumes.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page = page.continue_token(&token),
                    None => break,
                }
            }
            text(&Some(false))
        });
        parsed(&found.await?)
    }
}

/// Whether it can be the name of an object that the stack reads: a DNS subdomain.
fn is_object_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_part =
        |part: &str| !part.is_empty() && part.chars().all(is_good) && !part.starts_with('-') && !part.ends_with('-');
    name.len() <= 253 && name.split('.').all(is_part)
}

/// The words of the newest refusal, unless something was made after it.
fn newest_refusal(events: Vec<Event>) -> Option<String> {
    let is_about_making = |reason: &str| matches!(reason, "FailedCreate" | "SuccessfulCreate");
    let made = events.into_iter().filter(|event| event.reason.as_deref().is_some_and(is_about_making));
    let is_refusal = |event: &Event| event.reason.as_deref() == Some("FailedCreate");
    let newest = made.max_by_key(|event| (when(event), is_refusal(event)))?;
    newest.message.clone().filter(|_| is_refusal(&newest))
}

/// The words of the newest warning.
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

fn text(found: &impl Serialize) -> kube::Result<Box<str>> {
    serde_json::to_string(found).map(String::into_boxed_str).map_err(kube::Error::SerdeError)
}

fn parsed<T: DeserializeOwned>(text: &str) -> kube::Result<T> {
    serde_json::from_str(text).map_err(kube::Error::SerdeError)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "Secret/a";

    fn reads(budget: &'static Budget) -> Reads {
        Reads { budget, ..Reads::default() }
    }

    fn read(version: &str) -> Reads {
        static BUDGET: Budget = Budget(AtomicUsize::new(0));
        let reads = reads(&BUDGET);
        reads.keep(SECRET, Some(version.into()), "{}".into(), false);
        reads
    }

    #[test]
    fn a_read_is_good_for_the_version_that_was_seen() {
        let reads = read("7");
        assert!(reads.recall_version(SECRET, "8").is_none());
        // The watch may be behind the read.
        assert!(reads.recall_version(SECRET, "6").is_some());
        assert!(reads.recall_version(SECRET, "7").is_some());
    }

    #[test]
    fn a_read_is_forgotten_when_the_watch_sees_it_no_more() {
        let reads = read("7");
        assert!(reads.recall(SECRET, RESYNC).is_some());
        assert!(reads.recall_version(SECRET, "7").is_some());
        assert!(reads.recall(SECRET, RESYNC).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_version_that_stays_seen_is_believed() {
        let reads = read("7");
        tokio::time::advance(RETRY).await;
        assert!(reads.recall_version(SECRET, "6").is_none());
        assert!(reads.recall_version(SECRET, "7").is_some());
    }

    #[test]
    fn a_long_answer_is_not_remembered() {
        static BUDGET: Budget = Budget(AtomicUsize::new(0));
        let reads = reads(&BUDGET);
        reads.keep(SECRET, None, "x".repeat(LONGEST_KEPT).into(), false);
        assert!(reads.recall(SECRET, RESYNC).is_some());
        reads.keep(SECRET, None, "x".repeat(LONGEST_KEPT + 1).into(), false);
        assert!(reads.recall(SECRET, RESYNC).is_none());
    }

    #[test]
    fn answers_of_all_objects_together_are_bounded() {
        static BUDGET: Budget = Budget(AtomicUsize::new(0));
        let all: Vec<Reads> = (0..2 * MOST_KEPT / LONGEST_KEPT).map(|_| reads(&BUDGET)).collect();
        for reads in &all {
            reads.keep(SECRET, None, "x".repeat(LONGEST_KEPT).into(), false);
        }
        let kept = all.iter().filter(|reads| reads.recall(SECRET, RESYNC).is_some()).count();
        assert_eq!(kept, MOST_KEPT / LONGEST_KEPT);
        drop(all);
        assert_eq!(BUDGET.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for name in ["a", "a-b.c", "0"] {
            assert!(is_object_name(name), "{name}");
        }
        for name in ["", ".", "..", "../secrets/x", "a/b", "a?watch=1", "a#b", "a b", "A", "a%2fb", "-a", "a..b"] {
            assert!(!is_object_name(name), "{name}");
        }
        assert!(!is_object_name(&"a".repeat(254)));
    }

    fn event(reason: &str, time: &str) -> Event {
        let event = json!({
            "metadata": {}, "involvedObject": {}, "reason": reason, "message": reason, "lastTimestamp": time,
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_refusal_counts_until_something_was_made() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        let newest =
            |events: &[(&str, &str)]| newest_refusal(events.iter().map(|(reason, time)| event(reason, time)).collect());
        assert!(newest(&[("FailedCreate", late), ("SuccessfulCreate", early)]).is_some());
        assert!(newest(&[("FailedCreate", early), ("SuccessfulCreate", early)]).is_some());
        assert_eq!(newest(&[("FailedCreate", early), ("SuccessfulCreate", late)]), None);
        assert_eq!(newest(&[("Other", late)]), None);
    }
}

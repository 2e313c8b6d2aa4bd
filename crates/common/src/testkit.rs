//! The test kit for controllers: an API server in memory, and bills of materials as text. Feature `test-kit`.
//!
//! # The API server
//!
//! It has the parts of an API server that a controller can notice: versions, generations, UIDs, conflicts, watches, field
//! ownership, preconditions, finalizers. It knows no kinds, so any resource can be kept in it, and nothing is defaulted or
//! validated. Every request of the controller is recorded, and can be made to fail.
//!
//! # Simplifications
//!
//! * Fields are owned as JSON pointers; lists are owned and replaced as a whole.
//! * Garbage is collected when the test requests it: [`FakeApi::collect_garbage`].
//! * Old versions are forgotten only by [`FakeApi::restore`], pages are endless, namespaces need not exist, bookmarks are not sent.
//! * What a server makes of an object (defaults, canonical quantities) is up to the test: [`FakeApi::admit`].

// Test code: a test that uses it wrongly must fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod bill;
mod cached;
mod children;
mod fields;
pub mod limits;
mod log_buffer;
mod object;
mod ports;
mod proxy;
pub mod reach;
mod sandbox;
mod server;
mod store;
mod texts;

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use http::Request;
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use tower::service_fn;

use self::store::{Selector, Store};
pub use self::{
    bill::bill,
    cached::cached,
    children::{children, print_children, requests},
    log_buffer::LogBuffer,
    object::object,
    ports::mistaken_ports,
    proxy::refusing_proxy,
    sandbox::Sandbox,
    texts::{distinct, texts, verdict_text},
};
use crate::process::client::{Verb, bounded};

/// How long a test waits before it fails. Under paused time this costs nothing.
const HANG: Duration = Duration::from_secs(3600);

/// The server; clones are the same one.
#[derive(Clone)]
pub struct FakeApi {
    state: Arc<Mutex<State>>,
    /// Changes after each request, and each change of a fault.
    turns: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct State {
    store: Store,
    /// Counts restores: watches from before a restore belong to a lost history.
    epoch: u64,
    calls: Vec<Recorded>,
    faults: Vec<Fault>,
    refused: Vec<(String, String, u16)>,
    held: Vec<String>,
    terminating: Vec<String>,
    admissions: Vec<(String, Admission)>,
}

type Admission = fn(&mut Value);

/// The stored objects at one time.
#[derive(Clone)]
pub struct Snapshot(Store);
/// A request that is refused.
struct Fault {
    /// `None`: any verb that writes.
    verb: Option<Verb>,
    resource: String,
    code: u16,
    message: String,
}

/// A request of the controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The verb.
    pub verb: Verb,
    /// The plural resource, with the subresource if any: `secrets`, `pods/status`.
    pub resource: String,
    /// The namespace; empty for requests about all of them.
    pub namespace: String,
    /// The object's name; empty for collections.
    pub name: String,
    /// The body, or null.
    pub body: Value,
}

/// `create secrets/name`
impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.verb, self.resource, self.name)
    }
}

impl Recorded {
    /// The call, and the conditions that it wrote.
    fn with_conditions(&self) -> String {
        match self.body.pointer("/status/conditions") {
            Some(conditions) => format!("{self}: {conditions}"),
            None => self.to_string(),
        }
    }
}

impl Default for FakeApi {
    fn default() -> Self {
        Self { state: Arc::default(), turns: Arc::new(watch::Sender::new(0)) }
    }
}

impl FakeApi {
    /// An empty server.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client of the controller: its requests are recorded, and can be made to fail.
    pub fn client(&self) -> Client {
        self.client_of(true)
    }

    /// A client of all others: users, other controllers, the kubelet. Its requests are not recorded and do not fail.
    pub fn others(&self) -> Client {
        self.client_of(false)
    }

    fn client_of(&self, controller: bool) -> Client {
        let api = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(bounded(api.answer(controller, request).await)) }
        });
        Client::new(service, "default")
    }

    /// The controller's next request of that verb on that resource (`secrets`, `pods/status`) is refused with this code.
    pub fn fail_next(&self, verb: Verb, resource: &str, code: u16) {
        let message = "the test wants it so".to_owned();
        let fault = Fault { verb: Some(verb), resource: resource.to_owned(), code, message };
        self.change(|state| state.faults.push(fault));
    }

    /// The controller's next write to that resource is refused with this code and these words.
    pub fn refuse_next(&self, resource: &str, code: u16, message: &str) {
        let fault = Fault { verb: None, resource: resource.to_owned(), code, message: message.to_owned() };
        self.change(|state| state.faults.push(fault));
    }

    /// How often the controller has listed a resource.
    pub fn lists(&self, resource: &str) -> usize {
        self.state().calls.iter().filter(|call| call.verb == Verb::List && call.resource == resource).count()
    }

    /// From now on every request of the controller about that resource in that namespace (empty for requests about all) is refused
    /// with this code.
    pub fn refuse(&self, resource: &str, namespace: &str, code: u16) {
        self.change(|state| state.refused.push((resource.to_owned(), namespace.to_owned(), code)));
    }

    /// Ends all refusals.
    pub fn permit_all(&self) {
        self.change(|state| state.refused.clear());
    }

    /// The stored objects now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.state().store.clone())
    }

    /// Restores a snapshot, including versions, as the restore of a backup does. Watches end as expired.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.change(|state| {
            state.store = snapshot.0.clone();
            state.epoch += 1;
        });
    }

    /// From now on watches of the resource send no events: they fall behind.
    pub fn hold_watches(&self, resource: &str) {
        self.change(|state| state.held.push(resource.to_owned()));
    }

    /// All watches send the events that they have held back, and continue.
    pub fn release_watches(&self) {
        self.change(|state| state.held.clear());
    }

    /// From now on nothing can be created in the namespace.
    pub fn terminate(&self, namespace: &str) {
        self.change(|state| state.terminating.push(namespace.to_owned()));
    }

    /// From now on `change` is made to objects of the resource before they are stored, whichever client writes them.
    pub fn admit(&self, resource: &str, change: Admission) {
        self.change(|state| state.admissions.push((resource.to_owned(), change)));
    }

    /// Deletes all objects whose owners are deleted, and the objects that they own.
    pub fn collect_garbage(&self) {
        self.change(|state| state.store.collect_garbage());
    }

    /// An object as it is stored.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state().store.find(resource, namespace, name).cloned()
    }

    /// All objects of a resource, as they are stored.
    pub fn list(&self, resource: &str) -> Vec<Value> {
        self.state().store.list(&Selector { resource: resource.to_owned(), ..Selector::default() })
    }

    /// The controller's requests until now, in order, apart from lists and watches.
    pub fn calls(&self) -> Vec<Recorded> {
        let reads = [Verb::List, Verb::Watch];
        self.state().calls.iter().filter(|call| !reads.contains(&call.verb)).cloned().collect()
    }

    /// The controller's requests until now that may have changed something, apart from status and events: `create secrets/a`.
    pub fn writes(&self) -> Vec<String> {
        let writes =
            |call: &Recorded| call.verb.is_write() && !call.resource.ends_with("/status") && call.resource != "events";
        self.calls().into_iter().filter(writes).map(|call| call.to_string()).collect()
    }

    /// Waits until `found` returns a value; it is called again after each request.
    ///
    /// # Panics
    ///
    /// After an hour, with `what` and the newest requests.
    pub async fn until<T>(&self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let mut turns = self.turns.subscribe();
        let search = async {
            loop {
                if let Some(found) = found(self) {
                    return found;
                }
                turns.changed().await.expect("the server is there");
            }
        };
        if let Ok(found) = timeout(HANG, search).await {
            return found;
        }
        let calls: Vec<_> = self.calls().iter().rev().take(20).map(Recorded::with_conditions).collect();
        panic!("waited in vain: {what}; the newest requests, newest first: {calls:#?}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.turns.send_modify(|turn| *turn += 1);
        changed
    }
}

//! An API server that knows one Lease, for tests.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::body::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http::{Request, Response};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{ServiceBuilder, service_fn};

use crate::process::client::{Call, Requests, Verb};

type Answer = Response<axum::body::Body>;

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub(in crate::process) struct FakeApi(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    lease: Option<Lease>,
    log: Vec<(u64, Bytes)>,
    watches: Vec<UnboundedSender<Result<Bytes, Infallible>>>,
}

/// One client of the server, whose requests can be made to fail.
#[derive(Clone)]
pub(in crate::process) struct Caller {
    pub(in crate::process) client: Client,
    pub(in crate::process) requests: Requests,
    faults: Arc<Mutex<BTreeMap<Verb, Fault>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::process) enum Fault {
    /// Is answered with this status, and has no effect.
    Status(u16),
    /// Is not answered, and has no effect.
    Silent,
    /// Has its effect, but is not answered.
    AnswerLost,
}

impl Caller {
    /// From now on the requests of these verbs have this fault.
    pub(in crate::process) fn fail(&self, verbs: &[Verb], fault: Fault) {
        let faults = verbs.iter().map(|verb| (*verb, fault));
        self.faults.lock().unwrap().extend(faults);
    }

    pub(in crate::process) fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    fn fault(&self, verb: Verb) -> Option<Fault> {
        self.faults.lock().unwrap().get(&verb).copied()
    }
}

impl FakeApi {
    pub(in crate::process) fn caller(&self) -> Caller {
        let unused = service_fn(async |_: Request<Body>| Ok::<Answer, Infallible>(pending().await));
        let mut caller =
            Caller { client: Client::new(unused, "system"), requests: Requests::default(), faults: Arc::default() };
        let (api, line) = (self.clone(), caller.clone());
        let service = service_fn(move |request| {
            let (api, line) = (api.clone(), line.clone());
            async move { Ok::<_, Infallible>(api.answer(&line, request).await) }
        });
        let counted = ServiceBuilder::new().layer(caller.requests.layer()).service(service);
        caller.client = Client::new(counted, "system");
        caller
    }

    pub(in crate::process) fn lease(&self) -> Option<Lease> {
        self.state().lease.clone()
    }

    pub(in crate::process) fn holder(&self) -> Option<String> {
        self.lease()?.spec?.holder_identity
    }

    /// Changes the Lease as a person would.
    pub(in crate::process) fn edit(&self, change: impl FnOnce(&mut Lease)) {
        let mut lease = self.lease().unwrap();
        change(&mut lease);
        self.state().put(lease);
    }

    /// Resets the Lease to an earlier version, as a restored backup does: watches get no event.
    pub(in crate::process) fn restore(&self, version: &str) {
        let mut state = self.state();
        state.version = version.parse().unwrap();
        state.lease.as_mut().unwrap().metadata.resource_version = Some(version.to_owned());
    }

    pub(in crate::process) fn delete(&self) {
        let mut state = self.state();
        let lease = state.lease.take().unwrap();
        state.notify("DELETED", lease);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn answer(&self, line: &Caller, request: Request<Body>) -> Answer {
        let verb = Call::parse(request.method(), request.uri()).verb;
        let fault = line.fault(verb);
        match fault {
            Some(Fault::Status(code)) => return refusal(code),
            Some(Fault::Silent) => return pending().await,
            Some(Fault::AnswerLost) | None => {}
        }
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let answer = self.state().serve(verb, parts.uri.query().unwrap_or_default(), &body);
        if fault == Some(Fault::AnswerLost) { pending().await } else { answer }
    }
}

impl State {
    fn serve(&mut self, verb: Verb, query: &str, body: &[u8]) -> Answer {
        match verb {
            Verb::List => {
                let items: Vec<_> = self.lease.iter().collect();
                ok(&json!({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1",
                    "metadata": {"resourceVersion": self.version.to_string()}, "items": items}))
            }
            Verb::Watch => {
                let since = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
                self.watch(since.unwrap().parse().unwrap())
            }
            Verb::Get => self.lease.as_ref().map_or_else(|| refusal(404), |lease| ok(&json!(lease))),
            Verb::Create if self.lease.is_some() => refusal(409),
            Verb::Create => {
                let lease: Lease = serde_json::from_slice(body).unwrap();
                assert_eq!(lease.metadata.resource_version, None);
                self.put(lease)
            }
            Verb::Update => {
                let lease: Lease = serde_json::from_slice(body).unwrap();
                match &self.lease {
                    None => refusal(404),
                    Some(live) if live.metadata.resource_version != lease.metadata.resource_version => refusal(409),
                    Some(_) => self.put(lease),
                }
            }
            _ => refusal(405),
        }
    }

    fn watch(&mut self, since: u64) -> Answer {
        let (sender, receiver) = unbounded();
        for (_, line) in self.log.iter().filter(|(version, _)| *version > since) {
            sender.unbounded_send(Ok(line.clone())).unwrap();
        }
        self.watches.push(sender);
        Response::new(axum::body::Body::from_stream(receiver))
    }

    fn put(&mut self, lease: Lease) -> Answer {
        let kind = if self.lease.is_some() { "MODIFIED" } else { "ADDED" };
        self.notify(kind, lease.clone());
        let lease = self.lease.insert(lease);
        lease.metadata.resource_version = Some(self.version.to_string());
        ok(&json!(lease))
    }

    fn notify(&mut self, kind: &str, mut lease: Lease) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        let line = Bytes::from(format!("{}\n", json!({"type": kind, "object": lease})));
        self.log.push((self.version, line.clone()));
        self.watches.retain(|watch| watch.unbounded_send(Ok(line.clone())).is_ok());
    }
}

fn ok(body: &Value) -> Answer {
    Response::new(axum::body::Body::from(body.to_string()))
}

fn refusal(code: u16) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "refused", "reason": reason, "code": code});
    Response::builder().status(code).body(axum::body::Body::from(status.to_string())).unwrap()
}

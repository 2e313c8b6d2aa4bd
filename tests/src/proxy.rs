//! An API server on a bad day: a proxy between a controller and the real one.
//!
//! ```text
//!   controller ── HTTP ──▶ Proxy ── as the controller, TLS ──▶ API server
//!                            │
//!                            ├ plan    which request meets which fault, from a seed: pure
//!                            └ frames  what becomes of the events of a watch, from a seed: pure
//! ```
//!
//! # What it does
//!
//! It refuses requests (409, 410, 429, 500, 503), closes connections before a request is carried out or after, answers a list as it
//! was some time ago, and delays, repeats and withholds events of watches.
//!
//! # What it never does
//!
//! What the API promises holds: a read of one object is current, the events of one watch come in order, and one that was withheld
//! comes when the watch is begun again at the version that the client has seen. The Lease is left alone: losing it ends the
//! process, which is another test.

mod answer;
mod frames;
mod plan;
mod tally;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{
    HeaderMap, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use temporal_stack_common::process::client::{Call, Verb};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

pub use self::tally::Tally;
use self::{
    answer::{Answer, Closed, json_answer, refusal, whole},
    frames::{Disturbed, Frames},
    plan::{Fault, Plan},
};
use crate::{HANG, Identity};

/// The running proxy; it ends when this is dropped, and with it all its connections.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    _connections: JoinSet<()>,
}

struct State {
    upstream: Client,
    plan: Plan,
    is_faulty: AtomicBool,
    /// How often each question was asked: method and path.
    asked: Mutex<HashMap<String, u32>>,
    /// The first answer to each list, which is served again as a stale one.
    lists: Mutex<HashMap<String, Bytes>>,
    tally: watch::Sender<Tally>,
}

impl Proxy {
    /// Starts a proxy that asks the API server as this identity, with the faults of this seed.
    pub async fn start(identity: &Identity, seed: u64) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(identity.kubeconfig())?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // What it refuses is the controller's to try again.
        config.default_retry = false;
        let state = Arc::new(State {
            upstream: Client::try_from(config)?,
            plan: Plan::of(seed),
            is_faulty: AtomicBool::new(true),
            asked: Mutex::default(),
            lists: Mutex::default(),
            tally: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, state.clone()));
        Ok(Self { address, state, _connections: connections })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all faults; events that are on their way still come.
    pub fn calm(&self) {
        self.state.is_faulty.store(false, Ordering::SeqCst);
    }

    /// The faults so far.
    pub fn tally(&self) -> Tally {
        self.state.tally.borrow().clone()
    }

    /// Waits until there were so many faults.
    pub async fn until_faults(&self, count: u64) -> Result<Tally> {
        let mut tally = self.state.tally.subscribe();
        match timeout(HANG, tally.wait_for(|tally| tally.total() >= count)).await {
            Ok(tally) => Ok(tally.context("the proxy has ended")?.clone()),
            Err(_) => bail!("waited {HANG:?} for {count} faults; there were: {}", self.tally()),
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(serve(connection, state.clone()));
    }
}

async fn serve(connection: TcpStream, state: Arc<State>) {
    let service = service_fn(|request: Request<Incoming>| {
        let state = state.clone();
        async move { state.answer(request).await }
    });
    // An error is a connection that was closed, by the controller or by a fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Closed> {
        let call = Call::parse(request.method(), request.uri());
        let fault = self.fault(&call, request.method().as_str(), request.uri().path());
        match fault {
            Fault::None => {}
            Fault::Delay(time) => sleep(time).await,
            Fault::Refuse(code) => return Ok(refusal(code)),
            Fault::CloseBefore => return Err(Closed::by_fault()),
            Fault::Stale => {
                if let Some(list) = self.lists().get(&request.uri().to_string()).cloned() {
                    return Ok(json_answer(StatusCode::OK, list));
                }
            }
            Fault::CloseAfter => {
                self.pass_on(request).await?.into_body().collect().await.map_err(Closed::by)?;
                return Err(Closed::by_fault());
            }
        }
        let uri = request.uri().clone();
        let answer = self.pass_on(request).await?;
        match call.verb {
            Verb::Watch if answer.status().is_success() => Ok(self.disturbed(&uri, answer)),
            Verb::List if answer.status().is_success() => self.remembered(&uri, answer).await,
            _ => Ok(answer.map(|body| body.map_err(Closed::by).boxed_unsync())),
        }
    }

    /// What is to become of a request, noted.
    fn fault(&self, call: &Call, method: &str, path: &str) -> Fault {
        if !self.is_faulty.load(Ordering::SeqCst) || call.resource == "leases" {
            return Fault::None;
        }
        let question = format!("{method} {path}");
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let number = asked.entry(format!("{question} {}", call.verb)).or_default();
            *number += 1;
            *number
        };
        let has_been = |name: &str| self.tally.borrow().of(name) > 0;
        let fault = self.plan.fault(call.verb, &question, number, has_been);
        // There is nothing stale before there was a list.
        if let Some(name) = fault.name().filter(|_| fault != Fault::Stale || number > 1) {
            self.note(name);
        }
        fault
    }

    fn note(&self, fault: &'static str) {
        self.tally.send_modify(|tally| tally.add(fault));
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(Closed::by)?.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut passed_on =
            Request::builder().method(parts.method).uri(path).body(Body::from(body)).map_err(Closed::by)?;
        let said = |headers: &HeaderMap, name| headers.get(&name).cloned().map(|value| (name, value));
        passed_on
            .headers_mut()
            .extend([ACCEPT, CONTENT_TYPE].into_iter().filter_map(|name| said(&parts.headers, name)));
        self.upstream.send(passed_on).await.map_err(Closed::by)
    }

    /// The list, kept if it is the first and whole.
    async fn remembered(&self, uri: &Uri, answer: Response<Body>) -> Result<Answer, Closed> {
        let (parts, body) = answer.into_parts();
        let list = body.collect().await.map_err(Closed::by)?.to_bytes();
        let is_whole = serde_json::from_slice::<Value>(&list)
            .is_ok_and(|list| list["metadata"]["continue"].as_str().unwrap_or_default().is_empty());
        if is_whole {
            self.lists().entry(uri.to_string()).or_insert_with(|| list.clone());
        }
        Ok(Response::from_parts(parts, whole(list)))
    }

    /// The events of a watch, disturbed.
    fn disturbed(&self, uri: &Uri, answer: Response<Body>) -> Answer {
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let number = asked.entry(format!("events of {}", uri.path())).or_default();
            *number += 1;
            *number
        };
        // Those that end the watch are limited, as refusals are: each has the client wait longer before it begins again.
        let is_faulty = self.is_faulty.load(Ordering::SeqCst);
        let (parts, body) = answer.into_parts();
        let frames = Frames::of(self.plan.dice(&format!("events of {uri}"), number), is_faulty, number);
        let tally = self.tally.clone();
        let note = move |fault: &'static str| tally.send_modify(|tally| tally.add(fault));
        let lines = stream::unfold((body.into_data_stream().boxed(), Vec::new()), next_line);
        let disturbed = lines
            .scan(frames, move |frames, line| {
                let disturbed = line.map(|line| frames.disturb(&line));
                if let Ok(fault) = disturbed.as_ref().map(|disturbed| disturbed.iter().filter_map(Disturbed::name)) {
                    fault.for_each(&note);
                }
                std::future::ready(Some(disturbed.map(|all| stream::iter(all.into_iter().map(Ok::<_, Closed>)))))
            })
            .try_flatten()
            .and_then(async |disturbed| match disturbed {
                Disturbed::Line(line) | Disturbed::Again(line) | Disturbed::Expired(line) => Ok(Some(line)),
                Disturbed::Wait(time) => {
                    sleep(time).await;
                    Ok(None)
                }
                Disturbed::Close => Err(Closed::by_fault()),
            })
            .try_filter_map(|line| std::future::ready(Ok(line.map(Frame::data))));
        Response::from_parts(parts, StreamBody::new(disturbed.boxed()).boxed_unsync())
    }
}

type Pieces = stream::BoxStream<'static, Result<Bytes, kube::Error>>;

/// The next whole line of a body, with its end.
async fn next_line((mut pieces, mut rest): (Pieces, Vec<u8>)) -> Option<(Result<Bytes, Closed>, (Pieces, Vec<u8>))> {
    loop {
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            return Some((Ok(line.into()), (pieces, rest)));
        }
        match pieces.next().await? {
            Ok(piece) => rest.extend_from_slice(&piece),
            Err(error) => return Some((Err(Closed::by(error)), (pieces, rest))),
        }
    }
}

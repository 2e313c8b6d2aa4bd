//! From requests to answers.

use axum::body::{Body as Answered, Bytes};
use futures::stream;
use http::{Request, Response};
use k8s_openapi::ByteString;
use kube::client::Body;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    FakeApi, Fault, Recorded, State,
    fields::{self, Writer},
    store::{Key, Selector},
};
use crate::process::client::{Call, Verb};

type Answer = Response<Answered>;

/// A request, read.
struct Asked {
    verb: Verb,
    resource: String,
    subresource: Option<String>,
    namespace: String,
    name: String,
    query: Vec<(String, String)>,
    applies: bool,
    body: Value,
}

impl Asked {
    async fn read(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        let Call { verb, resource, .. } = Call::parse(&parts.method, &parts.uri);
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
            None => (resource, None),
        };
        let mut path = parts.uri.path().split('/').skip_while(|part| *part != resource).skip(1);
        let body_name = || body["metadata"]["name"].as_str();
        let name = path.next().or_else(body_name).unwrap_or_default().to_owned();
        let mut path = parts.uri.path().split('/').skip_while(|part| *part != "namespaces").skip(1);
        let namespace = path.next().unwrap_or_default().to_owned();
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let query = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(key, value)| (key.to_owned(), decoded(value))).collect();
        let format = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let applies = format.starts_with("application/apply-patch");
        assert!(
            verb != Verb::Patch || applies || format.starts_with("application/merge-patch"),
            "the fake knows no {format}"
        );
        Self { verb, resource, subresource, namespace, name, query, applies, body }
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    fn key(&self) -> Key {
        (self.resource.clone(), self.namespace.clone(), self.name.clone())
    }

    fn writer(&self) -> Writer<'_> {
        Writer { manager: self.value("fieldManager").unwrap_or("unknown"), subresource: self.subresource.as_deref() }
    }

    fn selector(&self) -> Selector {
        let labels = self.value("labelSelector").unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        let fields = self.value("fieldSelector").unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        Selector {
            resource: self.resource.clone(),
            namespace: Some(self.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            fields: fields.map(|(path, value)| (path.to_owned(), value.to_owned())).collect(),
            labels: labels.map(|(label, value)| (label.to_owned(), value.to_owned())).collect(),
        }
    }

    fn recorded(&self) -> Recorded {
        let subresource = self.subresource.iter().map(|subresource| format!("/{subresource}"));
        Recorded {
            verb: self.verb,
            resource: std::iter::once(self.resource.clone()).chain(subresource).collect(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            body: self.body.clone(),
        }
    }
}

/// Why a request is refused: code, reason, message.
struct Refusal(u16, &'static str, String);

impl FakeApi {
    pub(super) async fn answer(&self, controller: bool, request: Request<Body>) -> Answer {
        let asked = Asked::read(request).await;
        if controller {
            let recorded = asked.recorded();
            let fault = self.change(|state| {
                let struck = |fault: &Fault| {
                    fault.resource == recorded.resource
                        && fault.verb.map_or(recorded.verb.is_write(), |verb| verb == recorded.verb)
                };
                let fault = state.faults.iter().position(struck).map(|index| state.faults.remove(index));
                let is_refused = |(resource, namespace, _): &&(String, String, u16)| {
                    *resource == recorded.resource && *namespace == recorded.namespace
                };
                let refused = state.refused.iter().find(is_refused).map(|(_, _, code)| *code);
                let message = || "the test wants it so".to_owned();
                let fault = fault.map(|fault| (fault.code, fault.message)).or(refused.map(|code| (code, message())));
                state.calls.push(recorded);
                fault
            });
            if let Some((code, message)) = fault {
                let reason = match code {
                    400 => "BadRequest",
                    403 => "Forbidden",
                    422 => "Invalid",
                    _ => "InternalError",
                };
                return refusal(&Refusal(code, reason, message));
            }
        }
        if asked.verb == Verb::Watch {
            return self.watch(asked.selector(), asked.value("resourceVersion").unwrap_or("0").parse().unwrap());
        }
        let served = if asked.value("dryRun").is_some() {
            // By a copy, which nobody watches.
            State { store: self.state().store.clone(), ..State::default() }.serve(&asked)
        } else {
            self.change(|state| state.serve(&asked))
        };
        match served {
            Ok(answer) => Response::new(Answered::from(answer.to_string())),
            Err(refused) => refusal(&refused),
        }
    }

    fn watch(&self, selector: Selector, since: u64) -> Answer {
        let start = (self.clone(), self.turns.subscribe(), selector, Some(since), self.state().epoch);
        Response::new(Answered::from_stream(stream::unfold(start, async |(api, mut turns, selector, since, epoch)| {
            let since = since?;
            loop {
                turns.mark_unchanged();
                let next = {
                    let state = api.state();
                    let held = state.held.contains(&selector.resource);
                    if state.epoch != epoch {
                        Some((None, expired()))
                    } else if held {
                        None
                    } else {
                        state.store.next(&selector, since).map(|(version, event)| (Some(version), event))
                    }
                };
                if let Some((version, event)) = next {
                    let line = Ok::<_, axum::Error>(Bytes::from(format!("{event}\n")));
                    return Some((line, (api, turns, selector, version, epoch)));
                }
                turns.changed().await.ok()?;
            }
        })))
    }
}

/// The last event of a watch with an expired version.
fn expired() -> Value {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    });
    json!({"type": "ERROR", "object": status})
}

impl State {
    fn serve(&mut self, asked: &Asked) -> Result<Value, Refusal> {
        let key = asked.key();
        let live = self.store.get(&key).cloned();
        let missing = || Refusal(404, "NotFound", format!("{} \"{}\" not found", asked.resource, asked.name));
        match asked.verb {
            Verb::List => Ok(self.list(asked)),
            Verb::Get => live.ok_or_else(missing),
            Verb::Create if live.is_some() => {
                Err(Refusal(409, "AlreadyExists", format!("{} \"{}\" already exists", asked.resource, asked.name)))
            }
            Verb::Create => {
                let mut object = asked.body.clone();
                if let Some(fields) = object.as_object_mut() {
                    fields.remove("status");
                }
                fields::update(&json!({}), &mut object, asked.writer());
                self.make(asked, object)
            }
            Verb::Patch if asked.applies => {
                let uid = &asked.body["metadata"]["uid"];
                if uid.is_string() && live.as_ref().is_none_or(|live| live["metadata"]["uid"] != *uid) {
                    return Err(conflict(asked));
                }
                if live.is_none() && asked.subresource.is_some() {
                    return Err(missing());
                }
                let from = live.clone().unwrap_or_else(|| json!({"metadata": {}}));
                let force = asked.value("force") == Some("true");
                let next = fields::apply(&from, &asked.body, asked.writer(), force)
                    .map_err(|message| Refusal(409, "Conflict", message))?;
                match live {
                    Some(live) => Ok(self.replace(asked, &live, &next)),
                    None => self.make(asked, next),
                }
            }
            Verb::Patch => {
                let live = live.ok_or_else(missing)?;
                precondition(asked, &live, &asked.body["metadata"])?;
                let mut next = live.clone();
                merge(&mut next, &asked.body);
                fields::update(&live, &mut next, asked.writer());
                Ok(self.replace(asked, &live, &next))
            }
            Verb::Delete => {
                let live = live.ok_or_else(missing)?;
                precondition(asked, &live, &asked.body["preconditions"])?;
                self.store.delete(&key, asked.body["propagationPolicy"] == "Orphan");
                let left = self.store.get(&key).cloned();
                Ok(left.unwrap_or_else(|| json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})))
            }
            Verb::Watch | Verb::Update | Verb::DeleteCollection => {
                Err(Refusal(405, "MethodNotAllowed", asked.verb.to_string()))
            }
        }
    }

    fn list(&self, asked: &Asked) -> Value {
        let mut items = self.store.list(&asked.selector());
        for item in &mut items {
            // As a real server does for built-in kinds.
            let group = item["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
            let compiled_in = !group.contains('.') || group.ends_with(".k8s.io");
            if let Some(fields) = item.as_object_mut().filter(|_| compiled_in) {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
        }
        let version = self.store.version().to_string();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items})
    }

    fn make(&mut self, asked: &Asked, mut object: Value) -> Result<Value, Refusal> {
        let Asked { resource, namespace, name, .. } = asked;
        if self.terminating.contains(namespace) {
            let message = format!(
                "{resource} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(Refusal(403, "Forbidden", message));
        }
        object["apiVersion"] = asked.body["apiVersion"].clone();
        object["kind"] = asked.body["kind"].clone();
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        Ok(self.store(asked, object))
    }

    /// Stores the parts that a write to this subresource may change.
    fn replace(&mut self, asked: &Asked, live: &Value, next: &Value) -> Value {
        let mut stored = if asked.subresource.is_some() { live.clone() } else { next.clone() };
        stored["status"] = if asked.subresource.is_some() { next["status"].clone() } else { live["status"].clone() };
        let (was, is) = (&live["metadata"], &next["metadata"]);
        stored["metadata"]["managedFields"] = is["managedFields"].clone();
        for field in
            ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "name", "namespace"]
        {
            stored["metadata"][field] = was[field].clone();
        }
        self.store(asked, stored)
    }

    fn store(&mut self, asked: &Asked, mut object: Value) -> Value {
        if let Some(Value::Object(plain)) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) {
            for (key, value) in plain {
                object["data"][key] = json!(ByteString(value.as_str().unwrap_or_default().into()));
            }
        }
        for (_, admission) in self.admissions.iter().filter(|(resource, _)| *resource == asked.resource) {
            admission(&mut object);
        }
        prune_nulls(&mut object);
        self.store.put(asked.key(), object)
    }
}

fn precondition(asked: &Asked, live: &Value, wanted: &Value) -> Result<(), Refusal> {
    let met = |field| wanted[field].is_null() || wanted[field] == live["metadata"][field];
    if met("uid") && met("resourceVersion") { Ok(()) } else { Err(conflict(asked)) }
}

fn conflict(asked: &Asked) -> Refusal {
    let message = format!("Operation cannot be fulfilled on {} \"{}\": it has changed", asked.resource, asked.name);
    Refusal(409, "Conflict", message)
}

fn refusal(Refusal(code, reason, message): &Refusal) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    Response::builder().status(*code).body(Answered::from(status.to_string())).unwrap()
}

/// RFC 7386.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        patch.clone_into(object);
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, value) in patch {
        merge(&mut object[key], value);
    }
}

fn prune_nulls(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(prune_nulls);
    }
}

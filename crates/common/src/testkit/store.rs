//! The objects, their versions, and the events of watches.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// Resource (`secrets`), namespace and name. Groups are omitted: no test needs two resources of one name.
pub(super) type Key = (String, String, String);

/// All objects, with their history.
#[derive(Clone, Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    version: u64,
    log: Vec<Change>,
}

#[derive(Clone)]
struct Change {
    version: u64,
    key: Key,
    before: Option<Value>,
    after: Option<Value>,
}

/// The selection of a list or a watch.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
    pub(super) fields: Vec<(String, String)>,
    pub(super) labels: Vec<(String, String)>,
}

impl Selector {
    fn takes(&self, key: &Key, object: &Value) -> bool {
        key.0 == self.resource
            && self.namespace.as_ref().is_none_or(|namespace| key.1 == *namespace)
            && self.fields.iter().all(|(path, value)| field(object, path) == Some(value))
            && self.labels.iter().all(|(label, value)| object["metadata"]["labels"][label] == *value)
    }
}

fn field<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    path.split('.').try_fold(object, |value, part| value.get(part))?.as_str()
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    pub(super) fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.get(&(resource.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn list(&self, selector: &Selector) -> Vec<Value> {
        self.objects
            .iter()
            .filter(|(key, object)| selector.takes(key, object))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Stores an object in its next version; nothing happens if it is unchanged.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.objects.get(&key).cloned();
        if before.as_ref().is_some_and(|before| *before == object) {
            return object;
        }
        let metadata = &object["metadata"];
        let finalised = metadata["finalizers"].as_array().is_none_or(Vec::is_empty);
        if metadata["deletionTimestamp"].is_string() && finalised {
            self.remove(&key);
            return object;
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        match &before {
            None => {
                object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
                object["metadata"]["creationTimestamp"] = json!(Timestamp::now());
                if object["spec"].is_object() {
                    object["metadata"]["generation"] = json!(1);
                }
            }
            Some(before) if before["spec"] != object["spec"] => {
                let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
                object["metadata"]["generation"] = json!(generation + 1);
            }
            Some(_) => {}
        }
        self.objects.insert(key.clone(), object.clone());
        self.log.push(Change { version: self.version, key, before, after: Some(object.clone()) });
        object
    }

    /// Deletes an object, or marks it as being deleted if it has finalizers.
    pub(super) fn delete(&mut self, key: &Key, orphan: bool) {
        let Some(mut object) = self.objects.get(key).cloned() else { return };
        if orphan {
            self.orphan_dependents(&object["metadata"]["uid"]);
        }
        object["metadata"]["deletionTimestamp"] = json!(Timestamp::now());
        self.put(key.clone(), object);
    }

    fn remove(&mut self, key: &Key) {
        self.version += 1;
        let before = self.objects.remove(key);
        self.log.push(Change { version: self.version, key: key.clone(), before, after: None });
    }

    fn orphan_dependents(&mut self, uid: &Value) {
        for (key, mut object) in self.objects.clone() {
            if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|owner| owner["uid"] != *uid);
                self.put(key, object);
            }
        }
    }

    pub(super) fn collect_garbage(&mut self) {
        loop {
            let alive: Vec<&Value> = self.objects.values().map(|object| &object["metadata"]["uid"]).collect();
            let orphaned = |object: &Value| {
                let owners = object["metadata"]["ownerReferences"].as_array();
                object["metadata"]["deletionTimestamp"].is_null()
                    && owners.is_some_and(|owners| {
                        !owners.is_empty() && !owners.iter().any(|owner| alive.contains(&&owner["uid"]))
                    })
            };
            let Some(key) = self.objects.iter().find(|(_, object)| orphaned(object)).map(|(key, _)| key.clone()) else {
                return;
            };
            self.delete(&key, false);
        }
    }

    /// The first event of a watch after `version`, with its version.
    pub(super) fn next(&self, selector: &Selector, version: u64) -> Option<(u64, Value)> {
        self.log.iter().filter(|change| change.version > version).find_map(|change| {
            let takes = |object: &&Value| selector.takes(&change.key, object);
            let (before, after) = (change.before.as_ref().filter(takes), change.after.as_ref().filter(takes));
            let (kind, mut object) = match (before, after) {
                (None, Some(after)) => ("ADDED", after.clone()),
                (Some(_), Some(after)) => ("MODIFIED", after.clone()),
                // Also if an object no longer matches the selector: the event has the last matching state.
                (Some(before), None) => ("DELETED", before.clone()),
                (None, None) => return None,
            };
            object["metadata"]["resourceVersion"] = json!(change.version.to_string());
            Some((change.version, json!({"type": kind, "object": object})))
        })
    }
}

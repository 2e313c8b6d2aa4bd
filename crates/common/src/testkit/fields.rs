//! The ownership of fields: `managedFields`. All lists are treated as one value, and so are selectors.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

type Pointers = BTreeSet<String>;

/// Fields without an owner.
const UNOWNED: [&str; 11] = [
    "/apiVersion",
    "/kind",
    "/metadata/creationTimestamp",
    "/metadata/deletionTimestamp",
    "/metadata/generation",
    "/metadata/managedFields",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/resourceVersion",
    "/metadata/uid",
    "/metadata/generateName",
];

/// The writer, and the subresource.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    pub(super) subresource: Option<&'a str>,
}

/// Server-side apply of `intent` over `live`; the error names the conflicting field.
pub(super) fn apply(live: &Value, intent: &Value, writer: Writer<'_>, force: bool) -> Result<Value, String> {
    let mut next = live.clone();
    let mut entries = entries(live);
    let wanted = leaves(intent);
    let had = entries.iter().find(|entry| is_of(entry, writer, "Apply")).map(owned).unwrap_or_default();
    entries.retain(|entry| !is_of(entry, writer, "Apply"));
    for pointer in &wanted {
        if live.pointer(pointer) != intent.pointer(pointer) {
            for entry in entries.iter_mut().filter(|entry| owned(entry).contains(pointer)) {
                if !force {
                    return Err(format!("conflict with {} at {pointer}", entry["manager"]));
                }
                disown(entry, pointer);
            }
        }
        set(&mut next, pointer, intent.pointer(pointer).cloned().unwrap_or_default());
    }
    for pointer in had.difference(&wanted) {
        if !entries.iter().any(|entry| owned(entry).contains(pointer)) {
            remove(&mut next, pointer);
        }
    }
    entries.push(entry(writer, "Apply", &wanted));
    store(&mut next, entries);
    Ok(next)
}

/// Records in `next` that all its differences from `live` were written by `writer`.
pub(super) fn update(live: &Value, next: &mut Value, writer: Writer<'_>) {
    let mut entries = entries(next);
    let (before, after) = (leaves(live), leaves(next));
    let changed: Pointers =
        before.union(&after).filter(|pointer| live.pointer(pointer) != next.pointer(pointer)).cloned().collect();
    if changed.is_empty() {
        return;
    }
    for entry in &mut entries {
        for pointer in &changed {
            disown(entry, pointer);
        }
    }
    let had = entries.iter().find(|entry| is_of(entry, writer, "Update")).map(owned).unwrap_or_default();
    entries.retain(|entry| !is_of(entry, writer, "Update"));
    let has = changed.intersection(&after).chain(&had).cloned().collect();
    entries.push(entry(writer, "Update", &has));
    store(next, entries);
}

fn entries(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
}

fn store(object: &mut Value, mut entries: Vec<Value>) {
    entries.retain(|entry| !owned(entry).is_empty());
    for entry in &mut entries {
        entry["apiVersion"] = object["apiVersion"].clone();
    }
    object["metadata"]["managedFields"] = json!(entries);
}

fn entry(writer: Writer<'_>, operation: &str, pointers: &Pointers) -> Value {
    let mut entry = json!({"manager": writer.manager, "operation": operation, "fieldsType": "FieldsV1"});
    write(&mut entry, pointers);
    if let Some(subresource) = writer.subresource {
        entry["subresource"] = json!(subresource);
    }
    entry
}

fn is_of(entry: &Value, writer: Writer<'_>, operation: &str) -> bool {
    entry["manager"] == writer.manager
        && entry["operation"] == operation
        && entry["subresource"].as_str() == writer.subresource
}

fn owned(entry: &Value) -> Pointers {
    fn walk(fields: &Map<String, Value>, pointer: &str, found: &mut Pointers) {
        for (key, below) in fields {
            let key = key.trim_start_matches("f:").replace('~', "~0").replace('/', "~1");
            let pointer = format!("{pointer}/{key}");
            match below.as_object().filter(|below| !below.is_empty()) {
                Some(below) => walk(below, &pointer, found),
                None => drop(found.insert(pointer)),
            }
        }
    }
    let mut found = Pointers::new();
    if let Some(fields) = entry["fieldsV1"].as_object() {
        walk(fields, "", &mut found);
    }
    found
}

fn write(entry: &mut Value, pointers: &Pointers) {
    entry["fieldsV1"] = json!({});
    for pointer in pointers {
        let parts = pointer.split('/').skip(1);
        let field = parts.fold(&mut entry["fieldsV1"], |place, part| {
            if !place.is_object() {
                *place = json!({});
            }
            &mut place[format!("f:{}", part.replace("~1", "/").replace("~0", "~"))]
        });
        if field.is_null() {
            *field = json!({});
        }
    }
}

fn disown(entry: &mut Value, pointer: &str) {
    let mut pointers = owned(entry);
    if pointers.remove(pointer) {
        write(entry, &pointers);
    }
}

/// The fields that can be owned, down to values, lists and empty maps.
fn leaves(object: &Value) -> Pointers {
    fn walk(value: &Value, pointer: &str, found: &mut Pointers) {
        match value {
            _ if UNOWNED.contains(&pointer) => {}
            Value::Object(map) if !map.is_empty() && !pointer.ends_with("/selector") => {
                for (key, value) in map {
                    walk(value, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Null => {}
            _ => {
                found.insert(pointer.to_owned());
            }
        }
    }
    let mut found = Pointers::new();
    walk(object, "", &mut found);
    found
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let field = pointer.split('/').skip(1).fold(object, |place, key| {
        if !place.is_object() {
            *place = json!({});
        }
        &mut place[key.replace("~1", "/").replace("~0", "~")]
    });
    *field = value;
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    map.remove(&key.replace("~1", "/").replace("~0", "~"));
    if map.is_empty() {
        remove(object, parent);
    }
}

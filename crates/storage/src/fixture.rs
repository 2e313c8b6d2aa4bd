//! The fixtures of this crate's tests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use temporal_stack_common::{
    address::Endpoint,
    api::{ObjectStorage, annotation::FULL_RESTART},
    login::{Bound, Login, LoginState},
    manifest::{self, Manifest},
    network::Home,
    provider,
    s3::{Key, Locking, Versioning},
    shared::{Made, NUMBER},
    testkit,
};

use crate::{
    Defaults,
    access::{self, Store},
    decide::view::View,
    desire,
    engine::{Drive, Fact, Health, Kind},
    names::{self, KEY_ID, KEY_SECRET, LAYOUT, Names, PORT},
    observed::{Embedded, EnginePod, Evidence, External, Facts, Found, Known, Observed, Provider, Survey},
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> ObjectStorage {
    testkit::object("photos", spec)
}

/// An object with one bucket and these further fields of it.
pub(crate) fn with_bucket(fields: &Value) -> ObjectStorage {
    let mut bucket = json!({"name": "albums"});
    bucket.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object(&json!({"buckets": [bucket]}))
}

/// An object with so many servers of one drive each.
pub(crate) fn sized(servers: i32) -> ObjectStorage {
    object(&json!({"provider": {"minio": {"servers": servers}}, "buckets": [{"name": "albums"}]}))
}

/// The same with a status that lists these buckets, each with its policy.
pub(crate) fn with_status(mut object: ObjectStorage, provider: &str, buckets: &[(&str, &str)]) -> ObjectStorage {
    let buckets = buckets.iter().map(|(name, policy)| json!({"name": name, "deletionPolicy": policy}));
    let status = json!({"provider": provider, "buckets": buckets.collect::<Value>()});
    object.status = serde_json::from_value(status).unwrap();
    object
}

/// The same with an annotation.
pub(crate) fn annotated(mut object: ObjectStorage, key: &str, value: &str) -> ObjectStorage {
    object.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    object
}

/// The settings of the installation.
pub(crate) fn defaults() -> Defaults {
    Defaults { minio_image: "minio:test".to_owned(), versity_image: "versity:test".to_owned(), home: Home::default() }
}

/// The names of the children.
pub(crate) fn names() -> Names {
    Names::new(&object(&json!({})))
}

/// This exists of an engine, and nothing else.
pub(crate) fn of(embedded: Embedded) -> Observed {
    Observed {
        bound: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        series: embedded.logins.keys().cloned().collect(),
        claims: Vec::new(),
        refused: BTreeMap::new(),
        loose: BTreeSet::new(),
        provider: Provider::Embedded(Box::new(embedded)),
    }
}

/// Nothing exists yet.
pub(crate) fn embedded() -> Observed {
    of(Embedded::default())
}

/// An engine that runs as the object wants, with its buckets and a login for each, which the bindings have.
pub(crate) fn healthy(object: &ObjectStorage) -> Observed {
    let kind = Kind::new(object);
    let buckets: Vec<&str> = object.spec.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
    let named = |name: &&str| (*name).to_owned();
    let bound = buckets.iter().map(|name| (named(name), bound(1))).collect();
    let known = Known {
        store: Some(store()),
        buckets: buckets.iter().map(|name| (named(name), Found::Usable(facts()))).collect(),
        login_states: buckets.iter().map(|name| (named(name), vec![LoginState::Usable])).collect(),
    };
    let embedded = Embedded {
        roots: vec![root(1, None, &kind.layout())],
        root_in_use: Some(1),
        logins: buckets.iter().map(|name| (named(name), vec![login(1)])).collect(),
        replicas: Some(kind.servers()),
        pods: (0..kind.servers()).map(pod).collect(),
        service: Some(Endpoint { host: "10.96.0.1".to_owned(), port: PORT }),
        health: Some(Ok(health(kind.servers()))),
        survey: Survey::Known(known),
        ..Embedded::default()
    };
    Observed { bound, claims: kind.claims(&names()), ..of(embedded) }
}

/// What is observed of the engine, to change it.
pub(crate) fn engine(observed: &mut Observed) -> &mut Embedded {
    match &mut observed.provider {
        Provider::Embedded(embedded) => embedded,
        Provider::Rook(_) | Provider::External(_) => panic!("no engine"),
    }
}

/// What the engine answered, to change it.
pub(crate) fn known(observed: &mut Observed) -> &mut Known {
    match &mut engine(observed).survey {
        Survey::Known(known) => known,
        Survey::Unasked | Survey::Silent(_) => panic!("no answer"),
    }
}

/// An object storage elsewhere, described by a Secret with these keys.
pub(crate) fn external(keys: Option<&[(&str, &str)]>, survey: Survey) -> Observed {
    let secret = keys.map(|keys| manifest::secret("theirs".to_owned(), keys));
    let source = provider::External { name: "theirs".to_owned(), secret };
    Observed { provider: Provider::External(Box::new(External { source, survey })), ..embedded() }
}

/// The keys of a complete Secret.
pub(crate) const KEYS: [(&str, &str); 3] =
    [("endpoint", "https://s3.example.com"), (KEY_ID, "THEIR-ID"), (KEY_SECRET, "their-secret")];

/// The engine as root.
pub(crate) fn store() -> Store {
    access::root("10.244.0.1", Key { id: "root-id".to_owned(), secret: "root-secret".to_owned() }, false)
}

/// A root credential that was made for this permission.
pub(crate) fn root(number: u32, permission: Option<&str>, layout: &str) -> Made {
    let keys = [(KEY_ID, "root-id"), (KEY_SECRET, "root-secret")];
    let mut secret = manifest::secret(names::root(&names(), number), &keys);
    secret.metadata.labels = Some(BTreeMap::from([(NUMBER.to_owned(), number.to_string())]));
    let permission = permission.map(|permission| (FULL_RESTART.to_owned(), permission.to_owned()));
    let layout = (LAYOUT.to_owned(), layout.to_owned());
    secret.metadata.annotations = Some(permission.into_iter().chain([layout]).collect());
    Made::parse(secret).unwrap()
}

/// A login.
pub(crate) fn login(number: u32) -> Login {
    Login {
        number,
        username: format!("key-id-{number}"),
        password: format!("key-secret-{number}"),
        named: false,
        rotation: None,
    }
}

/// A binding that holds the login of this number.
pub(crate) fn bound(number: u32) -> Bound {
    Bound { number: Some(number), username: format!("key-id-{number}"), scope: "albums".to_owned() }
}

/// A pod that is ready.
pub(crate) fn pod(ordinal: i32) -> EnginePod {
    EnginePod {
        name: names().pod(ordinal),
        is_ready: true,
        ready_seconds: Some(600),
        is_outdated: false,
        root: Some(1),
        ip: Some(format!("10.244.0.{ordinal}")),
    }
}

/// A bucket with nothing set.
pub(crate) fn facts() -> Facts {
    Facts {
        versioning: Fact::Is(Versioning::Off),
        lock: Fact::Is(Locking::Off),
        expiration: Fact::Is(None),
        quota: Fact::Is(None),
        is_empty: None,
        evidence: None,
    }
}

/// A bucket of an object storage elsewhere, whose tag names this owner.
pub(crate) fn owned_by(owner: Option<&str>) -> Facts {
    let owner = Fact::Is(owner.map(str::to_owned));
    Facts { evidence: Some(Evidence { is_of_account: Some(true), owner }), ..facts() }
}

/// So many servers with a drive each, all of them online.
pub(crate) fn health(servers: i32) -> Health {
    let drive = |ordinal| Drive {
        server: names().pod(ordinal),
        path: "/data1".to_owned(),
        is_online: true,
        healing: None,
        total: 100,
        available: 60,
    };
    Health {
        version: Some("2026-09-16T00:00:00Z".to_owned()),
        drives: Some((0..servers).map(drive).collect()),
        can_write: Some(true),
    }
}

/// The desired objects.
pub(crate) fn manifests(object: &ObjectStorage, observed: &Observed) -> Vec<Manifest> {
    desire::desire(&View::new(object, observed), &defaults())
}

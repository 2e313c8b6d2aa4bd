//! The fixtures of this crate's tests.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Secret},
    jiff::Timestamp,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::Temporal,
    component::Decision,
    condition::Statement,
    default_source::DefaultSource,
    manifest::{Manifest, secret},
    neighbour::Neighbour,
    network::Home,
    testkit,
    volume::Offer,
};

use crate::{
    Application, Defaults,
    decide::{self, order::Outstanding, view::View},
    desire,
    names::{JWT_KEY, KRAB_AUTH_KEY, KRAB_PASSWORD, Names, QUEUES, TABLES},
    observed::{Observed, Queue, References, Referred, Run, Tables},
    role::{ROLES, WORKERS},
    settings::Settings,
};

/// The time in tests, in seconds since 1970.
pub(crate) const NOW: i64 = 1_799_000_000;

static DEFAULTS: LazyLock<Defaults> = LazyLock::new(|| Defaults {
    temporal_image: "registry.invalid/temporal:v2.8.0".to_owned(),
    bridge_image: "registry.invalid/bridge:1".to_owned(),
    home: Home::default(),
});

fn parse<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> Temporal {
    testkit::object("temporal", spec)
}

/// An object with this spec that refers to the stack's others.
pub(crate) fn referring_with(mut spec: Value) -> Temporal {
    for field in ["database", "queue", "ipfs"] {
        spec[field] = json!({"name": "temporal"});
    }
    object(&spec)
}

/// An object that refers to the stack's others.
pub(crate) fn referring() -> Temporal {
    referring_with(json!({}))
}

/// Its names.
pub(crate) fn names() -> Names {
    Names::new(&referring())
}

/// The user's ConfigMap.
#[expect(clippy::unnecessary_wraps, reason = "as the field has it")]
pub(crate) fn config(variables: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// What becomes of these variables.
pub(crate) fn settings(variables: &[(&str, &str)]) -> Settings {
    Settings::read(&referring().spec, config(variables).as_ref(), &DefaultSource::Ours)
}

/// An object that is Ready, with this binding.
pub(crate) fn ready(binding: &[(&str, &str)]) -> Neighbour<Referred> {
    Neighbour::There(Box::new(Referred {
        generation: Some(1),
        conditions: parse(json!([{
            "type": "Ready", "status": "True", "reason": "Verified", "message": "answers",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }])),
        binding: Some(secret("binding".to_owned(), binding)),
    }))
}

/// An object that is not Ready, and has no binding.
pub(crate) fn not_ready() -> Neighbour<Referred> {
    Neighbour::There(Box::new(Referred {
        generation: Some(1),
        conditions: parse(json!([{
            "type": "Ready", "status": "False", "reason": "ChildrenNotReady", "message": "0 of 1 pods ready",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }])),
        binding: None,
    }))
}

/// An object that is suspended.
pub(crate) fn suspended() -> Neighbour<Referred> {
    Neighbour::There(Box::new(Referred {
        generation: Some(1),
        conditions: parse(json!([{
            "type": "Suspended", "status": "True", "reason": "Suspended", "message": "no pod runs",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }])),
        binding: None,
    }))
}

/// The database, Ready, with this password.
pub(crate) fn database(password: &str) -> Neighbour<Referred> {
    ready(&[
        ("host", "temporal-postgresdatabase.default.svc"),
        ("port", "5432"),
        ("username", "temporal_a"),
        ("password", password),
        ("database", "temporal"),
    ])
}

/// Nothing of Temporal exists, but all that it depends on.
pub(crate) fn fresh() -> Observed {
    let uri = "amqp://temporal_a:queue-password@temporal-messagequeue.default.svc:5672/temporal";
    let host = "temporal-ipfscluster.default.svc";
    Observed {
        now: Timestamp::from_second(NOW).unwrap(),
        config: None,
        default_source: DefaultSource::Ours,
        references: References {
            database: Some(database("database-password")),
            queue: Some(ready(&[("uri", uri)])),
            ipfs: Some(ready(&[("host", host), ("port", "5001"), ("cluster-host", host), ("cluster-port", "9094")])),
        },
        tables: Some(Ok(Tables { missing: TABLES.to_vec(), ..Tables::default() })),
        queues: Some(Ok(Vec::new())),
        named: BTreeMap::new(),
        secrets: BTreeMap::new(),
        jobs: BTreeMap::new(),
        deployments: BTreeMap::new(),
        krab: None,
        pods: Vec::new(),
        volume: None,
        offer: Offer::default(),
        restart: None,
        api_ip: None,
        krab_ip: None,
    }
}

/// Everything exists and runs.
pub(crate) fn running(object: &Temporal) -> Observed {
    let names = Names::new(object);
    let deployments = ROLES.map(|role| {
        let (name, replicas) = (names.child(role.name()), role.replicas(&object.spec));
        (name.clone(), workload(&name, replicas))
    });
    let queues = QUEUES.map(|name| {
        let role = WORKERS.into_iter().find(|role| role.queue() == Some(name));
        let consumers = role.map_or(0, |role| u32::try_from(role.replicas(&object.spec)).unwrap());
        Queue { name, consumers }
    });
    let secrets = [&names.binding, &names.environment, &names.krab_environment];
    let secrets = secrets.map(|name| (name.clone(), Secret::default())).into_iter().chain([keys(&names)]);
    migrated(
        object,
        Observed {
            tables: Some(Ok(Tables::default())),
            queues: Some(Ok(queues.to_vec())),
            secrets: secrets.collect(),
            deployments: deployments.into(),
            krab: Some(workload::<StatefulSet>(&names.krab, 1)),
            api_ip: Some("10.96.0.7".to_owned()),
            krab_ip: Some("10.96.0.8".to_owned()),
            ..fresh()
        },
    )
}

/// The generated keys, by the name of their Secret.
pub(crate) fn keys(names: &Names) -> (String, Secret) {
    let keys =
        [(JWT_KEY, "drawn-jwt-key"), (KRAB_AUTH_KEY, "drawn-krab-key"), (KRAB_PASSWORD, "drawn-keystore-password")];
    (names.keys.clone(), secret(names.keys.clone(), &keys))
}

/// A Deployment or a set whose pods are ready.
pub(crate) fn workload<K: DeserializeOwned>(name: &str, replicas: i32) -> K {
    parse(json!({
        "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": replicas, "selector": {}, "template": {}, "serviceName": ""},
        "status": {
            "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas,
        },
    }))
}

/// The same, with the tables of the image migrated.
pub(crate) fn migrated(object: &Temporal, mut observed: Observed) -> Observed {
    let migration = View::new(object, &observed, &DEFAULTS).migration;
    observed.jobs.insert(migration, Run { is_done: true, trouble: None });
    observed
}

/// The Secret of an administrator, by its name.
pub(crate) fn admin(name: &str) -> (String, Option<Secret>) {
    let keys = [("username", "admin"), ("password", "admin-password"), ("email", "admin@example.com")];
    (name.to_owned(), Some(secret(name.to_owned(), &keys)))
}

/// What is decided.
pub(crate) fn decide(object: &Temporal, observed: &Observed) -> Decision<Application> {
    decide::decide(object, observed, &DEFAULTS)
}

/// What is still outstanding.
pub(crate) fn outstanding(object: &Temporal, observed: &Observed) -> Outstanding {
    Outstanding::new(&View::new(object, observed, &DEFAULTS))
}

/// The desired objects.
pub(crate) fn manifests(object: &Temporal, observed: &Observed) -> Vec<Manifest> {
    desire::desire(&View::new(object, observed, &DEFAULTS), outstanding(object, observed).step)
}

/// A condition, as it stands in the status: status, reason and message. Empty where it is not stated.
pub(crate) fn condition(conditions: &[Statement], kind: &str) -> [String; 3] {
    let dated = temporal_stack_common::condition::dated(conditions.to_vec(), &[], None, Timestamp::UNIX_EPOCH);
    let found = dated.into_iter().find(|condition| condition.type_ == kind);
    found.map(|found| [found.status, found.reason, found.message]).unwrap_or_default()
}

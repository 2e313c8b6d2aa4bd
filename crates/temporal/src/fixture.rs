//! Instances as tests want them: one that is well, and what differs from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use temporal_stack_common::{api::Temporal, network::Home};

use crate::{
    Defaults,
    access::{Address, Broker, Database, Ipfs},
    broker::Queue,
    dependency::Dependency,
    names::{self, QUEUES},
    observe::{Keys, Observed, Run, Tls},
    role::{Role, WORKERS},
    settings::Settings,
    tables::Found,
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> Temporal {
    serde_json::from_value(json!({
        "apiVersion": "temporal-stack.dev/v1alpha1",
        "kind": "Temporal",
        "metadata": {"name": "temporal", "namespace": "default", "uid": "0"},
        "spec": spec,
    }))
    .unwrap()
}

/// An object that refers to the stack's others.
pub(crate) fn whole() -> Temporal {
    let named = json!({"name": "temporal"});
    object(&json!({"database": named, "queue": named, "ipfs": named}))
}

/// What the installation decides in tests.
pub(crate) fn defaults() -> Defaults {
    Defaults {
        temporal_image: "registry.invalid/temporal:v2.8.0".to_owned(),
        bridge_image: "registry.invalid/bridge:1".to_owned(),
        home: Home::default(),
    }
}

/// The user's variables.
pub(crate) fn settings(variables: &[(&str, &str)]) -> Settings {
    let data = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::read(&whole(), Some(&data))
}

/// Something that is Ready.
pub(crate) fn there<T>(access: T) -> Dependency<T> {
    Dependency { access: Some(access), lack: None, since: None }
}

/// An instance of which nothing has been made, with all that it needs.
pub(crate) fn unmade() -> Observed {
    let address = |port| Address { host: "temporal-ipfscluster.default.svc".to_owned(), port };
    Observed {
        settings: settings(&[]),
        obstacle: None,
        database: there(Database {
            host: "temporal-postgresdatabase.default.svc".to_owned(),
            port: 5432,
            username: "temporal_a".to_owned(),
            password: "database-password".to_owned(),
        }),
        queue: there(Broker {
            uri: "amqp://temporal_a:queue-password@temporal-messagequeue.default.svc:5672/temporal".to_owned(),
        }),
        ipfs: there(Ipfs { kubo: address(5001), cluster: address(9094) }),
        keys: None,
        tls: Tls::Off,
        image: defaults().temporal_image,
        migration: None,
        tables: Ok(Found { missing: names::TABLES.to_vec(), ..Found::default() }),
        queues: Ok(Vec::new()),
        admins: Vec::new(),
        jobs: Vec::new(),
        running: BTreeMap::new(),
        revived: BTreeMap::new(),
        restart: None,
        api_ip: None,
        krab_ip: None,
        secrets: Vec::new(),
    }
}

/// An instance of which all is well.
pub(crate) fn well(object: &Temporal) -> Observed {
    let parts = WORKERS.into_iter().chain([Role::Api]).map(|role| names::child(object, role.name()));
    let consumers = |name: &'static str| {
        let role = WORKERS.into_iter().find(|role| role.queue() == Some(name));
        role.map_or(0, |role| u32::try_from(role.replicas(object)).unwrap())
    };
    Observed {
        keys: Some(Keys {
            jwt: "drawn-jwt-key".to_owned(),
            krab: "drawn-krab-key".to_owned(),
            keystore: "drawn-keystore-password".to_owned(),
        }),
        migration: Some(Run { is_done: true, trouble: None }),
        tables: Ok(Found::default()),
        queues: Ok(QUEUES.into_iter().map(|name| Queue { name, consumers: consumers(name) }).collect()),
        running: parts.chain([names::krab(object)]).map(|name| (name, None)).collect(),
        api_ip: Some("10.96.0.7".to_owned()),
        krab_ip: Some("10.96.0.8".to_owned()),
        secrets: [names::binding(object), names::environment(object), names::krab_environment(object)].into(),
        ..unmade()
    }
}

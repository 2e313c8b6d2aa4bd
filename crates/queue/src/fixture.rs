//! The fixtures of this crate's tests.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};
use temporal_stack_common::{
    address::Endpoint,
    api::{MessageQueue, annotation::FULL_RESTART},
    default_source::DefaultSource,
    login::{Bound, Login},
    manifest::{self, Manifest},
    network::Home,
    provider::{External, Provider},
    shared::{Made, NUMBER},
    testkit,
};

use crate::{
    Defaults,
    decide::view::View,
    desire,
    names::{self, AMQP, MOST_NODES, Names},
    observed::{Broker, BrokerPod, Embedded, Known, Observed},
    rabbit::{Node, Queue, User, password_hash},
    settings::COOKIE,
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> MessageQueue {
    testkit::object("temporal", spec)
}

/// An object that wants so many nodes.
pub(crate) fn sized(replicas: i32) -> MessageQueue {
    object(&json!({"provider": {"rabbitmq": {"replicas": replicas}}}))
}

/// The settings of the installation.
pub(crate) fn defaults() -> Defaults {
    Defaults { rabbitmq_image: "rabbitmq:4.0".to_owned(), home: Home::default() }
}

/// The names of the children.
pub(crate) fn names() -> Names {
    Names::new(&sized(1))
}

/// The node with this ordinal.
pub(crate) fn node(ordinal: i32) -> String {
    names::node(&names(), ordinal)
}

/// Nothing exists yet.
pub(crate) fn observed() -> Observed {
    cluster(Embedded::default())
}

/// This exists of a cluster; the binding holds its first login.
pub(crate) fn cluster(embedded: Embedded) -> Observed {
    let bound = embedded.logins.first().map(|login| Bound {
        number: Some(login.number),
        username: login.username.clone(),
        scope: "temporal".to_owned(),
    });
    Observed {
        config: None,
        default_source: DefaultSource::Ours,
        bound,
        provider: Provider::Embedded(Box::new(embedded)),
    }
}

/// A broker elsewhere, described by a Secret with these keys.
pub(crate) fn external(keys: Option<&[(&str, &str)]>) -> Observed {
    let secret = keys.map(|keys| manifest::secret("theirs".to_owned(), keys));
    Observed { provider: Provider::External(External { name: "theirs".to_owned(), secret }), ..observed() }
}

/// A cluster with so many nodes, all of them in order.
pub(crate) fn healthy(object: &MessageQueue, nodes: i32) -> Embedded {
    let names = Names::new(object);
    let member = |ordinal| Node { name: names::node(&names, ordinal), running: true, ..Node::default() };
    Embedded {
        cookies: vec![cookie(1, "cookie-1", None)],
        logins: vec![login(1, "temporal_a")],
        administrator: Some("administrator-password".to_owned()),
        replicas: Some(nodes),
        pods: (0..nodes).map(|ordinal| BrokerPod { name: names.pod(ordinal), ..pod(ordinal) }).collect(),
        volumes: (0..MOST_NODES).map(|ordinal| (ordinal < nodes).then(claim)).collect(),
        members: Some((0..nodes).map(|ordinal| names::node(&names, ordinal)).collect()),
        service: Some(Endpoint { host: "10.96.0.1".to_owned(), port: AMQP }),
        broker: Broker::Known(Box::new(Known {
            host: "10.244.0.1".to_owned(),
            version: "4.0.5".to_owned(),
            nodes: (0..nodes).map(member).collect(),
            default_queue_type: Some("quorum".to_owned()),
            users: vec![user("temporal_a")],
            ..Known::default()
        })),
        ..Embedded::default()
    }
}

/// What the broker answered, to change it.
pub(crate) fn known(embedded: &mut Embedded) -> &mut Known {
    match &mut embedded.broker {
        Broker::Known(known) => known,
        Broker::Absent | Broker::Silent(_) => panic!("the broker gives no answer"),
    }
}

/// A pod that is ready.
pub(crate) fn pod(ordinal: i32) -> BrokerPod {
    BrokerPod {
        name: names().pod(ordinal),
        is_ready: true,
        preparing: None,
        cookie: Some(1),
        ip: Some(format!("10.244.0.{ordinal}")),
    }
}

/// A claim with its volume.
pub(crate) fn claim() -> PersistentVolumeClaim {
    serde_json::from_value(json!({"metadata": {}, "status": {"phase": "Bound"}})).unwrap()
}

/// A cookie that was made for this permission.
pub(crate) fn cookie(number: u32, value: &str, permission: Option<&str>) -> Made {
    let mut secret = manifest::secret(names::cookie(&names(), number), &[(COOKIE, value)]);
    secret.metadata.labels = Some(BTreeMap::from([(NUMBER.to_owned(), number.to_string())]));
    let permission = permission.map(|permission| (FULL_RESTART.to_owned(), permission.to_owned()));
    secret.metadata.annotations = Some(permission.into_iter().collect());
    Made::parse(secret).unwrap()
}

/// A login whose password is its name.
pub(crate) fn login(number: u32, username: &str) -> Login {
    Login { number, username: username.to_owned(), password: username.to_owned(), named: false, rotation: None }
}

/// A login as the broker has it when it is in order.
pub(crate) fn user(name: &str) -> User {
    User {
        name: name.to_owned(),
        password_hash: password_hash(b"salt", name),
        tags: Vec::new(),
        permission: serde_json::from_value(json!({"configure": ".*", "write": ".*", "read": ".*"})).unwrap(),
    }
}

/// A quorum queue with members on these nodes.
pub(crate) fn quorum_queue(name: &str, ordinals: &[i32]) -> Queue {
    let members: Vec<String> = ordinals.iter().map(|ordinal| node(*ordinal)).collect();
    Queue {
        vhost: "temporal".to_owned(),
        name: name.to_owned(),
        kind: "quorum".to_owned(),
        node: members.first().cloned(),
        online: members.clone(),
        members,
        durable: true,
        ..Queue::default()
    }
}

/// A durable classic queue on this node.
pub(crate) fn classic_queue(name: &str, ordinal: i32) -> Queue {
    Queue {
        vhost: "temporal".to_owned(),
        name: name.to_owned(),
        kind: "classic".to_owned(),
        node: Some(node(ordinal)),
        durable: true,
        ..Queue::default()
    }
}

/// The same with a consumer.
pub(crate) fn consumed_queue(name: &str, ordinal: i32) -> Queue {
    let details = serde_json::from_value(json!({"consumer_details": [{}]})).unwrap();
    Queue { details: Some(details), ..classic_queue(name, ordinal) }
}

/// The desired objects.
pub(crate) fn manifests(object: &MessageQueue, observed: &Observed) -> Vec<Manifest> {
    desire::desire(&View::new(object, observed), &defaults())
}

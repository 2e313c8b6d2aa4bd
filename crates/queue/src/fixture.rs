//! Message queues as tests want them: a cluster that is well, and what differs from it.

use serde_json::{Value, json};
use temporal_stack_common::{
    api::MessageQueue,
    condition::{CONFIG_HONOURED, Statement, reason},
    login::{Bound, Login},
    shared::Shared,
};

use crate::{
    cookie, names,
    observe::{Broker, BrokerPod, Embedded, Known, Observed, Source},
    rabbit::{Management, Node, Queue, User},
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> MessageQueue {
    serde_json::from_value(json!({
        "apiVersion": "temporal-stack.dev/v1alpha1",
        "kind": "MessageQueue",
        "metadata": {"name": "temporal", "namespace": "default", "uid": "0"},
        "spec": spec,
    }))
    .unwrap()
}

/// An object that wants so many nodes.
pub(crate) fn of_size(replicas: i32) -> MessageQueue {
    object(&json!({"provider": {"rabbitmq": {"replicas": replicas}}}))
}

/// The node with this ordinal.
pub(crate) fn node(ordinal: i32) -> String {
    names::node(&of_size(1), ordinal)
}

/// A cluster of which nothing has been made.
pub(crate) fn unmade(object: &MessageQueue) -> Embedded {
    Embedded {
        provider: object.spec.provider.rabbitmq.clone().unwrap_or_default(),
        cookies: cookie::decide(Vec::new(), None, None, None).cookies,
        logins: Vec::new(),
        rotation: None,
        restart: None,
        replicas: None,
        pods: Vec::new(),
        volumes: Vec::new(),
        members: None,
        service: None,
        broker: Broker::Absent,
    }
}

/// A cluster with so many nodes, all of them well.
pub(crate) fn well(object: &MessageQueue, nodes: i32) -> Embedded {
    let member = |ordinal| Node { name: names::node(object, ordinal), running: true, ..Node::default() };
    Embedded {
        cookies: Shared { made: vec![cookie::made(1)], next: None },
        logins: vec![login(1, "temporal_a")],
        replicas: Some(nodes),
        pods: (0..nodes).map(|ordinal| pod(object, ordinal)).collect(),
        volumes: (0..nodes).collect(),
        members: Some((0..nodes).map(|ordinal| names::node(object, ordinal)).collect()),
        service: Some("10.96.0.1".to_owned()),
        broker: Broker::Known(Box::new(Known {
            management: Management::new(
                &temporal_stack_common::http::Client::new(),
                "10.244.0.1",
                "administrator",
                "secret",
            ),
            version: "4.0.5".to_owned(),
            nodes: (0..nodes).map(member).collect(),
            critical: Vec::new(),
            queues: Vec::new(),
            default_queue_type: Some("quorum".to_owned()),
            users: vec![user("temporal_a")],
            connections: 0,
            leaving: Vec::new(),
            moves: Vec::new(),
            features: Vec::new(),
        })),
        ..unmade(object)
    }
}

/// What the cluster said, to change it.
pub(crate) fn known(embedded: &mut Embedded) -> &mut Known {
    match &mut embedded.broker {
        Broker::Known(known) => known,
        Broker::Absent | Broker::Silent(_) => panic!("the cluster cannot be asked"),
    }
}

/// A pod that is ready.
pub(crate) fn pod(object: &MessageQueue, ordinal: i32) -> BrokerPod {
    BrokerPod {
        name: names::pod(object, ordinal),
        ready: true,
        preparing: false,
        cookie: Some(1),
        ip: Some(format!("10.244.0.{ordinal}")),
    }
}

/// A login whose password is its name.
pub(crate) fn login(number: u32, username: &str) -> Login {
    Login { number, username: username.to_owned(), password: username.to_owned(), named: false, rotation: None }
}

/// A login as the broker has it when all is right.
pub(crate) fn user(name: &str) -> User {
    User {
        name: name.to_owned(),
        password_hash: crate::rabbit::password_hash(b"salt", name),
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

/// What a pass knows.
pub(crate) fn observed(embedded: Embedded) -> Observed {
    Observed {
        virtual_host: "temporal".to_owned(),
        honoured: Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, ""),
        obstacle: None,
        bound: embedded.logins.first().map(|login| Bound {
            number: Some(login.number),
            username: login.username.clone(),
            place: "temporal".to_owned(),
        }),
        source: Source::Embedded(Box::new(embedded)),
    }
}

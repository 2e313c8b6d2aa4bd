//! Answers of RabbitMQ 4.0.5.

use super::*;

/// An answer of RabbitMQ 4.0.5.
fn answer<T: DeserializeOwned>(text: &str) -> T {
    read(text.as_bytes()).unwrap()
}

#[test]
fn queue_of_each_type_is_parsed() {
    let queues: Vec<Queue> = read_list(include_bytes!("../../../fixtures/queues.json")).unwrap();
    let find = |kind: &str| queues.iter().find(|queue| queue.kind == kind).unwrap();
    assert_eq!((find("quorum").members.len(), find("quorum").online.len()), (3, 3));
    assert!(find("classic").durable && find("classic").members.is_empty());
    assert!(find("stream").members.is_empty());
    let details: Details = answer(include_str!("../../../fixtures/queue.json"));
    assert!(details.node.is_some());
}

#[test]
fn node_that_is_down_is_still_a_member() {
    let nodes: Vec<Node> = answer(include_str!("../../../fixtures/nodes-one-down.json"));
    assert_eq!(nodes.iter().map(|node| node.running).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn other_answers_are_parsed() {
    let critical: Critical = answer(include_str!("../../../fixtures/node-is-quorum-critical.json"));
    assert!(critical.queues.iter().any(|queue| queue.name == "quorum" && queue.virtual_host == "temporal"));
    let virtual_host: VirtualHost = answer(include_str!("../../../fixtures/vhost.json"));
    assert_eq!(virtual_host.queue_type(), "quorum");
    let user: User = answer(include_str!("../../../fixtures/user.json"));
    assert!(user.tags.is_empty() && !user.password_hash.is_empty());
    let permission: Permission = answer(include_str!("../../../fixtures/permissions.json"));
    assert!(permission.is_all());
    let features: Vec<Feature> = answer(include_str!("../../../fixtures/feature-flags.json"));
    assert!(!features.iter().any(Feature::is_waiting), "what is experimental does not wait");
    let connections: Vec<Value> = answer(include_str!("../../../fixtures/connections.json"));
    assert_eq!(connections.len(), 1);
    let parameters: Vec<Parameter> = answer(include_str!("../../../fixtures/global-parameters.json"));
    assert!(parameters.iter().any(|parameter| parameter.name == "temporal-stack-leaving"));
}

mod messages;

use serde_json::json;
use temporal_stack_common::{http, published::CREDENTIALS_PRIVATE};

use super::*;
use crate::{
    fixture::{
        classic_queue, cluster, consumed_queue, cookie, defaults, external, healthy, known, login, node, object,
        observed, pod, quorum_queue, sized, user,
    },
    observed::{BrokerPod, Embedded as Seen},
    rabbit::{Alarm, Details, Move, Queue as BrokerQueue},
};

/// What is decided about a cluster of so many nodes, after this change to what is seen of it.
fn decision(wanted: i32, nodes: i32, change: impl FnOnce(&mut Seen)) -> Decision<Queue> {
    let object = sized(wanted);
    let mut embedded = healthy(&object, nodes);
    change(&mut embedded);
    decide(&object, &cluster(embedded), &defaults())
}

/// The same after a change to what the broker answered.
fn answered(wanted: i32, nodes: i32, change: impl FnOnce(&mut Known)) -> Decision<Queue> {
    decision(wanted, nodes, |embedded| change(known(embedded)))
}

fn intent(decision: Decision<Queue>) -> Intent<Queue> {
    decision.intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

fn waiting(decision: Decision<Queue>) -> Option<Waiting> {
    intent(decision).waiting
}

fn reason_of(decision: Decision<Queue>) -> Option<&'static str> {
    waiting(decision).map(|waiting| waiting.reason.as_str())
}

fn actions(decision: Decision<Queue>) -> Vec<String> {
    intent(decision).actions.iter().map(ToString::to_string).collect()
}

fn grow(ordinal: i32) -> String {
    format!("grow quorum queues onto {}", node(ordinal))
}

fn shrink(ordinal: i32) -> String {
    format!("shrink quorum queues off {}", node(ordinal))
}

const REBALANCE: &str = "rebalance the leaders of queues";

#[test]
fn healthy_cluster_needs_no_action_and_waits_for_nothing() {
    let queues = || vec![quorum_queue("q", &[0, 1, 2]), classic_queue("c", 2)];
    let intent = intent(answered(3, 3, |known| known.queues = queues()));
    assert!(intent.actions.is_empty() && intent.waiting.is_none() && intent.restart == Gate::Open);
    assert_eq!(intent.look_again, Some(LOOK_EVERY));
}

#[test]
fn queue_without_a_url_is_skipped_and_reported() {
    let queues = || vec![quorum_queue("..", &[0]), quorum_queue("q", &[0, 1])];
    let decision = answered(3, 3, |known| known.queues = queues());
    assert!(decision.conditions.iter().any(|condition| condition.kind() == "QueuesReplicated"));
    assert_eq!(actions(decision), [grow(2), REBALANCE.to_owned()]);
}

#[test]
fn new_cluster_gets_virtual_host_and_login() {
    let decision = answered(1, 1, |known| {
        known.default_queue_type = None;
        known.users.clear();
    });
    let expected = ["create virtual host temporal", "set login temporal_a on virtual host temporal"];
    assert_eq!(actions(decision), expected);
}

#[test]
fn actions_go_to_the_node_that_answered_as_the_administrator() {
    let intent = intent(answered(1, 1, |known| known.users.clear()));
    let server = &intent.actions[0].server;
    assert_eq!(server.address(), "10.244.0.1:15672");
    assert_eq!(server.login(), Some((ADMINISTRATOR, "administrator-password")));
}

#[test]
fn login_with_more_power_than_it_needs_is_corrected() {
    let decision = answered(1, 1, |known| known.users[0].tags = vec!["administrator".to_owned()]);
    assert_eq!(actions(decision), ["set login temporal_a on virtual host temporal"]);
}

#[test]
fn rotation_waits_for_connections_of_the_next_login() {
    let decision = decision(1, 1, |embedded| {
        embedded.logins.push(login(2, "temporal_b"));
        known(embedded).connections_of_newest = 1;
    });
    assert!(decision.conditions.iter().any(|condition| condition.kind() == "RotationPending"));
    let intent = intent(decision);
    assert!(intent.actions.is_empty());
    assert_eq!(intent.look_again, Some(LOOK_SOON));
}

#[test]
fn joined_nodes_get_members_of_all_queues_and_leaders() {
    let decision = answered(3, 3, |known| known.queues = vec![quorum_queue("q", &[0])]);
    assert_eq!(actions(decision), [grow(1), grow(2), REBALANCE.to_owned()]);
}

#[test]
fn queue_gets_no_more_members_than_it_was_declared_for() {
    let declared = |size: u64| {
        let mut queue = quorum_queue("q", &[0]);
        queue.arguments.insert("x-quorum-initial-group-size".to_owned(), size.into());
        actions(answered(3, 3, |known| known.queues = vec![queue]))
    };
    assert_eq!(declared(2), [grow(1), REBALANCE.to_owned()]);
    assert!(declared(1).is_empty());
}

#[test]
fn one_blocked_leaver_blocks_all_others() {
    let stream = BrokerQueue {
        kind: "stream".to_owned(),
        details: Some(Details { members: vec![node(1)], ..Details::default() }),
        ..quorum_queue("s", &[])
    };
    let decision = answered(1, 3, |known| known.queues = vec![quorum_queue("q", &[0, 1]), stream]);
    assert!(actions(decision).is_empty());
}

#[test]
fn members_on_a_node_that_is_gone_are_removed_first() {
    let decision = answered(3, 3, |known| {
        known.nodes.pop();
        known.queues = vec![quorum_queue("q", &[0, 1, 2])];
    });
    assert_eq!(actions(decision), [shrink(2)]);
}

#[test]
fn queues_go_one_kind_after_the_other_before_a_node_leaves() {
    let actions = |queues| actions(answered(1, 3, |known| known.queues = queues));
    assert_eq!(actions(vec![quorum_queue("q", &[0, 1, 2]), classic_queue("c", 2)]), [shrink(2)]);
    let moving = vec![quorum_queue("q", &[0, 1]), classic_queue("c", 2), classic_queue("d", 0)];
    assert_eq!(actions(moving), ["move classic queue c of virtual host temporal"]);
    let clear = vec![quorum_queue("q", &[0, 1]), classic_queue("d", 0)];
    assert_eq!(actions(clear), [format!("note that {} must leave", node(2))]);
}

#[test]
fn queues_are_moved_to_a_ready_node_that_stays() {
    let decision = decision(1, 3, |embedded| {
        embedded.pods[0].ip = Some("10.244.9.9".to_owned());
        known(embedded).queues = vec![classic_queue("c", 2)];
    });
    let intent = intent(decision);
    let Change::Move { queue, is_begun, host } = &intent.actions[0].change else { panic!("{}", intent.actions[0]) };
    assert_eq!((queue.from.as_str(), *is_begun, host.as_str()), (node(2).as_str(), false, "10.244.9.9"));
}

#[test]
fn queue_with_consumers_is_not_moved() {
    assert!(actions(answered(1, 3, |known| known.queues = vec![consumed_queue("c", 2)])).is_empty());
}

#[test]
fn begun_move_waits_for_consumers_too() {
    let note = || -> Move {
        let note = json!({
            "virtual_host": "temporal", "name": "c", "from": node(2), "arguments": {}, "bindings": [],
        });
        serde_json::from_value(note).unwrap()
    };
    let actions = |ordinal| {
        actions(answered(1, 3, |known| {
            known.notes.moves = vec![note()];
            known.queues = vec![consumed_queue("c", ordinal)];
        }))
    };
    assert!(actions(2).is_empty());
    assert_eq!(actions(0), ["move classic queue c of virtual host temporal"]);
}

#[test]
fn nothing_leaves_while_a_node_is_down() {
    let decision = answered(1, 3, |known| {
        known.nodes[0].running = false;
        known.queues = vec![quorum_queue("q", &[0, 1, 2])];
    });
    assert!(actions(decision).is_empty());
}

#[test]
fn leave_that_is_no_longer_wanted_is_revoked() {
    let decision = answered(3, 3, |known| {
        known.notes.leaving = vec![node(2)];
        known.users = vec![user("temporal_a")];
    });
    assert_eq!(actions(decision), ["note that no node must leave"]);
}

#[test]
fn published_cookie_is_reported_without_its_value() {
    let condition = |value: &str| {
        let decision = decision(1, 1, |embedded| embedded.cookies = vec![cookie(1, value, None)]);
        let condition = decision.conditions.iter().find(|condition| condition.kind() == CREDENTIALS_PRIVATE);
        format!("{:?}", condition.unwrap())
    };
    let published = condition("c-is-for-cookie-thats-good-enough-for-me");
    assert!(published.contains("holds: false") && published.contains("PublishedCredential"), "{published}");
    for command in [
        "kubectl create secret generic rabbitmq-config -n default",
        "kubectl annotate messagequeue temporal -n default temporal-stack.dev/full-restart=",
    ] {
        assert!(published.contains(command), "{published}");
    }
    assert!(!published.contains("c-is-for-cookie") && condition("drawn").contains("holds: true"));
}

#[test]
fn alarm_names_the_node_and_the_limit_to_raise() {
    let memory = waiting(answered(3, 3, |known| known.nodes[1].mem_alarm = true)).unwrap();
    assert_eq!(memory.reason.as_str(), "MemoryAlarm");
    assert!(memory.message.contains(&node(1)) && memory.message.contains("limits.memory"), "{memory:?}");
    assert_eq!(reason_of(answered(3, 3, |known| known.nodes[2].disk_free_alarm = true)), Some("DiskAlarm"));
    let alarm = |resource: &str| Alarm { node: node(1), resource: resource.to_owned() };
    assert_eq!(reason_of(answered(3, 3, |known| known.alarms = vec![alarm("memory")])), Some("MemoryAlarm"));
    assert_eq!(reason_of(answered(3, 3, |known| known.alarms = vec![alarm("disk space")])), Some("DiskAlarm"));
}

#[test]
fn queue_that_blocks_a_scale_down_is_named() {
    let blocked = waiting(answered(1, 3, |known| known.queues = vec![consumed_queue("orders", 2)])).unwrap();
    assert_eq!(blocked.reason.as_str(), "ScaleDownBlocked");
    assert!(blocked.message.contains("orders on virtual host temporal"), "{blocked:?}");
}

#[test]
fn queue_without_a_majority_is_named() {
    let queue = BrokerQueue { online: vec![node(0)], ..quorum_queue("orders", &[0, 1, 2]) };
    let unavailable = waiting(answered(3, 3, |known| known.queues = vec![queue])).unwrap();
    assert_eq!(unavailable.reason.as_str(), "QueuesUnavailable");
    assert!(unavailable.message.contains("orders"), "{unavailable:?}");
}

/// Pods of which so many prepare their start for long, and the rest wait for them.
fn blank_pods(blank: i32) -> impl FnOnce(&mut Seen) {
    move |embedded| {
        let preparing = |ordinal| (ordinal < blank).then_some(60);
        let pod = |ordinal| BrokerPod { is_ready: false, preparing: preparing(ordinal), ..pod(ordinal) };
        (embedded.broker, embedded.pods) = (Broker::Absent, (0..3).map(pod).collect());
    }
}

#[test]
fn nodes_without_data_name_the_list_to_delete() {
    let waiting = waiting(decision(3, 3, blank_pods(3))).unwrap();
    assert_eq!(waiting.reason.as_str(), "NoRunningMember");
    assert!(waiting.message.contains("ConfigMap/temporal-messagequeue-members"), "{waiting:?}");
    assert_eq!(reason_of(decision(3, 3, blank_pods(0))), Some("ChildrenNotReady"));
}

fn silent(failure: Failure) -> Decision<Queue> {
    decision(1, 1, |embedded| embedded.broker = Broker::Silent(failure))
}

fn refused() -> Failure {
    Failure::LoginRefused { address: "10.244.0.1:15672".to_owned(), username: ADMINISTRATOR.to_owned() }
}

fn unreachable() -> Failure {
    let (address, cause) = ("10.244.0.1:15672".to_owned(), "connection refused".to_owned());
    Failure::Http(http::Failure::Unreachable { address, cause })
}

#[test]
fn silent_broker_is_waited_for_and_its_refusal_stalls() {
    assert_eq!(reason_of(silent(unreachable())), Some("BrokerUnreachable"));
    assert_eq!(silent(refused()).intent.err().unwrap().reason, reason::ADMINISTRATOR_REFUSED);
}

#[test]
fn proxy_of_a_mesh_is_not_taken_for_the_broker() {
    let (address, request) = ("10.244.0.1:15672".to_owned(), "GET /api/queues".to_owned());
    let starting = http::Failure::Starting { address: address.clone(), request: request.clone(), status: 502 };
    assert_eq!(reason_of(silent(Failure::Http(starting))), Some("ChildrenNotReady"));
    let denied = waiting(silent(Failure::Http(http::Failure::RefusedByMesh { address, request }))).unwrap();
    assert_eq!(denied.reason, reason::REFUSED_BY_MESH);
    assert!(denied.message.contains("AuthorizationPolicy"), "{denied:?}");
}

#[test]
fn external_secret_is_probed_and_a_missing_one_stalls() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let stalled = decide(&object, &external(None), &defaults()).intent.err().unwrap();
    assert_eq!(stalled.reason, reason::SECRET_MISSING);
    let keys = [("host", "mq"), ("username", "u"), ("password", "p")];
    let intent = intent(decide(&object, &external(Some(&keys)), &defaults()));
    assert!(intent.probe.is_some_and(|probe| probe.is_external) && intent.waiting.is_none());
    assert!(intent.look_again.is_none());
}

#[test]
fn broker_elsewhere_cannot_be_suspended() {
    let suspended = decision_of(&object(&json!({"suspend": true})), &observed());
    assert!(suspended.suspension.is_some() && suspended.intent.is_ok());
    let object = object(&json!({"suspend": true, "provider": {"external": {"secretName": "theirs"}}}));
    let refused = decision_of(&object, &external(None));
    assert_eq!((refused.intent.err().unwrap().reason.as_str(), refused.suspension), ("InvalidSpec", None));
}

#[test]
fn suspended_cluster_comes_back_with_all_of_its_members() {
    let stopped = |wanted: i32| {
        decision(wanted, 3, |embedded| {
            (embedded.replicas, embedded.broker, embedded.pods) = (Some(0), Broker::Absent, Vec::new());
        })
    };
    for (wanted, replicas) in [(1, 3), (3, 3), (5, 5)] {
        let manifests = intent(stopped(wanted)).manifests;
        let set = manifests.iter().find(|manifest| manifest.resource.kind == "StatefulSet").unwrap();
        assert_eq!(set.object["spec"]["replicas"], replicas, "{wanted}");
        let members = manifests.iter().find(|manifest| manifest.name().ends_with("members")).unwrap();
        assert_eq!(members.object["data"]["members"].as_str().unwrap().lines().count(), 3, "a new node joins these");
    }
}

fn decision_of(object: &MessageQueue, observed: &Observed) -> Decision<Queue> {
    decide(object, observed, &defaults())
}

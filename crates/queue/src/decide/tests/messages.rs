//! Every message of this crate that a condition can have, in one snapshot: reviewing them is reading them as an operator would.

use temporal_stack_common::{
    default_source::DefaultSource,
    manifest::secret,
    shared::Made,
    testkit::{distinct, texts, verdict_text},
};

use super::*;
use crate::{amqp, settings::COOKIE, verify::verdict_of};

#[test]
fn messages_are_as_reviewed() {
    let decisions = [specs(), cookies(), clusters(), blocked()].into_iter().flatten();
    let verdicts =
        failures().into_iter().map(|(failure, is_external)| verdict_text(&verdict_of(&failure, is_external)));
    insta::assert_snapshot!(distinct(decisions.flat_map(|decision| texts(&decision)).chain(verdicts)));
}

/// Specs that cannot work, and Secrets of brokers elsewhere.
fn specs() -> Vec<Decision<Queue>> {
    let of_spec = |spec, observed| decide(&object(&spec), &observed, &defaults());
    let elsewhere = |uri: &str| {
        let spec = json!({"virtualHost": "v", "provider": {"external": {"secretName": "s"}}});
        of_spec(spec, external(Some(&[("uri", uri)])))
    };
    let configured = |lines: &str| of_spec(json!({"provider": {"rabbitmq": {"additionalConfig": lines}}}), observed());
    vec![
        of_spec(json!({"provider": {"rabbitmq": {"replicas": 2}}}), observed()),
        of_spec(json!({"virtualHost": "/"}), observed()),
        of_spec(json!({"provider": {"rabbitmq": {}, "external": {"secretName": "s"}}}), external(None)),
        of_spec(json!({"provider": {"external": {"secretName": "s"}}}), external(None)),
        configured("channel_max 1\nchannel max = 1\nchannel_max ="),
        configured("default_user = x\nmqtt.listeners.tcp.default = 1\nheartbeat = 60s\nconnection_max = unlimited"),
        configured("vm_memory_high_watermark.relative = 40%\nreverse_dns_lookups = yes\nconsumer_timeout = infinity"),
        elsewhere("http://u:p@h"),
        elsewhere("amqps://u:p@h"),
        elsewhere("amqp://u:p@/v"),
        elsewhere(&format!("amqp://u:p@h/{}", "v".repeat(256))),
        elsewhere("amqp://u:p@h/v"),
    ]
}

/// Users' cookies, and what becomes of them.
fn cookies() -> Vec<Decision<Queue>> {
    let configured = |value: &str, made: Vec<Made>| {
        let config = secret("rabbitmq-config".to_owned(), &[(COOKIE, value)]);
        let cluster = cluster(Seen { cookies: made, ..Seen::default() });
        decide(&sized(1), &Observed { config: Some(config), ..cluster }, &defaults())
    };
    let claimed = |default_source| decide(&sized(1), &Observed { default_source, ..observed() }, &defaults());
    let published = "c-is-for-cookie-thats-good-enough-for-me";
    let rejected = ["", "a b", "kæks", &"x".repeat(256), published, "fine"].map(|value| configured(value, Vec::new()));
    let later = [
        configured("other", vec![cookie(1, "cookie", None)]),
        claimed(DefaultSource::NotUsed(Some("MessageQueue/jobs".to_owned()))),
        claimed(DefaultSource::Shared("MessageQueue/jobs".to_owned())),
        decision(1, 1, |embedded| embedded.cookies.push(cookie(2, "new", Some("may")))),
        decision(1, 1, |embedded| embedded.cookies = vec![cookie(1, published, None)]),
        decision(1, 1, |embedded| (embedded.cookies, embedded.cookie_in_use) = (Vec::new(), Some(1))),
    ];
    rejected.into_iter().chain(later).collect()
}

/// Clusters that are starting, in trouble, or changing their size.
fn clusters() -> Vec<Decision<Queue>> {
    let unavailable = BrokerQueue { online: vec![node(0)], ..quorum_queue("orders", &[0, 1, 2]) };
    vec![
        decide(&sized(1), &observed(), &defaults()),
        silent(refused()),
        silent(unreachable()),
        decision(3, 3, blank_pods(3)),
        decision(3, 3, blank_pods(1)),
        decision(1, 1, |embedded| embedded.logins.clear()),
        answered(1, 1, |known| known.default_queue_type = Some("classic".to_owned())),
        answered(3, 3, |known| known.queues = vec![quorum_queue("..", &[0, 1, 2])]),
        answered(3, 3, |known| known.nodes[1].mem_alarm = true),
        answered(3, 3, |known| known.nodes[1].disk_free_alarm = true),
        answered(3, 3, |known| known.nodes[1].running = false),
        answered(3, 3, |known| known.nodes[1].partitions = vec![node(2)]),
        answered(3, 3, |known| drop(known.at_minimum.insert("temporal-messagequeue-1".to_owned(), None))),
        decision(3, 3, |embedded| embedded.pods[1].is_ready = false),
        answered(3, 3, |known| known.queues = vec![unavailable]),
        answered(3, 1, |_| ()),
        answered(1, 3, |_| ()),
        answered(1, 3, |known| known.nodes[0].running = false),
        answered(1, 2, |_| ()),
    ]
}

/// Queues that keep a node from leaving.
fn blocked() -> Vec<Decision<Queue>> {
    let by = |change: fn(&mut BrokerQueue)| {
        let mut queue = BrokerQueue { details: Some(Details::default()), ..classic_queue("orders", 2) };
        change(&mut queue);
        answered(1, 3, |known| known.queues = vec![queue])
    };
    let large = || Some(Details { messages: 1, message_bytes: 2 << 20, ..Details::default() });
    vec![
        by(|queue| queue.name = ".".to_owned()),
        by(|queue| queue.kind = "stream".to_owned()),
        by(|queue| queue.auto_delete = true),
        by(|queue| queue.messages_unacknowledged = 1),
        by(|queue| _ = queue.arguments.insert("x-single-active-consumer".to_owned(), true.into())),
        answered(1, 3, |known| known.queues = vec![consumed_queue("orders", 2)]),
        answered(1, 3, |known| {
            known.queues = vec![BrokerQueue { details: large(), ..classic_queue("orders", 2) }];
        }),
    ]
}

/// Each failure of a verification of a broker elsewhere; and one of a broker of the controller's own.
fn failures() -> Vec<(amqp::Failure, bool)> {
    let part = |text: &str| text.to_owned();
    let address = || part("mq:5672");
    vec![
        (amqp::Failure::LoginRefused { address: address(), username: part("app") }, true),
        (amqp::Failure::NoVirtualHost { address: address(), username: part("app"), virtual_host: part("v") }, true),
        (amqp::Failure::Unreachable { address: address(), cause: part("no route to host") }, true),
        (amqp::Failure::Slow { address: address(), what: "open a connection" }, true),
        (amqp::Failure::Broker { address: address(), what: "accept a message", cause: part("busy"), code: 0 }, true),
        (amqp::Failure::Lost { address: address() }, true),
        (amqp::Failure::Lost { address: address() }, false),
    ]
}

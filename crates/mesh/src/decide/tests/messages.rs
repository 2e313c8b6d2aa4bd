//! The messages that a condition can have, in one snapshot: reviewing them is reading them as an operator would.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use temporal_stack_common::testkit::{distinct, texts};

use super::{steps::Steps, *};
use crate::traffic::{Leaf, Report};

/// Situations, each with the spec that asks for something else.
fn situations() -> Vec<(Value, Observed)> {
    let mut all: Vec<(Value, Observed)> = Vec::new();
    let mut add = |spec: Value, observed: Observed| all.push((spec, observed));
    add(json!({}), observed());
    add(json!({}), with_linkerd(|linkerd| *linkerd = Linkerd { is_absent: true, ..Linkerd::default() }));
    add(json!({}), with_linkerd(|linkerd| linkerd.missing_kinds = vec!["servers.policy.linkerd.io"]));
    add(json!({}), with_linkerd(|linkerd| linkerd.injector = Elsewhere::Missing));
    add(json!({}), with_linkerd(|linkerd| linkerd.planes = Some(Vec::new())));
    add(json!({}), with_linkerd(|linkerd| linkerd.planes = None));
    add(json!({}), with_linkerd(|linkerd| linkerd.anchors = Elsewhere::Missing));
    add(json!({}), with_linkerd(|linkerd| linkerd.anchors = Elsewhere::There(anchors("2026-12-10T00:00:00Z"))));
    add(json!({}), with_linkerd(|linkerd| linkerd.issuer = Elsewhere::There(Some(expires("2026-11-01T00:00:00Z")))));
    add(json!({}), with_linkerd(|linkerd| linkerd.webhooks[0].1 = expires("2026-12-10T00:00:00Z")));
    add(json!({}), with_linkerd(|linkerd| linkerd.webhooks[0].1 = expires("2026-11-01T00:00:00Z")));
    for issued in ["2026-11-29T14:00:00Z", "2026-11-28T14:00:00Z"] {
        let issued: Timestamp = issued.parse().unwrap();
        let leaf = Leaf::new(Some(issued), issued + SignedDuration::from_hours(24));
        let leaves = vec![("temporal-postgresdatabase-0".to_owned(), leaf)];
        let report = Report { leaves, is_first: false, read: 1, targets: 1, ..Report::default() };
        add(json!({}), Observed { traffic: Some(Arc::new(report)), ..observed() });
    }
    for version in ["stable-2.11.5", "stable-2.22.0", "acme-nightly"] {
        let of = |linkerd: &mut Linkerd| {
            linkerd.config = Elsewhere::Unknown;
            linkerd.planes.iter_mut().flatten().for_each(|plane| plane.version = Some(version.to_owned()));
        };
        add(json!({}), with_linkerd(of));
    }
    add(json!({}), Observed { namespace: Elsewhere::Unknown, ..observed() });
    let mut elder = observed();
    elder.siblings.elder = Some("first".to_owned());
    add(json!({}), elder);
    add(json!({}), with_pods(ComponentKind::PostgresDatabase, &[plain_pod("temporal-postgresdatabase-0", None)]));
    add(automatic(), with_pods(ComponentKind::PostgresDatabase, &[plain_pod("a", None)]));
    let legacy = Pod { proxy: Proxy::Container, ..pod("a") };
    add(json!({}), with_pods(ComponentKind::PostgresDatabase, &[legacy]));
    add(json!({"components": [{"kind": "MessageQueue", "name": "q"}]}), observed());
    add(json!({}), Observed { strangers: vec!["shop-0".to_owned()], ..observed() });
    add(json!({"defaultInboundPolicy": "deny"}), observed());
    let settled = Steps::settled(observed(), &json!({"policy": "Enforce"})).observed;
    let mut lost = settled.clone();
    lost.policies.own.retain(|own| own.kind != "MeshTLSAuthentication");
    let mut unlisted = settled.clone();
    unlisted.policies.is_hidden = true;
    let mut incomplete = settled.clone();
    incomplete.linkerd.missing_kinds = vec!["networkauthentications.policy.linkerd.io"];
    let mut late = settled.clone();
    late.policies.own.retain(|own| own.name() != "temporal-temporal-krab");
    for observed in [settled, lost, unlisted, incomplete, late] {
        add(json!({"policy": "Enforce"}), observed);
    }
    for policy in ["Audit", "Enforce"] {
        add(json!({ "policy": policy }), observed());
        add(json!({ "policy": policy }), with_linkerd(|linkerd| linkerd.server_version = Some("v1beta1")));
        add(json!({ "policy": policy }), Observed { nodes: None, ..observed() });
    }
    all
}

#[test]
fn messages_are_as_reviewed() {
    let decisions = situations().into_iter().map(|(spec, observed)| decision(&spec, &observed));
    insta::assert_snapshot!(distinct(decisions.flat_map(|decision| texts(&decision))));
}

use serde_json::json;

use super::*;
use crate::{
    fixture::{self, of_size, well},
    observe::Surveyed,
    survey::{Impossible, Short, Survey},
};

/// The reason and message, of whatever is waited or asked for.
fn said(object: &IpfsCluster, embedded: Embedded) -> (&'static str, String) {
    match progress(object, &fixture::observed(embedded)) {
        Progress::Settled => ("", String::new()),
        Progress::Waiting { reason, message } | Progress::Stalled { reason, message } => (reason.as_str(), message),
    }
}

fn with(survey: Survey, object: &IpfsCluster, peers: i32) -> Embedded {
    Embedded { survey: Surveyed::Now(survey), ..well(object, peers) }
}

#[test]
fn peers_that_see_each_other_are_settled() {
    let object = of_size(3);
    assert_eq!(said(&object, well(&object, 3)).0, "");
}

#[test]
fn factors_that_cannot_be_met_are_the_users_to_correct() {
    for (min, max, remedy) in
        [(3, 2, "set the first to 2 or less"), (4, 4, "spec.replicas to 4"), (-1, 2, "both to -1")]
    {
        let object = fixture::object(&json!({"replicas": 3, "replication": {"min": min, "max": max}}));
        let (reason, message) = said(&object, well(&object, 3));
        assert_eq!(reason, "InvalidSpec");
        assert!(message.starts_with("spec.replication") && message.contains(remedy), "{message}");
    }
}

#[test]
fn a_peer_that_does_not_answer_is_named_with_what_happened() {
    let object = of_size(3);
    let mut embedded = well(&object, 3);
    embedded.peers[1].seen = Err("Kubo: connection refused".to_owned());
    let (reason, message) = said(&object, embedded);
    assert_eq!(reason, "PeerUnreachable");
    assert!(message.contains("temporal-ipfscluster-1") && message.contains("connection refused"), "{message}");
}

#[test]
fn peers_that_do_not_see_each_other_are_named_with_the_port() {
    let object = of_size(3);
    let mut embedded = well(&object, 3);
    fixture::seen(&mut embedded, 2).sees.remove(0);
    let (reason, message) = said(&object, embedded);
    assert_eq!(reason, "NotConnected");
    assert!(message.contains("IPFS Cluster of temporal-ipfscluster-2 does not see that of temporal-ipfscluster-0"));
    assert!(message.contains("port 9096"), "{message}");

    let mut embedded = well(&object, 3);
    fixture::seen(&mut embedded, 0).connected.clear();
    assert!(said(&object, embedded).1.contains("Kubo of temporal-ipfscluster-0"));
}

#[test]
fn a_pin_that_wants_more_copies_than_peers_would_be_left_keeps_them_from_leaving() {
    let object = of_size(2);
    let impossible = Impossible { count: 2, examples: vec!["a".to_owned()], highest: 3 };
    let short = Short { count: 2, examples: vec!["a".to_owned()] };
    let (reason, message) = said(&object, with(Survey { short, impossible, ..Survey::default() }, &object, 3));
    assert_eq!(reason, "NotEnoughPeers");
    assert!(
        message.contains("2 pins have a replication minimum that 2 peers cannot hold, up to 3: a; lower"),
        "{message}"
    );
}

#[test]
fn peers_leave_when_nothing_would_be_short_and_they_have_no_clients() {
    let object = of_size(2);
    let short = Short { count: 1, examples: vec!["a".to_owned()] };
    let embedded = with(Survey { pins: 10, short, ..Survey::default() }, &object, 3);
    assert_eq!(scale::replicas(&object, &embedded), 3);
    assert_eq!(said(&object, embedded).0, "Scaling");

    let mut embedded = with(Survey { pins: 10, ..Survey::default() }, &object, 3);
    assert_eq!(scale::replicas(&object, &embedded), 3);
    embedded.pods[2].serves = false;
    assert_eq!(scale::replicas(&object, &embedded), 2);
}

#[test]
fn what_was_found_some_time_ago_lets_nobody_leave_or_restart() {
    let object = of_size(2);
    let mut embedded = well(&object, 3);
    embedded.pods[2].serves = false;
    embedded.survey = Surveyed::Before(Survey::default());
    assert_eq!(scale::replicas(&object, &embedded), 3);
    let object = of_size(3);
    assert!(matches!(scale::restart_gate(&object, &embedded), temporal_stack_common::component::Gate::Closed(_)));
}

#[test]
fn after_a_full_stop_all_come_back_that_had_not_left() {
    let object = of_size(2);
    let mut embedded = well(&object, 0);
    embedded.replicas = Some(0);
    embedded.listed = 3;
    assert_eq!(scale::replicas(&object, &embedded), 3);
}

#[test]
fn a_peer_restarts_when_all_others_have_what_it_has() {
    use temporal_stack_common::component::Gate;
    let object = of_size(3);
    let gate = |embedded: &Embedded| scale::restart_gate(&object, embedded);
    assert_eq!(gate(&well(&object, 3)), Gate::Open);
    let short = Short { count: 1, examples: vec!["a".to_owned()] };
    assert!(matches!(gate(&with(Survey { pins: 10, short, ..Survey::default() }, &object, 3)), Gate::Closed(_)));
    let mut embedded = well(&object, 3);
    embedded.pods[0].ready = false;
    assert!(matches!(gate(&embedded), Gate::Closed(_)));
    // Half-way through an upgrade they cannot see each other, and waiting for that would be for ever.
    let mut embedded = well(&object, 3);
    fixture::seen(&mut embedded, 0).rpc_protocol = "/ipfscluster/2.0/rpc".to_owned();
    assert_eq!(gate(&embedded), Gate::Open);
}

#[test]
fn the_longest_name_has_hosts_that_dns_can_hold() {
    let mut object = of_size(3);
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    assert_eq!(invalid(&object), None);
}

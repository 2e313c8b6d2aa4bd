use temporal_stack_common::condition::{Reason, dated};

use super::*;
use crate::{
    fixture::{self, healthy, of_size, report, with_survey},
    observed::Embedded,
    survey::{Lacking, ShortPins, Survey, Unlisted},
};

/// Status and reason of a condition.
fn condition(kind: &str, wanted: i32, embedded: Embedded) -> (String, String) {
    let conditions = fixture::decision(&of_size(wanted), embedded).conditions;
    let conditions = dated(conditions, &[], None, k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    let found = conditions.into_iter().find(|condition| condition.type_ == kind).unwrap();
    (found.status, found.reason)
}

fn expect(kind: &str, wanted: i32, embedded: Embedded, status: &str, reason: Reason) {
    assert_eq!(condition(kind, wanted, embedded), (status.to_owned(), reason.as_str().to_owned()));
}

fn failed(attempts: u32) -> FailedCopy {
    FailedCopy {
        cid: "a".to_owned(),
        error: "context deadline exceeded".to_owned(),
        attempts,
        is_lost: false,
        is_removal: false,
        is_due: false,
    }
}

#[test]
fn failed_copies_are_pin_errors() {
    let mut embedded = healthy(&of_size(3), 3);
    let copies = &mut report(&mut embedded, 0).copies;
    copies.errors = 1;
    copies.failed = vec![failed(2)];
    expect(PINS_HEALTHY, 3, embedded, "False", reason::PIN_ERRORS);
}

#[test]
fn pins_with_too_few_copies_are_under_replicated() {
    let embedded = || {
        let short = ShortPins { count: 2, examples: vec!["a".to_owned(), "b".to_owned()] };
        let survey = Survey { pins: 5, short, ..Survey::default() };
        Embedded { pinset: Pinset::Earlier(survey), ..healthy(&of_size(3), 3) }
    };
    expect(PINS_HEALTHY, 3, embedded(), "False", reason::UNDER_REPLICATED);
    let mut copying = embedded();
    report(&mut copying, 0).copies.queued = 2;
    expect(PINS_HEALTHY, 3, copying, "True", reason::PINNING);
    expect(PINS_HEALTHY, 3, healthy(&of_size(3), 3), "True", reason::FULLY_REPLICATED);
}

#[test]
fn pins_that_a_peer_lacks_are_unlisted() {
    let lacking = || Lacking { count: 1, cid: "a".to_owned(), peer: "12D3".to_owned() };
    for unlisted in [
        Unlisted { lost: lacking(), ..Unlisted::default() },
        Unlisted { stuck: lacking(), ..Unlisted::default() },
        Unlisted { doubtful: lacking(), ..Unlisted::default() },
    ] {
        let short = ShortPins { count: 2, examples: vec!["a".to_owned()] };
        let survey = Survey { pins: 5, unlisted, short, ..Survey::default() };
        let mut embedded = with_survey(healthy(&of_size(3), 3), survey);
        report(&mut embedded, 0).copies.queued = 2;
        expect(PINS_HEALTHY, 3, embedded, "False", reason::PINS_UNLISTED);
    }
}

#[test]
fn pins_and_space_of_a_silent_peer_are_unknown() {
    let silent = || {
        let mut embedded = healthy(&of_size(3), 3);
        report(&mut embedded, 0).copies.queued = 2;
        embedded.peers[1].report = Err("timeout".to_owned());
        Embedded { pinset: Pinset::Silent(1), ..embedded }
    };
    expect(PINS_HEALTHY, 3, silent(), "Unknown", reason::PEER_UNREACHABLE);
    expect(STORAGE_AVAILABLE, 3, silent(), "Unknown", reason::PEER_UNREACHABLE);
    let without_peers = Embedded { peers: Vec::new(), ..silent() };
    expect(STORAGE_AVAILABLE, 3, without_peers, "Unknown", reason::PEER_UNREACHABLE);
}

#[test]
fn full_volume_is_known_by_the_error_of_a_copy() {
    let mut embedded = healthy(&of_size(3), 3);
    report(&mut embedded, 1).copies.is_full = true;
    expect(STORAGE_AVAILABLE, 3, embedded, "False", reason::VOLUME_FULL);
    expect(STORAGE_AVAILABLE, 3, healthy(&of_size(3), 3), "True", reason::AS_EXPECTED);
}

#[test]
fn repository_near_its_limit_is_nearly_full() {
    let mut embedded = healthy(&of_size(2), 2);
    report(&mut embedded, 0).repository = 9 << 30;
    expect(STORAGE_AVAILABLE, 2, embedded, "False", reason::NEARLY_FULL);
}

#[test]
fn single_peer_is_connected_with_a_remark() {
    expect(PEERS_CONNECTED, 1, healthy(&of_size(1), 1), "True", reason::SINGLE_PEER);
    expect(PEERS_CONNECTED, 3, healthy(&of_size(3), 3), "True", reason::ALL_CONNECTED);
}

#[test]
fn fields_have_peers_pins_and_rounded_sizes() {
    let survey = Survey { pins: 1234, ..Survey::default() };
    let mut embedded = with_survey(healthy(&of_size(2), 2), survey);
    report(&mut embedded, 0).copies.queued = 3;
    let status = fixture::decision(&of_size(2), embedded).status;
    assert_eq!(status.pins, Some(Pins { total: 1200, queued: 3, pinning: 0, error: 0 }));
    assert_eq!((status.replicas, status.peers.len()), (Some(2), 2));
    assert!(status.peers.iter().all(|peer| peer.up));
    assert_eq!(status.repository_size.map(|size| size.0).as_deref(), Some("2000Ki"));
}

#[test]
fn numbers_are_rounded_above_a_thousand() {
    assert_eq!([0, 7, 999, 1000, 1234, 12_345, 999_999].map(round), [0, 7, 999, 1000, 1200, 12_000, 990_000]);
}

#[test]
fn sizes_have_two_digits() {
    let sizes = [0, 999, 10_240, 123_456, 5 << 30, 9_663_676_416].map(|bytes| size(bytes).0);
    assert_eq!(sizes, ["0", "990", "10Ki", "120Ki", "5100Mi", "9200Mi"]);
}

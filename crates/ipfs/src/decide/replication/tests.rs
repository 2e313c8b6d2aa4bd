use super::*;
use crate::{
    fixture::{self, healthy, of_size, report, with_survey},
    observed::{Embedded, Pinset},
    survey::{Impossible, Lacking, Relist, ShortPins, Survey, Unlisted},
};

fn actions_of(wanted: i32, embedded: Embedded) -> Vec<String> {
    let intent = fixture::intent(&of_size(wanted), embedded);
    intent.upkeep.iter().chain(&intent.actions).map(ToString::to_string).collect()
}

fn surveyed(peers: i32, survey: Survey) -> Embedded {
    with_survey(healthy(&of_size(peers), peers), survey)
}

fn to_raise() -> Survey {
    Survey { pins: 10, to_raise: 4, ..Survey::default() }
}

const NONE: [&str; 0] = [];

#[test]
fn healthy_peers_need_no_action() {
    assert_eq!(actions_of(3, healthy(&of_size(3), 3)), NONE);
}

#[test]
fn failed_copy_is_retried_when_due() {
    let failed = |cid: &str, is_due| FailedCopy {
        cid: cid.to_owned(),
        error: "timeout".to_owned(),
        attempts: 1,
        is_lost: false,
        is_removal: false,
        is_due,
    };
    let mut embedded = healthy(&of_size(3), 3);
    report(&mut embedded, 1).copies.failed = vec![failed("a", true), failed("b", false)];
    assert_eq!(actions_of(3, embedded), ["retry a on peer 1"]);
}

#[test]
fn short_pins_are_raised_before_peers_leave() {
    assert_eq!(actions_of(2, surveyed(5, to_raise())), ["raise the replication of 4 pins"]);
    assert_eq!(actions_of(5, surveyed(5, to_raise())), NONE);
}

#[test]
fn blocked_scale_down_raises_nothing() {
    let impossible = Impossible { count: 1, examples: vec!["a".to_owned()], highest: 3 };
    assert_eq!(actions_of(2, surveyed(5, Survey { impossible, ..to_raise() })), NONE);
    let mut embedded = surveyed(3, Survey { to_raise: 10, ..to_raise() });
    report(&mut embedded, 2).repository = 100 << 30;
    assert_eq!(actions_of(2, embedded), NONE);
}

#[test]
fn busy_peers_are_given_no_more_copies() {
    let mut embedded = surveyed(5, to_raise());
    report(&mut embedded, 0).copies.queued = BUSY;
    assert_eq!(actions_of(2, embedded), NONE);
}

#[test]
fn pins_are_restored_when_the_leaver_is_forgotten() {
    let embedded = || {
        let mut embedded = surveyed(2, Survey { pins: 10, to_restore: 3, ..Survey::default() });
        embedded.objects.identities = (0..3).map(fixture::identity).collect();
        embedded
    };
    let mut known = embedded();
    report(&mut known, 0).allocates_to.push(fixture::identity(2).cluster.id);
    assert_eq!(actions_of(2, known), NONE);
    assert_eq!(actions_of(2, embedded()), ["restore the replication of 3 pins"]);
    let waiting = fixture::intent(&of_size(2), embedded()).waiting;
    assert_eq!(waiting.map(|waiting| waiting.reason), Some(reason::RESTORING_PINS));
}

#[test]
fn nothing_is_restored_while_peers_leave() {
    let short = ShortPins { count: 1, examples: vec!["a".to_owned()] };
    assert_eq!(actions_of(2, surveyed(3, Survey { pins: 10, to_restore: 3, short, ..Survey::default() })), NONE);
}

/// A pin that the third peer lacks.
fn lost() -> Survey {
    let lacking = fixture::identity(2).cluster.id;
    let relist = vec![Relist { pin: std::sync::Arc::default(), lacking: vec![lacking.clone()] }];
    let lost = Lacking { count: 1, cid: "a".to_owned(), peer: lacking };
    Survey { pins: 10, relist, unlisted: Unlisted { lost, ..Unlisted::default() }, ..Survey::default() }
}

#[test]
fn lost_pin_is_written_again_without_a_doubt_about_ready() {
    let intent = fixture::intent(&of_size(3), surveyed(3, lost()));
    let [Action::Update(Update { peers, change: Change::Relist { pins, members }, total: 1 })] = &intent.upkeep[..]
    else {
        panic!("{:?}", intent.upkeep)
    };
    let ids: Vec<String> = (0..3).map(|ordinal| fixture::identity(ordinal).cluster.id).collect();
    assert_eq!((pins.len(), members, peers[2].to_string().as_str()), (1, &ids, "10.244.0.2:9094"));
    assert!(intent.actions.is_empty() && intent.waiting.is_none());
    // The floor is judged by copies, which are as they are.
    assert_eq!(intent.restart, temporal_stack_common::component::Gate::Open);
}

#[test]
fn lost_pin_is_written_before_peers_leave_but_not_while_a_leaver_is_known() {
    let survey = || Survey { to_raise: 4, ..lost() };
    let both = ["tell all peers again of 1 pin", "raise the replication of 4 pins"];
    assert_eq!(actions_of(2, surveyed(3, survey())), both);
    let mut left = surveyed(2, lost());
    left.objects.identities.push(fixture::identity(2));
    assert_eq!(actions_of(2, left), ["tell all peers again of 1 pin"]);
    let mut known = surveyed(2, lost());
    known.objects.identities.push(fixture::identity(2));
    report(&mut known, 0).visible_peers.push(fixture::identity(2).cluster.id);
    assert_eq!(actions_of(2, known), NONE);
}

#[test]
fn lost_pin_is_not_written_while_peers_are_not_connected_or_busy() {
    let changed = |change: fn(&mut Embedded)| {
        let mut embedded = surveyed(3, lost());
        change(&mut embedded);
        actions_of(3, embedded)
    };
    assert_eq!(changed(|embedded| report(embedded, 0).visible_peers.clear()), NONE);
    assert_eq!(changed(|embedded| report(embedded, 0).allocates_to.clear()), NONE);
    assert_eq!(changed(|embedded| report(embedded, 0).copies.queued = BUSY), NONE);
    assert_eq!(changed(|embedded| embedded.pinset = Pinset::Earlier(lost())), NONE);
}

#[test]
fn pin_that_may_have_been_removed_is_not_written() {
    let Survey { unlisted: Unlisted { lost, .. }, .. } = lost();
    let unlisted = Unlisted { doubtful: lost, ..Unlisted::default() };
    assert_eq!(actions_of(3, surveyed(3, Survey { pins: 10, unlisted, ..Survey::default() })), NONE);
}

#[test]
fn actions_carry_addresses_and_pins() {
    let raise = crate::survey::Raise { pin: std::sync::Arc::default(), copies: 2, user_allocations: Vec::new() };
    let survey = Survey { raise: vec![raise.clone()], ..to_raise() };
    let intent = fixture::intent(&of_size(2), surveyed(3, survey));
    let [Action::Update(Update { peers, change: Change::Raise(pins), .. })] = &intent.actions[..] else {
        panic!("{:?}", intent.actions)
    };
    assert_eq!(pins, &[raise]);
    let addresses: Vec<String> = peers.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.244.0.0:9094", "10.244.0.1:9094", "10.244.0.2:9094"]);
}

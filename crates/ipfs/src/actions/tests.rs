use super::*;
use crate::{
    fixture::{self, of_size, well},
    observe::{Errored, Surveyed},
    survey::{Impossible, Short, Survey},
};

fn told(object: &IpfsCluster, embedded: Embedded) -> Vec<String> {
    actions(object, &fixture::observed(embedded)).iter().map(ToString::to_string).collect()
}

fn with(survey: Survey, object: &IpfsCluster, peers: i32) -> Embedded {
    Embedded { survey: Surveyed::Now(survey), ..well(object, peers) }
}

#[test]
fn peers_that_are_as_they_should_be_are_told_nothing() {
    let object = of_size(3);
    assert!(told(&object, well(&object, 3)).is_empty());
}

#[test]
fn a_copy_that_failed_is_tried_again_when_it_is_time() {
    let object = of_size(3);
    let errored = |cid: &str, due| Errored {
        cid: cid.to_owned(),
        error: "timeout".to_owned(),
        attempts: 1,
        has_gone: false,
        is_removal: false,
        due,
    };
    let mut embedded = well(&object, 3);
    fixture::seen(&mut embedded, 1).troubles.errored = vec![errored("a", true), errored("b", false)];
    assert_eq!(told(&object, embedded), ["try a again on peer 1"]);
}

#[test]
fn before_peers_leave_pins_are_raised_that_would_be_short() {
    let object = of_size(2);
    let survey = Survey { pins: 10, to_raise: 4, ..Survey::default() };
    assert_eq!(told(&object, with(survey.clone(), &object, 5)), ["raise the replication of 4 pins"]);
    // Nobody is to leave.
    let object = of_size(5);
    assert!(told(&object, with(survey, &object, 5)).is_empty());
}

#[test]
fn nothing_is_raised_for_a_leave_that_is_refused() {
    let object = of_size(2);
    let impossible = Impossible { count: 1, examples: vec!["a".to_owned()], highest: 3 };
    let survey = Survey { pins: 10, to_raise: 4, impossible, ..Survey::default() };
    assert!(told(&object, with(survey, &object, 5)).is_empty());
    let mut embedded = with(Survey { pins: 10, to_raise: 10, ..Survey::default() }, &object, 3);
    fixture::seen(&mut embedded, 2).repository = 100 << 30;
    assert!(told(&object, embedded).is_empty());
}

#[test]
fn no_more_copies_are_asked_for_while_many_are_under_way() {
    let object = of_size(2);
    let mut embedded = with(Survey { pins: 10, to_raise: 4, ..Survey::default() }, &object, 5);
    fixture::seen(&mut embedded, 0).troubles.queued = BUSY;
    assert!(told(&object, embedded).is_empty());
}

#[test]
fn pins_are_restored_when_all_others_miss_who_has_left() {
    let object = of_size(2);
    let survey = Survey { pins: 10, to_restore: 3, ..Survey::default() };
    let mut embedded = with(survey, &object, 2);
    embedded.identities = (0..3).map(fixture::identity).collect();
    fixture::seen(&mut embedded, 0).allocates_to.push(fixture::identity(2).cluster.id);
    assert!(told(&object, embedded).is_empty());
    let survey = Survey { pins: 10, to_restore: 3, ..Survey::default() };
    let mut embedded = with(survey, &object, 2);
    embedded.identities = (0..3).map(fixture::identity).collect();
    assert_eq!(told(&object, embedded), ["restore the replication of 3 pins"]);
}

#[test]
fn nothing_is_restored_while_peers_are_to_leave() {
    let object = of_size(2);
    let short = Short { count: 1, examples: vec!["a".to_owned()] };
    let survey = Survey { pins: 10, to_restore: 3, short, ..Survey::default() };
    assert!(told(&object, with(survey, &object, 3)).is_empty());
}

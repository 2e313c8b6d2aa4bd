use super::*;
use crate::{
    fixture::{self, of_size, well},
    observe::Errored,
    survey::{Short, Survey},
};

fn said(statement: &Statement) -> String {
    format!("{statement:?}")
}

fn errored(cid: &str, error: &str, attempts: u32) -> Errored {
    Errored { cid: cid.to_owned(), error: error.to_owned(), attempts, has_gone: false, is_removal: false, due: false }
}

#[test]
fn copies_that_could_not_be_made_are_counted_with_cause_and_remedy() {
    let object = of_size(3);
    let mut embedded = well(&object, 3);
    let troubles = &mut fixture::seen(&mut embedded, 0).troubles;
    troubles.errors = 1;
    troubles.errored = vec![errored("a", "context deadline exceeded", 2)];
    let text = said(&healthy(&embedded));
    assert!(
        text.contains("PinErrors") && text.contains("1 copies could not be made or removed, of a: context deadline"),
        "{text}"
    );
    assert!(text.contains("they are tried again"), "{text}");

    fixture::seen(&mut embedded, 0).troubles.given_up = 1;
    let text = said(&healthy(&embedded));
    assert!(text.contains("were tried 5 times and wait for you"), "{text}");
}

#[test]
fn pins_with_too_few_copies_are_not_healthy_even_if_nothing_failed() {
    let object = of_size(3);
    let mut embedded = well(&object, 3);
    let short = Short { count: 2, examples: vec!["a".to_owned(), "b".to_owned()] };
    embedded.survey = Surveyed::Before(Survey { pins: 5, short, ..Survey::default() });
    let text = said(&healthy(&embedded));
    assert!(
        text.contains("BelowFloor") && text.contains("2 pins have fewer copies than the replication minimum"),
        "{text}"
    );
    fixture::seen(&mut embedded, 0).troubles.queued = 2;
    let text = said(&healthy(&embedded));
    assert!(text.contains("holds: true") && text.contains("2 copies are queued"), "{text}");
}

#[test]
fn what_a_silent_peer_has_is_unknown() {
    let object = of_size(3);
    let mut embedded = well(&object, 3);
    fixture::seen(&mut embedded, 0).troubles.queued = 2;
    embedded.peers[1].seen = Err("timeout".to_owned());
    embedded.survey = Surveyed::Not("temporal-ipfscluster-1 does not answer".to_owned());
    for statement in [healthy(&embedded), room(&object, &embedded)] {
        let text = said(&statement);
        assert!(text.contains("is_known: false") && text.contains("temporal-ipfscluster-1"), "{text}");
    }
    embedded.peers.clear();
    assert!(said(&room(&object, &embedded)).contains("is_known: false"));
}

#[test]
fn a_full_volume_is_known_by_the_words_of_what_failed() {
    let object = of_size(3);
    let mut embedded = well(&object, 3);
    assert!(said(&room(&object, &embedded)).contains("Enough"));
    let troubles = &mut fixture::seen(&mut embedded, 1).troubles;
    troubles.is_full = true;
    let text = said(&room(&object, &embedded));
    assert!(text.contains("DiskFull") && text.contains("temporal-ipfscluster-1"), "{text}");
}

#[test]
fn a_repository_near_its_limit_is_named() {
    let object = of_size(2);
    let mut embedded = well(&object, 2);
    fixture::seen(&mut embedded, 0).repository = 9 << 30;
    assert!(said(&room(&object, &embedded)).contains("NearlyFull"));
}

#[test]
fn a_single_peer_is_told_what_that_means() {
    let object = of_size(1);
    assert!(said(&connected(&object, &well(&object, 1))).contains("a restart is an outage"));
}

#[test]
fn numbers_are_exact_up_to_a_thousand_and_rounded_above() {
    assert_eq!([0, 7, 999, 1000, 1234, 12_345, 999_999].map(round), [0, 7, 999, 1000, 1200, 12_000, 990_000]);
}

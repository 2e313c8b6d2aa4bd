use temporal_stack_common::{api::Network, condition::Reason};

use super::*;
use crate::{
    decide::health,
    fixture::{self, claim, healthy, of_size, pod, report, shared_secret, with_survey},
    observed::{Embedded, Pinset},
    survey::ShortPins,
};

fn plan_of(wanted: i32, embedded: Embedded) -> (Scale, Option<Waiting>) {
    let (object, observed) = (of_size(wanted), fixture::observed(embedded));
    let view = fixture::view(&object, &observed);
    let scale = plan(&view, &health::assess(&view));
    let waiting = scale.waiting(&view);
    (scale, waiting)
}

fn size(wanted: i32, embedded: Embedded) -> (i32, i32) {
    let (scale, _) = plan_of(wanted, embedded);
    (scale.replicas, scale.peers)
}

fn reason(wanted: i32, embedded: Embedded) -> Option<Reason> {
    plan_of(wanted, embedded).1.map(|waiting| waiting.reason)
}

fn short() -> ShortPins {
    ShortPins { count: 1, examples: vec!["a".to_owned()] }
}

#[test]
fn set_scaled_by_hand_is_scaled_back() {
    let mut embedded = healthy(&of_size(3), 3);
    embedded.objects.replicas = Some(MOST_PEERS);
    embedded.objects.pods.extend((3..MOST_PEERS).map(pod));
    embedded.objects.volumes = (0..MOST_PEERS).map(|ordinal| Some(claim(ordinal))).collect();
    embedded.pinset = Pinset::Silent(3);
    assert_eq!(size(3, embedded), (3, 3));
}

#[test]
fn adopted_pod_beyond_the_replicas_changes_nothing() {
    let mut embedded = healthy(&of_size(1), 1);
    embedded.objects.surplus = [1, 31].map(pod).into();
    assert_eq!(size(1, embedded), (1, 1));
    let mut embedded = healthy(&of_size(1), 1);
    embedded.objects.shared.push(shared_secret(2, Network::Public));
    embedded.objects.surplus = vec![pod(1)];
    embedded.objects.pods[0].shared = Some(2);
    assert_eq!(size(1, embedded), (1, 1), "its secret is no evidence");
}

#[test]
fn full_stop_lasts_until_all_pods_have_ended() {
    let mut embedded = healthy(&of_size(2), 0);
    embedded.objects.shared.push(shared_secret(2, Network::Public));
    embedded.objects.listed = 2;
    embedded.objects.surplus = [0, 1].map(pod).into();
    assert_eq!(size(2, embedded).0, 0);
}

#[test]
fn leavers_stay_while_the_pins_are_unknown() {
    let mut embedded = healthy(&of_size(2), 3);
    embedded.pinset = Pinset::Failed("not all answer".to_owned());
    assert_eq!(size(2, embedded), (3, 3));
    let mut embedded = healthy(&of_size(2), 3);
    embedded.objects.pods[2].is_serving = false;
    embedded.pinset = Pinset::Earlier(Survey::default());
    assert_eq!(size(2, embedded), (3, 3));
}

#[test]
fn pin_with_too_high_a_minimum_blocks_the_scale_down() {
    let impossible = Impossible { count: 2, examples: vec!["a".to_owned()], highest: 3 };
    let survey = Survey { short: short(), impossible, ..Survey::default() };
    assert_eq!(reason(2, with_survey(healthy(&of_size(2), 3), survey)), Some(reason::SCALE_DOWN_BLOCKED));
}

#[test]
fn missing_space_blocks_the_scale_down() {
    let survey = Survey { pins: 10, to_raise: 10, ..Survey::default() };
    let mut embedded = with_survey(healthy(&of_size(2), 3), survey);
    report(&mut embedded, 2).repository = 100 << 30;
    assert_eq!(reason(2, embedded), Some(reason::INSUFFICIENT_STORAGE));
}

#[test]
fn leaver_leaves_without_short_pins_and_clients() {
    let embedded = || healthy(&of_size(2), 3);
    let survey = Survey { pins: 10, short: short(), ..Survey::default() };
    assert_eq!(size(2, with_survey(embedded(), survey)).0, 3);
    assert_eq!(size(2, embedded()).0, 3);
    assert_eq!(reason(2, embedded()), Some(reason::SCALING));
    let mut without_clients = embedded();
    without_clients.objects.pods[2].is_serving = false;
    assert_eq!(size(2, without_clients).0, 2);
}

#[test]
fn after_a_full_stop_all_peers_return() {
    let mut embedded = healthy(&of_size(2), 0);
    embedded.objects.replicas = Some(0);
    embedded.objects.listed = 3;
    assert_eq!(size(2, embedded).0, 3);
}

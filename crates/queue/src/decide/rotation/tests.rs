use temporal_stack_common::{default_source::DefaultSource, manifest};

use super::*;
use crate::{
    decide::view::View,
    fixture::{cluster, cookie, object},
    settings::PUBLISHED,
};

/// What the view concludes about the cookie.
struct Outcome {
    shared: Shared,
    unavailable: Option<Stalled>,
    honoured: String,
}

/// Decides by the value of the only cookie, if there is one, the user's, and the permission for a full restart.
fn outcome(made: Option<&str>, config: Option<&str>, permission: Option<&str>) -> Outcome {
    let made: Vec<Made> = made.map(|value| cookie(1, value, None)).into_iter().collect();
    let in_use = made.first().map(|made| made.number);
    outcome_of(made, in_use, config, permission, DefaultSource::Ours)
}

fn outcome_of(
    cookies: Vec<Made>,
    cookie_in_use: Option<u32>,
    config: Option<&str>,
    permission: Option<&str>,
    default_source: DefaultSource,
) -> Outcome {
    let mut observed = cluster(Embedded { cookies, cookie_in_use, ..Embedded::default() });
    observed.config = config.map(|cookie| manifest::secret(CONFIG.to_owned(), &[(COOKIE, cookie)]));
    observed.default_source = default_source;
    let object = permitted(permission);
    let view = View::new(&object, &observed);
    let embedded = view.provider.embedded().unwrap();
    Outcome {
        shared: embedded.cookies.shared.clone(),
        unavailable: embedded.cookies.unavailable.clone(),
        honoured: format!("{:?}", view.settings.honoured),
    }
}

fn permitted(permission: Option<&str>) -> MessageQueue {
    let mut object = object(&serde_json::json!({}));
    let annotations = permission.map(|permission| (FULL_RESTART.to_owned(), permission.to_owned()));
    object.metadata.annotations = Some(annotations.into_iter().collect());
    object
}

/// The value of the cookie that comes next.
fn next(outcome: &Outcome) -> Option<&str> {
    outcome.shared.next.as_ref()?.given.get(COOKIE).map(String::as_str)
}

#[test]
fn cookie_is_drawn_once_without_a_secret() {
    let first = outcome(None, None, None).shared.next.unwrap();
    assert_eq!((first.given.len(), first.drawn[0].key()), (0, COOKIE));
    assert!(outcome(Some("drawn"), None, None).shared.next.is_none());
}

#[test]
fn published_cookie_is_used_and_remarked() {
    let outcome = outcome(None, Some(PUBLISHED), None);
    assert_eq!(next(&outcome), Some(PUBLISHED));
    assert!(outcome.shared.next.as_ref().unwrap().drawn.is_empty());
    let honoured = &outcome.honoured;
    assert!(honoured.contains("published example value") && honoured.contains("Adapted"), "{honoured}");
    assert!(!honoured.contains(PUBLISHED));
}

#[test]
fn line_break_is_dropped_at_the_end_and_refused_within() {
    let cleaned = outcome(None, Some("abc\n"), None);
    assert_eq!(next(&cleaned), Some("abc"));
    assert!(cleaned.honoured.contains("is removed"));
    let refused = outcome(None, Some("a\nbc"), None);
    assert!(refused.shared.next.is_none());
    assert!(refused.unavailable.unwrap().message.contains("line break"));
}

#[test]
fn secret_of_another_queue_is_not_used_and_reported() {
    let default_source = DefaultSource::NotUsed(Some("MessageQueue/jobs".to_owned()));
    let outcome = outcome_of(vec![cookie(1, "old", None)], Some(1), None, Some("may"), default_source);
    assert!(outcome.shared.next.is_none());
    let honoured = &outcome.honoured;
    assert!(honoured.contains("Adapted") && honoured.contains("belongs to MessageQueue/jobs"), "{honoured}");
}

#[test]
fn edit_is_refused_until_a_full_restart_is_permitted() {
    let refused = outcome(Some("old"), Some("new"), None);
    assert!(refused.shared.next.is_none());
    assert!(refused.honoured.contains("Refused") && refused.honoured.contains(FULL_RESTART));
    let permitted = outcome(Some("old"), Some("new"), Some("may"));
    assert_eq!(next(&permitted), Some("new"));
    assert!(permitted.honoured.contains("AsWritten"));
}

#[test]
fn lost_cookie_that_nodes_have_stalls() {
    let lost = outcome_of(Vec::new(), Some(2), None, None, DefaultSource::Ours);
    assert!(lost.shared.next.is_none());
    let stalled = lost.unavailable.unwrap();
    assert_eq!(stalled.reason, reason::SECRET_INCOMPLETE);
    assert!(stalled.message.contains("Secret/temporal-messagequeue-cookie-2"), "{}", stalled.message);
}

#[test]
fn secret_deleted_or_unusable_later_changes_nothing() {
    assert!(outcome(Some("old"), None, Some("may")).shared.next.is_none());
    let unusable = outcome(Some("old"), Some(""), Some("may"));
    assert!(unusable.shared.next.is_none() && unusable.unavailable.is_none());
    assert!(unusable.honoured.contains("Refused"));
}

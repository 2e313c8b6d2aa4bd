//! The Erlang cookie: the secret that all nodes of a cluster share.
//!
//! It is taken from the user's Secret when the cluster is made, or drawn, and kept in a Secret of its own. A later edit is not
//! applied: nodes with another cookie cannot speak with the rest, so exchanging it takes a full stop and start, which the
//! user permits by an annotation. How that goes is told in [`shared`].

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    api::annotation::FULL_RESTART,
    claim::Claim,
    condition::{CONFIG_HONOURED, Statement, reason},
    config::{self, Key, Reading, Ruling},
    given,
    manifest::Draw,
    shared::{self, Decision, Made, Next, Shared},
};

/// The user's Secret.
pub(crate) const SOURCE: &str = "rabbitmq-config";
/// The key of the cookie, in the user's Secret and in ours.
pub(crate) const COOKIE: &str = "erlang-cookie";

/// What stands in the example that is published with the stack.
const PUBLISHED: &str = "c-is-for-cookie-thats-good-enough-for-me";
/// The cookie becomes an atom, and those have no more characters.
const LONGEST: usize = 255;

const TABLE: &[Key] = &[Key { name: COOKIE, rule }];

/// What came of the user's Secret.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The cookies.
    pub(crate) cookies: Shared,
    /// What became of the user's wish.
    pub(crate) honoured: Statement,
    /// Why no cookie can be made, if it is the user's to mend.
    pub(crate) unusable: Option<String>,
}

/// Decides by the cookies that were made, the number of the one that nodes have, the user's Secret, and the user's newest
/// permission for a full stop.
pub(crate) fn decide(
    made: Vec<Made>,
    in_use: Option<u32>,
    secret: Option<&Secret>,
    permission: Option<&str>,
) -> Outcome {
    let written = secret.map(given::texts);
    let mut reading = written.as_ref().map(|written| config::read(written, TABLE)).unwrap_or_default();
    let wish = reading.get(COOKIE).map(str::to_owned);
    let differs = |newest: &Made| wish.is_some() && newest.text(COOKIE) != wish.as_deref();
    let (next, unusable) = match shared::decide(&made, in_use, permission, differs) {
        Decision::Make(_) | Decision::Lost(_) if !reading.refused.is_empty() => {
            (None, Some(format!("Secret/{SOURCE}: {}", reading.refused.join("; "))))
        }
        Decision::Make(next) => (Some(filled(next, wish)), None),
        Decision::Lost(number) => (None, Some(lost(number))),
        Decision::Refused => {
            reading.refused.push(refusal());
            (None, None)
        }
        Decision::Keep => (None, None),
    };
    let honoured = if written.is_some() {
        statement(&reading)
    } else {
        let message = format!("there is no Secret/{SOURCE}; the cookie is the one in use, or drawn");
        Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, message)
    };
    Outcome { cookies: Shared { made, next }, honoured, unusable }
}

impl Outcome {
    /// Says for which queue of the namespace the user's Secret counts, where it is not this one alone.
    pub(crate) fn claimed(&mut self, claim: &Claim) {
        let remedy = "the cookie is the one in use, or drawn";
        let Some(remark) = claim.remark(&format!("Secret/{SOURCE}"), remedy) else { return };
        self.honoured = match claim {
            Claim::Theirs(_) => Statement::holds(CONFIG_HONOURED, reason::ADAPTED, remark),
            _ => self.honoured.clone().adapted(&remark),
        };
    }
}

/// With the user's cookie, or one that is drawn.
fn filled(next: Next, wish: Option<String>) -> Next {
    let drawn = if wish.is_some() { Vec::new() } else { vec![Draw::Letters(COOKIE)] };
    Next { given: wish.map(|wish| (COOKIE, wish)).into_iter().collect(), drawn, ..next }
}

fn statement(reading: &Reading) -> Statement {
    reading.statement(&format!("Secret/{SOURCE}"))
}

fn lost(number: u32) -> String {
    format!(
        "the Secret …-messagequeue-cookie-{number} has gone, and the nodes that run have its cookie; restore it, or permit one full stop and start with another cookie by a new value of the annotation {FULL_RESTART} on this object"
    )
}

fn refusal() -> String {
    format!(
        "{COOKIE} is another than the one in use, and is not applied: all nodes must have the same, so it takes a full stop and start. Set it back, or permit one stop by a new value of the annotation {FULL_RESTART} on this object"
    )
}

fn rule(cookie: &str) -> Ruling {
    let remedy = "write letters, digits and dashes, or leave the key out and one is drawn";
    if cookie.is_empty() {
        return Ruling::Refused(format!("is empty; {remedy}"));
    }
    if !cookie.chars().all(|c| c.is_ascii_graphic()) {
        return Ruling::Refused(format!("has a space or a character outside ASCII within; {remedy}"));
    }
    if cookie.len() > LONGEST {
        return Ruling::Refused(format!("has more than {LONGEST} characters; {remedy}"));
    }
    if cookie == PUBLISHED {
        return Ruling::Remarked(
            "is the published value of the example, which everybody knows; nobody but the nodes of this cluster should reach their ports 4369 and 25672"
                .to_owned(),
        );
    }
    Ruling::Honoured
}

/// A cookie that has been made, for tests.
#[cfg(test)]
pub(crate) fn made(number: u32) -> Made {
    made_with(number, &format!("cookie-{number}"), (number > 1).then_some("permitted"))
}

/// The same with a value, and the permission that it was made for.
#[cfg(test)]
pub(crate) fn made_with(number: u32, value: &str, permission: Option<&str>) -> Made {
    let secret = serde_json::from_value(serde_json::json!({
        "metadata": {
            "labels": {shared::NUMBER: number.to_string()},
            "annotations": permission.map(|permission| std::collections::BTreeMap::from([(FULL_RESTART, permission)])),
        },
        "data": {COOKIE: k8s_openapi::ByteString(value.as_bytes().to_vec())},
    }));
    Made::of(secret.unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    fn secret(cookie: &str) -> Secret {
        let data = BTreeMap::from([(COOKIE.to_owned(), ByteString(cookie.as_bytes().to_vec()))]);
        Secret { data: Some(data), ..Secret::default() }
    }

    fn made(value: &str, permission: Option<&str>) -> Vec<Made> {
        vec![made_with(1, value, permission)]
    }

    fn told(outcome: &Outcome) -> String {
        format!("{:?}", outcome.honoured)
    }

    /// The value of the cookie that is to be made.
    fn given(outcome: &Outcome) -> Option<&str> {
        outcome.cookies.next.as_ref()?.given.get(COOKIE).map(String::as_str)
    }

    #[test]
    fn without_a_secret_one_is_drawn_once() {
        let first = decide(Vec::new(), None, None, None).cookies.next.unwrap();
        assert_eq!((first.given.len(), first.drawn[0].key()), (0, COOKIE));
        assert!(decide(made("drawn", None), Some(1), None, None).cookies.next.is_none());
    }

    #[test]
    fn the_users_cookie_is_taken_and_the_published_one_remarked() {
        let outcome = decide(Vec::new(), None, Some(&secret(PUBLISHED)), None);
        assert_eq!(given(&outcome), Some(PUBLISHED));
        assert!(outcome.cookies.next.as_ref().unwrap().drawn.is_empty());
        assert!(told(&outcome).contains("published value"));
        assert!(told(&outcome).contains("Adapted"));
        assert!(!told(&outcome).contains(PUBLISHED));
    }

    #[test]
    fn a_line_break_at_the_end_is_left_out_and_one_within_is_refused() {
        let outcome = decide(Vec::new(), None, Some(&secret("abc\n")), None);
        assert_eq!(given(&outcome), Some("abc"));
        assert!(told(&outcome).contains("left out"));
        let outcome = decide(Vec::new(), None, Some(&secret("a\nbc")), None);
        assert!(outcome.cookies.next.is_none());
        assert!(outcome.unusable.unwrap().contains("line break"));
    }

    #[test]
    fn the_secret_of_another_queue_is_not_used_and_says_so() {
        let mut outcome = decide(made("old", None), Some(1), None, Some("may"));
        outcome.claimed(&Claim::Theirs(Some("MessageQueue/jobs".to_owned())));
        assert!(outcome.cookies.next.is_none());
        assert!(told(&outcome).contains("Adapted") && told(&outcome).contains("belongs to MessageQueue/jobs"));
    }

    #[test]
    fn an_edit_is_refused_until_a_full_stop_is_permitted() {
        let edited = secret("new");
        let refused = decide(made("old", None), Some(1), Some(&edited), None);
        assert!(refused.cookies.next.is_none());
        assert!(told(&refused).contains("Refused") && told(&refused).contains(FULL_RESTART));
        let permitted = decide(made("old", None), Some(1), Some(&edited), Some("may"));
        assert_eq!(given(&permitted), Some("new"));
        assert!(told(&permitted).contains("AsWritten"));
    }

    #[test]
    fn a_cookie_that_is_lost_while_nodes_have_it_is_named() {
        let lost = decide(Vec::new(), Some(2), None, None);
        assert!(lost.cookies.next.is_none());
        assert!(lost.unusable.unwrap().contains("cookie-2 has gone"));
    }

    #[test]
    fn a_secret_that_is_gone_or_unusable_later_changes_nothing() {
        assert!(decide(made("old", None), Some(1), None, Some("may")).cookies.next.is_none());
        let unusable = decide(made("old", None), Some(1), Some(&secret("")), Some("may"));
        assert!(unusable.cookies.next.is_none() && unusable.unusable.is_none());
        assert!(told(&unusable).contains("Refused"));
    }
}

//! The Erlang cookie: the secret that all nodes of a cluster share.
//!
//! It is taken from the user's Secret when the cluster is made, or drawn, and kept in a Secret of its own. A later edit is not
//! applied: nodes with another cookie cannot speak with the rest, so exchanging it takes a full stop and start, which the
//! user permits by an annotation. Each cookie is a Secret that is made once, `…-cookie-<n>`, and pods say which one they have.

use std::collections::BTreeMap;

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret};
use kube::ResourceExt;
use temporal_stack_common::{
    api::annotation::FULL_RESTART,
    binding,
    cache::Children,
    condition::{CONFIG_HONOURED, Statement, reason},
    config::{self, Key, Reading, Ruling},
};

/// The user's Secret.
pub(crate) const SOURCE: &str = "rabbitmq-config";
/// The key of the cookie, in the user's Secret and in ours.
pub(crate) const COOKIE: &str = "erlang-cookie";
/// Label of cookie Secrets, and annotation of pods: which cookie it is.
pub(crate) const NUMBER: &str = "temporal-stack.dev/cookie";

/// What stands in the example that is published with the stack.
const PUBLISHED: &str = "c-is-for-cookie-thats-good-enough-for-me";
/// The cookie becomes an atom, and those have no more characters.
const LONGEST: usize = 255;

const TABLE: &[Key] = &[Key { name: COOKIE, rule }];

/// A cookie that has been made. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    /// Its place in the row.
    pub(crate) number: u32,
    /// The permission for a full stop that it was made for.
    permission: Option<String>,
    value: String,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie").field("number", &self.number).finish_non_exhaustive()
    }
}

/// A cookie that is to be made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Next {
    /// Its place in the row.
    pub(crate) number: u32,
    /// Its value; absent: drawn.
    pub(crate) value: Option<String>,
    /// The permission for a full stop that it is made for.
    pub(crate) permission: Option<String>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What is known of cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cookies {
    /// Those that have been made, oldest first.
    pub(crate) made: Vec<Cookie>,
    /// The one that is to be made.
    pub(crate) next: Option<Next>,
}

impl Cookies {
    /// The one that pods are to have.
    pub(crate) fn current(&self) -> Option<&Cookie> {
        self.made.last()
    }
}

/// What came of the user's Secret.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The cookies.
    pub(crate) cookies: Cookies,
    /// What became of the user's wish.
    pub(crate) honoured: Statement,
    /// Why no cookie can be made, if it is the user's to mend.
    pub(crate) unusable: Option<String>,
}

/// Decides by the cookies that were made, the number of the one that nodes have, the user's Secret, and the user's newest
/// permission for a full stop.
pub(crate) fn decide(
    made: Vec<Cookie>,
    in_use: Option<u32>,
    secret: Option<&Secret>,
    permission: Option<&str>,
) -> Outcome {
    let written = secret.map(texts);
    let mut reading = written.as_ref().map(|written| config::read(written, TABLE)).unwrap_or_default();
    let wish = reading.get(COOKIE).map(str::to_owned);
    let number = made.last().map(|newest| newest.number).max(in_use).unwrap_or_default() + 1;
    let permission = permission.map(str::to_owned);
    let mut unusable = None;
    let next = match (made.last(), wish) {
        (None, _) if !reading.refused.is_empty() => {
            unusable = Some(format!("Secret/{SOURCE}: {}", reading.refused.join("; ")));
            None
        }
        // The nodes that run would never speak with one that starts with another.
        (None, _) if in_use.is_some() && permission.is_none() => {
            unusable = Some(lost(number - 1));
            None
        }
        (None, value) => Some(Next { number, value, permission }),
        (Some(newest), Some(wish)) if newest.value != wish => {
            let permitted = permission.is_some() && permission != newest.permission;
            if !permitted {
                reading.refused.push(refusal());
            }
            permitted.then_some(Next { number, value: Some(wish), permission })
        }
        (Some(_), _) => None,
    };
    let honoured = if written.is_some() {
        statement(&reading)
    } else {
        let message = format!("there is no Secret/{SOURCE}; the cookie is the one in use, or drawn");
        Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, message)
    };
    Outcome { cookies: Cookies { made, next }, honoured, unusable }
}

/// The cookies that have been made.
pub(crate) fn row(children: &Children) -> Vec<Cookie> {
    let mut row: Vec<Cookie> = children.all::<Secret>().iter().filter_map(parse).collect();
    row.sort_by_key(|cookie| cookie.number);
    row
}

/// The number of the cookie that the pods of a set have.
pub(crate) fn of_set(set: &StatefulSet) -> Option<u32> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(NUMBER)?.parse().ok()
}

fn parse(secret: &Secret) -> Option<Cookie> {
    Some(Cookie {
        number: secret.labels().get(NUMBER)?.parse().ok()?,
        permission: secret.annotations().get(FULL_RESTART).cloned(),
        value: binding::text(secret, COOKIE)?.to_owned(),
    })
}

fn statement(reading: &Reading) -> Statement {
    reading.statement(&format!("Secret/{SOURCE}"))
}

/// What is no text is as bad as what is empty.
fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), String::from_utf8(value.0.clone()).unwrap_or_default())).collect()
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

fn rule(value: &str) -> Ruling {
    let cookie = value.trim_end_matches(['\n', '\r']);
    let remedy = "write letters, digits and dashes, or leave the key out and one is drawn";
    if cookie.is_empty() {
        return Ruling::Refused(format!("is empty or no text; {remedy}"));
    }
    if !cookie.chars().all(|c| c.is_ascii_graphic()) {
        return Ruling::Refused(format!("has a line break, a space or a character outside ASCII within; {remedy}"));
    }
    if cookie.len() > LONGEST {
        return Ruling::Refused(format!("has more than {LONGEST} characters; {remedy}"));
    }
    if cookie != value {
        return Ruling::Replaced(cookie.to_owned(), "ends with a line break, which is left out".to_owned());
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
pub(crate) fn made(number: u32) -> Cookie {
    Cookie { number, permission: None, value: format!("cookie-{number}") }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(cookie: &str) -> Secret {
        let data = BTreeMap::from([(COOKIE.to_owned(), ByteString(cookie.as_bytes().to_vec()))]);
        Secret { data: Some(data), ..Secret::default() }
    }

    fn made(value: &str, permission: Option<&str>) -> Vec<Cookie> {
        vec![Cookie { number: 1, permission: permission.map(str::to_owned), value: value.to_owned() }]
    }

    fn told(outcome: &Outcome) -> String {
        format!("{:?}", outcome.honoured)
    }

    #[test]
    fn without_a_secret_one_is_drawn_once() {
        let first = decide(Vec::new(), None, None, None);
        assert_eq!(first.cookies.next.unwrap().value, None);
        assert_eq!(decide(made("drawn", None), Some(1), None, None).cookies.next, None);
    }

    #[test]
    fn the_users_cookie_is_taken_and_the_published_one_remarked() {
        let outcome = decide(Vec::new(), None, Some(&secret(PUBLISHED)), None);
        assert_eq!(outcome.cookies.next.as_ref().unwrap().value.as_deref(), Some(PUBLISHED));
        assert!(told(&outcome).contains("published value"));
        assert!(told(&outcome).contains("Adapted"));
        assert!(!told(&outcome).contains(PUBLISHED));
    }

    #[test]
    fn a_line_break_at_the_end_is_left_out_and_one_within_is_refused() {
        let outcome = decide(Vec::new(), None, Some(&secret("abc\n")), None);
        assert_eq!(outcome.cookies.next.as_ref().unwrap().value.as_deref(), Some("abc"));
        assert!(told(&outcome).contains("left out"));
        let outcome = decide(Vec::new(), None, Some(&secret("a\nbc")), None);
        assert_eq!(outcome.cookies.next, None);
        assert!(outcome.unusable.unwrap().contains("line break"));
    }

    #[test]
    fn an_edit_is_refused_until_a_full_stop_is_permitted_once() {
        let edited = secret("new");
        let refused = decide(made("old", None), Some(1), Some(&edited), None);
        assert_eq!(refused.cookies.next, None);
        assert!(told(&refused).contains("Refused") && told(&refused).contains(FULL_RESTART));
        let permitted = decide(made("old", None), Some(1), Some(&edited), Some("may")).cookies.next.unwrap();
        assert_eq!((permitted.number, permitted.permission.as_deref()), (2, Some("may")));
        let used_up = decide(made("old", Some("may")), Some(1), Some(&edited), Some("may"));
        assert_eq!(used_up.cookies.next, None);
    }

    #[test]
    fn a_cookie_that_is_lost_while_nodes_have_it_is_not_replaced_unless_permitted() {
        let lost = decide(Vec::new(), Some(2), None, None);
        assert_eq!(lost.cookies.next, None);
        assert!(lost.unusable.unwrap().contains("cookie-2 has gone"));
        let permitted = decide(Vec::new(), Some(2), None, Some("may"));
        assert_eq!(permitted.cookies.next.unwrap().number, 3);
    }

    #[test]
    fn a_secret_that_is_gone_or_unusable_later_changes_nothing() {
        assert_eq!(decide(made("old", None), Some(1), None, Some("may")).cookies.next, None);
        let unusable = decide(made("old", None), Some(1), Some(&secret("")), Some("may"));
        assert_eq!((unusable.cookies.next.clone(), unusable.unusable.clone()), (None, None));
        assert!(told(&unusable).contains("Refused"));
    }
}

//! The application's logins: a row of Secrets, of which the newest that the server has is the one in the binding.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use temporal_stack_common::binding;

use crate::{
    names::{PASSWORD, USERNAME},
    observe::Bound,
    settings::Settings,
};

/// Label of login Secrets and of the binding: which login it is.
pub(crate) const NUMBER: &str = "temporal-stack.dev/login";
/// Annotation of login Secrets: whether the user named it.
pub(crate) const NAMED: &str = "temporal-stack.dev/named";
/// Annotation of login Secrets: the request for rotation that it was made for.
pub(crate) const ROTATION: &str = "temporal-stack.dev/rotation";

/// A login that has been made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// Its place in the row.
    pub(crate) number: u32,
    /// Its role on the server.
    pub(crate) username: String,
    /// Its password.
    pub(crate) password: String,
    /// Whether the user named it.
    pub(crate) named: bool,
    /// The request for rotation that it was made for.
    pub(crate) rotation: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("number", &self.number).field("username", &self.username).finish_non_exhaustive()
    }
}

/// A login that is to be made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Next {
    /// Its place in the row.
    pub(crate) number: u32,
    /// Its role on the server.
    pub(crate) username: String,
    /// Its password; absent: drawn.
    pub(crate) password: Option<String>,
    /// Whether the user named it.
    pub(crate) named: bool,
    /// The request for rotation that it is made for.
    pub(crate) rotation: Option<String>,
}

/// Reads a login from its Secret.
pub(crate) fn parse(secret: &Secret) -> Option<Login> {
    Some(Login {
        number: secret.labels().get(NUMBER)?.parse().ok()?,
        username: binding::text(secret, USERNAME)?.to_owned(),
        password: binding::text(secret, PASSWORD)?.to_owned(),
        named: secret.annotations().get(NAMED).is_some_and(|value| value == "true"),
        rotation: secret.annotations().get(ROTATION).cloned(),
    })
}

/// Annotations that say how a login came to be.
pub(crate) fn annotations(named: bool, rotation: Option<&str>) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([(NAMED.to_owned(), named.to_string())]);
    annotations.extend(rotation.map(|rotation| (ROTATION.to_owned(), rotation.to_owned())));
    annotations
}

/// The login that is wanted but has not been made. `rotation` is the user's newest request.
///
/// Where the Secrets of all logins are gone, the row goes on behind the one in the binding, and with the other role: the
/// applications that use it are not to be cut off.
pub(crate) fn next(
    settings: &Settings,
    newest: Option<&Login>,
    bound: Option<&Bound>,
    rotation: Option<&str>,
) -> Option<Next> {
    let before = newest.map(|login| login.number).or(bound.and_then(|bound| bound.number));
    let number = before.unwrap_or_default() + 1;
    let asked = |login: &Login| rotation.is_some() && rotation != login.rotation.as_deref();
    let rotation = rotation.map(str::to_owned);
    let Some(user) = &settings.user else {
        let last = newest.filter(|login| !login.named);
        if last.is_some_and(|login| !asked(login)) {
            return None;
        }
        let used =
            last.map(|login| &login.username).or(bound.map(|bound| &bound.username).filter(|_| newest.is_none()));
        let turn = if used.is_some_and(|name| name.ends_with("_a")) { "b" } else { "a" };
        let username = format!("{}_{turn}", settings.database);
        return Some(Next { number, username, password: None, named: false, rotation });
    };
    let named = |password| Next { number, username: user.clone(), password, named: true, rotation: rotation.clone() };
    match (newest.filter(|login| login.username == *user), &settings.password) {
        // The user decides the password, so a rotation is a new password of the user's.
        (Some(login), Some(password)) => (login.password != *password).then(|| named(Some(password.clone()))),
        (Some(login), None) => asked(login).then(|| named(None)),
        (None, password) => Some(named(password.clone())),
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::condition::{CONFIG_HONOURED, Statement, reason};

    use super::*;

    fn settings(user: Option<&str>, password: Option<&str>) -> Settings {
        Settings {
            database: "temporal".to_owned(),
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            honoured: Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, ""),
        }
    }

    fn login(number: u32, username: &str, password: &str, named: bool) -> Login {
        Login { number, username: username.to_owned(), password: password.to_owned(), named, rotation: None }
    }

    #[test]
    fn generated_logins_take_turns() {
        let first = next(&settings(None, None), None, None, None).unwrap();
        assert_eq!((first.number, first.username.as_str(), first.password), (1, "temporal_a", None));
        let newest = login(1, "temporal_a", "x", false);
        assert!(next(&settings(None, None), Some(&newest), None, None).is_none());
        let second = next(&settings(None, None), Some(&newest), None, Some("may")).unwrap();
        assert_eq!(
            (second.number, second.username.as_str(), second.rotation.as_deref()),
            (2, "temporal_b", Some("may"))
        );
    }

    #[test]
    fn where_all_secrets_are_lost_the_login_in_use_keeps_its_role() {
        let bound = Bound { number: Some(3), database: "temporal".to_owned(), username: "temporal_a".to_owned() };
        let next = next(&settings(None, None), None, Some(&bound), None).unwrap();
        assert_eq!((next.number, next.username.as_str()), (4, "temporal_b"));
    }

    #[test]
    fn one_request_rotates_once() {
        let newest = Login { rotation: Some("may".to_owned()), ..login(2, "temporal_b", "x", false) };
        assert!(next(&settings(None, None), Some(&newest), None, Some("may")).is_none());
        assert!(next(&settings(None, None), Some(&newest), None, None).is_none());
    }

    #[test]
    fn a_changed_password_of_the_users_makes_the_next_login_of_the_same_role() {
        let newest = login(1, "postgres", "old", true);
        let changed = next(&settings(Some("postgres"), Some("new")), Some(&newest), None, None).unwrap();
        assert_eq!((changed.username.as_str(), changed.password.as_deref()), ("postgres", Some("new")));
    }

    #[test]
    fn a_password_that_is_no_longer_given_stays_as_it_was() {
        let newest = login(1, "postgres", "old", true);
        assert!(next(&settings(Some("postgres"), None), Some(&newest), None, None).is_none());
    }

    #[test]
    fn another_name_makes_another_login() {
        let newest = login(3, "postgres", "old", true);
        let changed = next(&settings(Some("app"), None), Some(&newest), None, None).unwrap();
        assert_eq!((changed.number, changed.username.as_str(), changed.password), (4, "app", None));
    }
}

//! Logins of applications: a row of Secrets, of which the newest that the product has is the one in the binding.
//!
//! Each login is a Secret that is made once, `<prefix>-login-<n>`; a rotation makes the next one. The product gets it first,
//! the binding after that, and the one before is removed after that, so a crash at any point leaves a login that works.
//! Without a name from the user two names take turns, so that the old one works until the next rotation.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;

use crate::{
    api::DeletionPolicy,
    binding,
    cache::Children,
    condition::{Reason, Statement},
    manifest::{Draw, Manifest},
};

/// Label of login Secrets and of the binding: which login it is.
pub const NUMBER: &str = "temporal-stack.dev/login";
/// Annotation of login Secrets: whether the user named it.
pub const NAMED: &str = "temporal-stack.dev/named";
/// Annotation of login Secrets: the request for rotation that it was made for.
pub const ROTATION: &str = "temporal-stack.dev/rotation";
/// Key of the Secrets of administrators and logins.
pub const USERNAME: &str = "username";
/// See [`USERNAME`].
pub const PASSWORD: &str = "password";

/// What stands between the prefix of a login Secret's name and its number.
const INFIX: &str = "-login-";

/// A login that has been made. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its place in the row.
    pub number: u32,
    /// Its name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Whether the user named it.
    pub named: bool,
    /// The request for rotation that it was made for.
    pub rotation: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("number", &self.number).field("username", &self.username).finish_non_exhaustive()
    }
}

/// A login that is to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Next {
    /// Its place in the row.
    pub number: u32,
    /// Its name.
    pub username: String,
    /// Its password; absent: drawn.
    pub password: Option<String>,
    /// Whether the user named it.
    pub named: bool,
    /// The request for rotation that it is made for.
    pub rotation: Option<String>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").field("number", &self.number).field("username", &self.username).finish_non_exhaustive()
    }
}

/// A rotation was asked for and waits.
const ROTATION_PENDING: &str = "RotationPending";
/// Applications are still connected as the login whose turn it is.
const OLD_LOGIN_IN_USE: Reason = Reason::new("OldLoginInUse");

/// Says that a rotation waits until nobody is connected any more as the login whose turn it is.
pub fn rotation_pending(next: &Login) -> Statement {
    let message = format!(
        "the next login is {}, and applications are still connected as it since the rotation before; it is taken when they have gone. Let them read the binding again",
        next.username
    );
    Statement::holds(ROTATION_PENDING, OLD_LOGIN_IN_USE, message)
}

/// Which login is wanted.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// What generated names begin with: `_a` and `_b` are put behind it.
    pub base: &'a str,
    /// The name that the user gave.
    pub user: Option<&'a str>,
    /// The password that the user gave it.
    pub password: Option<&'a str>,
    /// The user's newest request for rotation.
    pub rotation: Option<&'a str>,
}

/// What a binding says: which login it holds, and where that leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The login's place in the row; absent where it is not the controller's.
    pub number: Option<u32>,
    /// The login's name.
    pub username: String,
    /// What it leads to within the product: a database, a virtual host.
    pub place: String,
}

impl Bound {
    /// Reads a binding whose `key` names the place. `None` where it is not complete.
    pub fn read(binding: &Secret, key: &str) -> Option<Self> {
        Some(Self {
            number: number(binding),
            username: binding::text(binding, USERNAME)?.to_owned(),
            place: binding::text(binding, key)?.to_owned(),
        })
    }
}

/// The row: the logins that have been made, oldest first. `prefix` is what the names of their Secrets begin with: a copy under another
/// name is none of the row. `rotation` is the user's newest request for rotation: a login that was restored without its annotations
/// counts as made for it, so that a restore rotates nothing.
pub fn row(children: &Children, prefix: &str, rotation: Option<&str>) -> Vec<Login> {
    let secrets = children.all::<Secret>();
    let mut logins: Vec<Login> = secrets.iter().filter_map(|secret| parse(secret, prefix, rotation)).collect();
    logins.sort_by_key(|login| login.number);
    logins
}

/// The login that the binding is to hold: the newest that the product `has`; while that cannot be asked, or has none of them, the
/// one that the binding holds.
pub fn active<'a>(row: &'a [Login], bound: Option<&Bound>, has: Option<impl Fn(&Login) -> bool>) -> Option<&'a Login> {
    let newest = has.and_then(|has| row.iter().rfind(|login| has(login)));
    newest.or_else(|| {
        let number = bound?.number?;
        row.iter().find(|login| login.number == number)
    })
}

/// Reads a login from its Secret. Its name says that it is one and which, so that labels and annotations may get lost: the driver
/// puts them back.
fn parse(secret: &Secret, prefix: &str, rotation: Option<&str>) -> Option<Login> {
    let number = crate::number::place(secret.name_any().strip_prefix(prefix)?.strip_prefix(INFIX)?)?;
    let username = binding::text(secret, USERNAME)?.to_owned();
    let named = secret.annotations().get(NAMED);
    Some(Login {
        number,
        password: binding::text(secret, PASSWORD)?.to_owned(),
        rotation: match named {
            Some(_) => secret.annotations().get(ROTATION).cloned(),
            None => rotation.map(str::to_owned),
        },
        // Generated names end so, and few others do.
        named: named.map_or_else(|| !(username.ends_with("_a") || username.ends_with("_b")), |named| named == "true"),
        username,
    })
}

/// Which login a Secret is, or a binding holds.
pub fn number(secret: &Secret) -> Option<u32> {
    crate::number::place(secret.labels().get(NUMBER)?)
}

/// The name of the Secret of a login.
fn name(prefix: &str, number: u32) -> String {
    format!("{prefix}{INFIX}{number}")
}

/// The same Secret, with the number of its login.
pub fn numbered(mut secret: Secret, number: u32) -> Secret {
    secret.metadata.labels.get_or_insert_default().insert(NUMBER.to_owned(), number.to_string());
    secret
}

/// A Secret with these keys; one that is to be drawn is left out.
pub fn secret(name: String, keys: &[(&str, &str)]) -> Secret {
    let data: BTreeMap<_, _> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
    Secret {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        type_: Some("Opaque".to_owned()),
        data: (!data.is_empty()).then_some(data),
        ..Secret::default()
    }
}

/// The Secrets of the row as they are to be: those that the binding may still need, and the next one if it is its turn.
/// `active` is the number of the login that the binding is to hold.
pub fn manifests(
    prefix: &str,
    row: &[Login],
    bound: Option<&Bound>,
    active: Option<u32>,
    next: Option<Next>,
    policy: DeletionPolicy,
) -> Vec<Manifest> {
    let name = |number: u32| name(prefix, number);
    let held = bound.and_then(|bound| bound.number);
    let mut manifests: Vec<Manifest> = row
        .iter()
        .map(|login| {
            // What the binding holds stays until the binding holds something newer.
            let is_past =
                active.is_some_and(|active| login.number < active) && held.is_some_and(|held| login.number < held);
            if is_past {
                Manifest::absent::<Secret>(&name(login.number))
            } else {
                // Only its ownership is kept, and what says which login it is.
                let mut made = numbered(secret(name(login.number), &[]), login.number);
                made.metadata.annotations = Some(annotations(login.named, login.rotation.as_deref()));
                Manifest::new(&made).once(&[]).data(policy)
            }
        })
        .collect();
    // Generated logins take turns, so the next is made when the newest has reached the binding; what the user names is theirs.
    let settled = row.last().is_none_or(|newest| active == Some(newest.number));
    if let Some(next) = next.filter(|next| settled || next.named) {
        let mut keys = vec![(USERNAME, next.username.as_str())];
        keys.extend(next.password.as_deref().map(|password| (PASSWORD, password)));
        let mut made = numbered(secret(name(next.number), &keys), next.number);
        made.metadata.annotations = Some(annotations(next.named, next.rotation.as_deref()));
        let drawn: &[Draw] = if next.password.is_some() { &[] } else { &[Draw::Letters(PASSWORD)] };
        manifests.push(Manifest::new(&made).once(drawn).data(policy));
    }
    manifests
}

fn annotations(named: bool, rotation: Option<&str>) -> BTreeMap<String, String> {
    let rotation = rotation.map(|rotation| (ROTATION.to_owned(), rotation.to_owned()));
    [(NAMED.to_owned(), named.to_string())].into_iter().chain(rotation).collect()
}

/// The login that is wanted but has not been made.
///
/// Where the Secrets of all logins are gone, the row goes on behind the one in the binding, and with the other name: the
/// applications that use it are not to be cut off.
pub fn next(wanted: Wanted<'_>, newest: Option<&Login>, bound: Option<&Bound>) -> Option<Next> {
    let before = newest.map(|login| login.number).or(bound.and_then(|bound| bound.number));
    let number = before.unwrap_or_default().saturating_add(1);
    let asked = |login: &Login| wanted.rotation.is_some() && wanted.rotation != login.rotation.as_deref();
    let rotation = wanted.rotation.map(str::to_owned);
    let Some(user) = wanted.user else {
        let last = newest.filter(|login| !login.named);
        if last.is_some_and(|login| !asked(login)) {
            return None;
        }
        let used = last.map(|login| login.username.as_str());
        let used = used.or(bound.map(|bound| bound.username.as_str()).filter(|_| newest.is_none()));
        let turn = if used.is_some_and(|name| name.ends_with("_a")) { "b" } else { "a" };
        let username = format!("{}_{turn}", wanted.base);
        return Some(Next { number, username, password: None, named: false, rotation });
    };
    let named = |password: Option<&str>| Next {
        number,
        username: user.to_owned(),
        password: password.map(str::to_owned),
        named: true,
        rotation: rotation.clone(),
    };
    match (newest.filter(|login| login.username == user), wanted.password) {
        // The user decides the password, so a rotation is a new password of the user's.
        (Some(login), Some(password)) => (login.password != password).then(|| named(Some(password))),
        (Some(login), None) => asked(login).then(|| named(None)),
        (None, password) => Some(named(password)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted<'a>(user: Option<&'a str>, password: Option<&'a str>, rotation: Option<&'a str>) -> Wanted<'a> {
        Wanted { base: "temporal", user, password, rotation }
    }

    fn login(number: u32, username: &str, password: &str, named: bool) -> Login {
        Login { number, username: username.to_owned(), password: password.to_owned(), named, rotation: None }
    }

    fn bound(number: u32) -> Bound {
        Bound { number: Some(number), username: "temporal_a".to_owned(), place: "temporal".to_owned() }
    }

    #[test]
    fn a_copy_of_a_login_is_none_of_the_row() {
        use crate::cache::{Arrived, Cache, Instance};
        let cache = Cache::default();
        for (name, number) in [("a-login-1", "1"), ("copy", "2"), ("a-login-4294967295", "4294967295")] {
            let secret = serde_json::json!({
                "metadata": {
                    "name": name, "namespace": "n", "uid": name, "resourceVersion": "1",
                    "labels": {crate::api::label::INSTANCE: "i", NUMBER: number}, "annotations": {NAMED: "false"},
                },
                "data": {USERNAME: "eA==", PASSWORD: "eA=="},
            });
            cache.put("Secret", Arrived::new(secret).unwrap());
        }
        let instance = Instance { namespace: "n".to_owned(), name: "i".to_owned() };
        let row = row(&cache.children(&instance, "ours"), "a", None);
        assert_eq!(row.iter().map(|login| login.number).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn generated_logins_take_turns() {
        let first = next(wanted(None, None, None), None, None).unwrap();
        assert_eq!((first.number, first.username.as_str(), first.password), (1, "temporal_a", None));
        let newest = login(1, "temporal_a", "x", false);
        assert!(next(wanted(None, None, None), Some(&newest), None).is_none());
        let second = next(wanted(None, None, Some("may")), Some(&newest), None).unwrap();
        assert_eq!(
            (second.number, second.username.as_str(), second.rotation.as_deref()),
            (2, "temporal_b", Some("may"))
        );
    }

    #[test]
    fn where_all_secrets_are_lost_the_login_in_use_keeps_its_name() {
        let next = next(wanted(None, None, None), None, Some(&bound(3))).unwrap();
        assert_eq!((next.number, next.username.as_str()), (4, "temporal_b"));
    }

    #[test]
    fn a_login_restored_without_marks_is_read_and_rotates_nothing() {
        for (username, named) in [("temporal_a", false), ("temporal_b", false), ("app", true)] {
            let mut bare = secret("x-database-login-3".to_owned(), &[(USERNAME, username), (PASSWORD, "p")]);
            let login = parse(&bare, "x-database", Some("may")).unwrap();
            assert_eq!((login.number, login.named, login.rotation.as_deref()), (3, named, Some("may")), "{username}");
            let user = named.then_some("app");
            assert!(next(wanted(user, None, Some("may")), Some(&login), None).is_none());
            let again = manifests("x-database", &[login], None, Some(3), None, DeletionPolicy::Retain);
            let again: Secret = serde_json::from_value(again[0].object.clone()).unwrap();
            bare.metadata = again.metadata;
            let login = parse(&bare, "x-database", None).unwrap();
            assert_eq!((login.number, login.named, login.rotation.as_deref()), (3, named, Some("may")), "{username}");
        }
        let binding = secret("x-login-2-database-binding".to_owned(), &[(USERNAME, "app"), (PASSWORD, "p")]);
        assert_eq!(parse(&numbered(binding, 1), "x", None), None);
    }

    #[test]
    fn one_request_rotates_once() {
        let newest = Login { rotation: Some("may".to_owned()), ..login(2, "temporal_b", "x", false) };
        assert!(next(wanted(None, None, Some("may")), Some(&newest), None).is_none());
        assert!(next(wanted(None, None, None), Some(&newest), None).is_none());
    }

    #[test]
    fn a_changed_password_of_the_users_makes_the_next_login_of_the_same_name() {
        let newest = login(1, "postgres", "old", true);
        let changed = next(wanted(Some("postgres"), Some("new"), None), Some(&newest), None).unwrap();
        assert_eq!((changed.username.as_str(), changed.password.as_deref()), ("postgres", Some("new")));
    }

    #[test]
    fn a_password_that_is_no_longer_given_stays_as_it_was() {
        let newest = login(1, "postgres", "old", true);
        assert!(next(wanted(Some("postgres"), None, None), Some(&newest), None).is_none());
    }

    #[test]
    fn another_name_makes_another_login() {
        let newest = login(3, "postgres", "old", true);
        let changed = next(wanted(Some("app"), None, None), Some(&newest), None).unwrap();
        assert_eq!((changed.number, changed.username.as_str(), changed.password), (4, "app", None));
    }

    #[test]
    fn the_newest_that_the_product_has_is_active_else_the_one_in_the_binding() {
        let row = [login(1, "a_a", "x", false), login(2, "a_b", "y", false)];
        let active = |has: Option<u32>| {
            let has = has.map(|most| move |login: &Login| login.number <= most);
            active(&row, Some(&bound(1)), has).map(|login| login.number)
        };
        assert_eq!((active(Some(2)), active(Some(0)), active(None)), (Some(2), Some(1), Some(1)));
    }

    #[test]
    fn what_the_binding_holds_stays_until_it_holds_something_newer() {
        let row = [login(1, "a_a", "x", false), login(2, "a_b", "y", false)];
        let absent = |held| {
            let manifests = manifests("a", &row, Some(&bound(held)), Some(2), None, DeletionPolicy::Retain);
            manifests.iter().filter(|one| matches!(one.making, crate::manifest::Making::Absent)).count()
        };
        assert_eq!(absent(1), 0);
        assert_eq!(absent(2), 1);
    }
}

//! Logins of applications: numbered Secrets; the binding has the newest login that the product knows.
//!
//! Each login is a Secret that is created once, `<prefix>-login-<n>`; a rotation creates the next one. The product gets it first,
//! then the binding, and then the previous one is removed, so a crash at any point leaves a login that works. Without a name from
//! the user two names alternate, so that the old login works until the next rotation. Where the name is as secret as the password
//! (access keys), it is drawn, too; then the Secret of the previous login is kept until the product has removed that login, in
//! the rotation after.

use std::{cmp::Reverse, collections::BTreeSet};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;

use crate::{
    api::{DeletionPolicy, annotation},
    binding,
    cache::Children,
    component::Stalled,
    condition::reason,
    manifest::{Draw, Manifest, secret},
};

mod access;
mod rotation;

pub use access::{Access, Form};
pub use rotation::{LoginState, Rotation, Wanted};

/// Label of login Secrets and of the binding: which login it is.
pub const NUMBER: &str = "temporal-stack.dev/login";
/// Annotation of login Secrets: whether the user named it.
pub(crate) const NAMED: &str = "temporal-stack.dev/named";
/// Annotation of login Secrets: the rotation request for which it was created.
pub(crate) const ROTATION: &str = "temporal-stack.dev/rotation";
/// Key of the Secrets of administrators and logins.
pub const USERNAME: &str = "username";
/// See [`USERNAME`].
pub const PASSWORD: &str = "password";

/// The part of a login Secret's name between prefix and number.
const INFIX: &str = "-login-";
/// How many logins of an object count, because the product is asked for each, and a password is compared in milliseconds. A
/// rotation has two or three: the one in the binding, the next, and one whose removal is due.
const MOST: usize = 8;

/// How many characters a drawn name has.
const DRAWN: usize = 32;
/// How many series of logins an object may have.
const MOST_SERIES: usize = 64;

/// An existing login. `Debug` shows neither name nor password: the name may be as secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its place among all logins.
    pub number: u32,
    /// Its name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Whether the user named it.
    pub named: bool,
    /// The rotation request for which it was created.
    pub rotation: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The content of a binding: its login, and the place that it leads to. `Debug` shows no name.
#[derive(Clone, PartialEq, Eq)]
pub struct Bound {
    /// The login's number; absent if the login is not the controller's.
    pub number: Option<u32>,
    /// The login's name.
    pub username: String,
    /// The place within the product: a database, a virtual host.
    pub scope: String,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("number", &self.number).field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Bound {
    /// Reads the binding of that name, whose `key` names the place. `None` if it does not exist or is incomplete.
    pub fn read(children: &Children, name: &str, key: &str) -> Option<Self> {
        Self::read_keys(children, name, USERNAME, key)
    }

    /// The same where another key than `username` has the login's name.
    pub fn read_keys(children: &Children, name: &str, username: &str, key: &str) -> Option<Self> {
        let binding: Secret = children.find(name)?;
        Some(Self {
            number: number(&binding),
            username: binding::text(&binding, username)?.to_owned(),
            scope: binding::text(&binding, key)?.to_owned(),
        })
    }
}

/// The Secret of the controller's own administrator of a product; its password is generated when it is created.
pub fn administrator(name: String, username: &str, policy: DeletionPolicy) -> Manifest {
    Manifest::new(&secret(name, &[(USERNAME, username)])).once(&[Draw::Letters(PASSWORD)]).data(policy)
}

/// The password in that Secret, once it was drawn.
pub fn administrator_password(children: &Children, name: &str) -> Option<String> {
    let secret: Secret = children.find(name)?;
    binding::text(&secret, PASSWORD).map(str::to_owned)
}

/// The product refuses its administrator: the Secret is not the one that the volume was initialised with. `command` gives the product
/// the Secret's password.
pub fn administrator_refused(product: &str, secret: &str, command: &str) -> Stalled {
    let message = format!(
        "administrator login refused: Secret/{secret} does not have the password that the volume was initialised with; restore the Secret, or set the {product}'s password to it: {command}"
    );
    Stalled::new(reason::ADMINISTRATOR_REFUSED, message)
}

/// The existing logins of an object, oldest first. `prefix` is the prefix of their Secrets' names: a copy under another name is
/// ignored.
///
/// At most eight count: the one in the binding, then those that are marked as this object's, then the others, which an earlier
/// object of the name may have left; of equals the newest. So Secrets that anyone else creates, in any number and with any number
/// in their names, do not displace the logins in use.
///
/// A login that was restored without its annotations counts as created for the user's newest rotation request, so that a restore
/// rotates nothing.
pub fn read_all(children: &Children, object: &ObjectMeta, prefix: &str, bound: Option<&Bound>) -> Vec<Login> {
    let rotation = rotation_request(object);
    let held = bound.and_then(|bound| bound.number);
    let secrets = children.iter().filter(|(kind, ..)| *kind == "Secret");
    let mut found: Vec<_> =
        secrets.filter_map(|(_, name, secret)| Some((series_number(name, prefix)?, secret))).collect();
    if found.len() > MOST {
        let is_held = |number: u32| held == Some(number);
        found.sort_by_cached_key(|(number, secret)| {
            Reverse((is_held(*number), is_marked(&secret.metadata(), object), *number))
        });
    }
    let read = found.into_iter().filter_map(|(_, secret)| parse(&secret.parse().ok()?, prefix, rotation));
    let mut logins: Vec<Login> = read.take(MOST).collect();
    logins.sort_by_key(|login| login.number);
    logins
}

/// The series of logins that exist below a prefix, for products with several places: what follows the prefix in the names of their
/// Secrets, without the first hyphen.
pub fn series(children: &Children, prefix: &str) -> BTreeSet<String> {
    let secrets = children.iter().filter(|(kind, ..)| *kind == "Secret");
    let of_login = |name: &str| {
        let (series, number) = name.strip_prefix(prefix)?.strip_prefix('-')?.rsplit_once(INFIX)?;
        crate::number::series_number(number).map(|_| series.to_owned())
    };
    secrets.filter_map(|(_, name, _)| of_login(name)).take(MOST_SERIES).collect()
}

/// The user's newest request for a rotation, by the annotation of the object.
pub fn rotation_request(object: &ObjectMeta) -> Option<&str> {
    object.annotations.as_ref()?.get(annotation::ROTATE).map(String::as_str)
}

/// The number in the name of a login's Secret.
fn series_number(name: &str, prefix: &str) -> Option<u32> {
    crate::number::series_number(name.strip_prefix(prefix)?.strip_prefix(INFIX)?)
}

/// Whether data have the mark of this object, which the driver writes on those that it creates and adopts.
fn is_marked(data: &ObjectMeta, object: &ObjectMeta) -> bool {
    let Some(uid) = &object.uid else { return false };
    let noted = data.annotations.as_ref().and_then(|notes| notes.get(annotation::OWNER));
    noted == Some(uid) || data.owner_references.iter().flatten().any(|reference| reference.uid == *uid)
}

/// Reads a login from its Secret. It is identified by the Secret's name, so labels and annotations may be lost: the driver
/// restores them.
fn parse(secret: &Secret, prefix: &str, rotation: Option<&str>) -> Option<Login> {
    let number = series_number(&secret.name_any(), prefix)?;
    let username = binding::text(secret, USERNAME)?.to_owned();
    let named = secret.annotations().get(NAMED);
    Some(Login {
        number,
        password: binding::text(secret, PASSWORD)?.to_owned(),
        rotation: match named {
            Some(_) => secret.annotations().get(ROTATION).cloned(),
            None => rotation.map(str::to_owned),
        },
        named: named.map_or_else(|| !is_generated(&username), |named| named == "true"),
        username,
    })
}

/// Whether a name looks generated: it has one of the alternating suffixes, or is drawn. Few others do.
fn is_generated(username: &str) -> bool {
    let is_drawn = username.len() == DRAWN && username.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_drawn || username.ends_with("_a") || username.ends_with("_b")
}

/// The number of the login in a Secret or binding.
pub fn number(secret: &Secret) -> Option<u32> {
    crate::number::series_number(secret.labels().get(NUMBER)?)
}

/// The same Secret, with the number of its login.
pub(crate) fn numbered(mut secret: Secret, number: u32) -> Secret {
    secret.metadata.labels.get_or_insert_default().insert(NUMBER.to_owned(), number.to_string());
    secret
}

#[cfg(test)]
mod tests;

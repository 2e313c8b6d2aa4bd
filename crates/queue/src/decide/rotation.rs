//! The rotation of the credentials.
//!
//! The application's login rotates by the annotation `temporal-stack.dev/rotate`. This file has the request and the state of each
//! login on the broker; the order of steps is in `crates/common/src/login/rotation.rs`. For another virtual host the login stays,
//! and gets its permission there.
//!
//! The Erlang cookie is the secret that all nodes share. It is copied from the user's Secret when the cluster is created, or
//! drawn, and kept in a separate Secret. A later edit is not applied: nodes with another cookie cannot reach the rest, so replacing
//! it requires a full stop and start, which the user permits by an annotation: see `crates/common/src/shared.rs`. The stop itself
//! is in `scale.rs`.

use kube::ResourceExt as _;
use temporal_stack_common::{
    api::{MessageQueue, annotation::FULL_RESTART},
    component::Stalled,
    config::Reading,
    login::{Bound, Login, LoginState, Rotation, Wanted},
    manifest::Draw,
    shared::{self, Decision, Made, NextSecret, Shared},
};

use crate::{
    act::Change,
    names::{self, CONFIG, Names},
    observed::{Embedded, Known},
    rabbit::{Permission, is_hash_of},
    reason,
    settings::COOKIE,
};

/// The logins with their state on the broker, and which one comes next. `prefix` is that of their Secrets' names.
pub(super) fn rotation<'a>(
    prefix: &str,
    wanted: &Wanted<'_>,
    observed: &'a Embedded,
    bound: Option<&'a Bound>,
) -> Rotation<'a> {
    let login_state = observed.broker.known().map(|known| |login: &Login| login_state(known, login));
    Rotation::new(prefix, &observed.logins, bound, wanted, login_state)
}

/// The state of a login on the broker. It is usable if it has its password, no tag, and all permissions in the virtual host.
fn login_state(known: &Known, login: &Login) -> LoginState {
    let user = known.users.iter().find(|user| user.name == login.username);
    let is_usable = user.is_some_and(|user| {
        is_hash_of(&user.password_hash, &login.password)
            && user.tags.is_empty()
            && user.permission.as_ref().is_some_and(Permission::is_all)
    });
    match known.connections_of_newest {
        _ if is_usable => LoginState::Usable,
        0 if user.is_some() => LoginState::Unusable,
        0 => LoginState::Absent,
        _ => LoginState::Blocked,
    }
}

/// Creates or repairs the newest login on the broker, if it may.
pub(super) fn change(rotation: &Rotation<'_>, virtual_host: &str) -> Option<Change> {
    rotation.to_set().map(|login| Change::SetLogin {
        username: login.username.clone(),
        password: login.password.clone(),
        virtual_host: virtual_host.to_owned(),
    })
}

/// The Erlang cookies.
#[derive(Debug)]
pub(crate) struct Cookies {
    /// The cookies that exist, and the next one.
    pub(crate) shared: Shared,
    /// Why the user's cookie is not applied.
    pub(super) refused: Option<String>,
    /// Why no cookie is available.
    pub(super) unavailable: Option<Stalled>,
}

/// Decides by the user's Secret, the existing cookies, and the number of the one that pods have.
pub(super) fn cookies(object: &MessageQueue, reading: Option<&Reading>, made: &[Made], in_use: Option<u32>) -> Cookies {
    let wanted = reading.and_then(|reading| reading.get(COOKIE));
    let invalid = reading.filter(|reading| !reading.refused.is_empty());
    let differs = |newest: &Made| wanted.is_some() && newest.text(COOKIE) != wanted;
    let permission = object.annotations().get(FULL_RESTART).map(String::as_str);
    let permit = shared::permit("another cookie");
    let mut cookies = Cookies { shared: Shared { made: made.to_vec(), next: None }, refused: None, unavailable: None };
    let stalled = |message| Some(Stalled::new(reason::SECRET_INCOMPLETE, message));
    match (shared::decide(made, in_use, permission, differs), invalid) {
        (Decision::Keep, _) => {}
        (Decision::Make(_) | Decision::Lost(_), Some(invalid)) => {
            cookies.unavailable = stalled(format!("Secret/{CONFIG}: {}", invalid.refused.join("; ")));
        }
        (Decision::Make(next), None) => cookies.shared.next = Some(fill(next, wanted)),
        (Decision::Lost(number), None) => {
            let secret = names::cookie(&Names::new(object), number);
            let message = format!("Secret/{secret} missing: running nodes use its cookie; restore it, or {permit}");
            cookies.unavailable = stalled(message);
        }
        (Decision::Refused, _) => {
            let cause = "differs from the cookie in use and is not applied: all nodes must share one cookie";
            cookies.refused = Some(format!("{COOKIE} {cause}; set it back, or {permit}"));
        }
    }
    cookies
}

/// The user's cookie, or a drawn one.
fn fill(next: NextSecret, wanted: Option<&str>) -> NextSecret {
    let drawn = if wanted.is_some() { Vec::new() } else { vec![Draw::Letters(COOKIE)] };
    NextSecret { given: wanted.iter().map(|cookie| (COOKIE, (*cookie).to_owned())).collect(), drawn, ..next }
}

#[cfg(test)]
mod tests;

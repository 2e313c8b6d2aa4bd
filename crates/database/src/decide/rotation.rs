//! The rotation of the application's login: by the annotation `temporal-stack.dev/rotate`, or because the user gave another name or
//! password. This file has the request and the state of each login on the server; the order of steps is in
//! `crates/common/src/login/rotation.rs`.

use temporal_stack_common::login::{Bound, Login, LoginState, Rotation, Wanted};

use crate::{
    act::Change,
    observed::{Administered, Known},
};

/// The logins with their state on the server, and which one comes next. `prefix` is that of their Secrets' names.
pub(super) fn rotation<'a>(
    prefix: &str,
    wanted: &Wanted<'_>,
    observed: &'a Administered,
    bound: Option<&'a Bound>,
) -> Rotation<'a> {
    let login_state = observed.server.known().map(|known| |login: &Login| login_state(known, login));
    Rotation::new(prefix, &observed.logins, bound, wanted, login_state)
}

/// The state of a login on the server. A named login has one role: its password changes while sessions stay open.
fn login_state(known: &Known, login: &Login) -> LoginState {
    let role = known.roles.iter().find(|role| role.name == login.username);
    let Some(role) = role else { return LoginState::Absent };
    let has_password = role.verifier.as_ref().is_some_and(|verifier| verifier.is_of(&login.password));
    if has_password && role.plain_login && role.member && role.acts_as_owner {
        LoginState::Usable
    } else if !has_password && !login.named && role.sessions > 0 {
        LoginState::Blocked
    } else {
        LoginState::Unusable
    }
}

/// Creates or repairs the newest login on the server, if it may.
pub(super) fn change(rotation: &Rotation<'_>, known: &Known) -> Option<Change> {
    rotation.to_set().map(|login| Change::SetLogin {
        username: login.username.clone(),
        password: login.password.clone(),
        exists: known.roles.iter().any(|role| role.name == login.username),
    })
}

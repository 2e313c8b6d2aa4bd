//! The next login, the login in the binding, and the Secrets for them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::{Access, Bound, Form, INFIX, Login, NAMED, PASSWORD, ROTATION, USERNAME, numbered};
use crate::{
    address::Endpoint,
    api::DeletionPolicy,
    binding,
    condition::{ROTATION_PENDING, Statement, reason},
    manifest::{Draw, Manifest, secret},
};

/// The login that is wanted.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The prefix of generated names: `_a` or `_b` follows. Absent: the name is drawn.
    pub base: Option<&'a str>,
    /// The name that the user gave.
    pub user: Option<&'a str>,
    /// The password that the user gave it.
    pub password: Option<&'a str>,
    /// The user's newest request for rotation.
    pub rotation: Option<&'a str>,
}

/// The state of a login in the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginState {
    /// It works.
    Usable,
    /// It does not work yet, and applications are still connected by its name, with the previous login of that name.
    Blocked,
    /// The product has it, or a part of it, but it does not work. No application is connected by its name.
    Unusable,
    /// The product has nothing of it. No application is connected by its name.
    Absent,
}

/// The logins of an object, their state in the product, and the conclusions.
#[derive(Debug)]
pub struct Rotation<'a> {
    prefix: String,
    logins: &'a [Login],
    bound: Option<&'a Bound>,
    active: Option<&'a Login>,
    next: Option<NextLogin>,
    /// The state of each login; `None`: the product did not answer.
    login_states: Option<Vec<LoginState>>,
    /// Whether names are drawn.
    is_drawn: bool,
    /// Whether the product has a login that works.
    has_usable: bool,
}

/// A login to create.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct NextLogin {
    /// Its number.
    pub(super) number: u32,
    /// Its name; absent: a random one.
    pub(super) username: Option<String>,
    /// Its password; absent: a random one.
    pub(super) password: Option<String>,
    /// Whether the user named it.
    pub(super) named: bool,
    /// The rotation request for which it is created.
    pub(super) rotation: Option<String>,
}

impl std::fmt::Debug for NextLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NextLogin").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'a> Rotation<'a> {
    /// Decides. `prefix` is the prefix of the Secrets' names; `login_state` returns the state of a login, `None` while the product
    /// does not answer.
    pub fn new(
        prefix: impl Into<String>,
        logins: &'a [Login],
        bound: Option<&'a Bound>,
        wanted: &Wanted<'_>,
        login_state: Option<impl Fn(&Login) -> LoginState>,
    ) -> Self {
        let newest = logins.last();
        let login_states: Option<Vec<LoginState>> =
            login_state.map(|login_state| logins.iter().map(login_state).collect());
        let mut known = logins.iter().zip(login_states.as_deref().unwrap_or_default());
        let usable = known.rfind(|(_, login_state)| **login_state == LoginState::Usable).map(|(login, _)| login);
        let held = || {
            let number = bound?.number?;
            logins.iter().find(|login| login.number == number)
        };
        Self {
            prefix: prefix.into(),
            logins,
            bound,
            active: usable.or_else(held),
            has_usable: usable.is_some(),
            next: next(wanted, newest, bound),
            is_drawn: wanted.user.is_none() && wanted.base.is_none(),
            login_states,
        }
    }

    /// The login that was created last.
    pub fn newest(&self) -> Option<&'a Login> {
        self.logins.last()
    }

    /// The login that the binding must have: the newest that works; while the product does not answer, or has none of them, the
    /// one in the binding.
    pub fn active(&self) -> Option<&'a Login> {
        self.active
    }

    /// Whether a login works; `false` also while the product does not answer.
    pub fn has_usable(&self) -> bool {
        self.has_usable
    }

    /// The newest login, if the rotation to it waits until no application is connected by its name.
    pub fn pending(&self) -> Option<&'a Login> {
        let newest = self.newest().filter(|_| self.newest_state() == Some(LoginState::Blocked))?;
        self.bound.is_some_and(|bound| bound.username != newest.username).then_some(newest)
    }

    /// The newest login, if it must be created or repaired in the product and that may happen now.
    pub fn to_set(&self) -> Option<&'a Login> {
        let is_set = self.newest_state().is_none_or(|login_state| login_state == LoginState::Usable);
        self.newest().filter(|_| !is_set && self.pending().is_none())
    }

    /// The logins that the product must remove: those before the previous one, which works until the next rotation. Only drawn
    /// names, because others are used again.
    pub fn outlived(&self) -> impl Iterator<Item = &'a Login> {
        let is_outlived = |login: &&Login| self.is_drawn && self.previous() != Some(login.number);
        self.past().filter(is_outlived).filter(|login| self.is_present(login))
    }

    /// The name of the Secret of a login.
    pub fn secret(&self, number: u32) -> String {
        format!("{}{INFIX}{number}", self.prefix)
    }

    /// Whether the product has answered.
    pub fn is_known(&self) -> bool {
        self.login_states.is_some()
    }

    /// Whether the product has something of a login, even if it does not work.
    pub fn is_present(&self, login: &Login) -> bool {
        self.login_state(login.number).is_some_and(|login_state| login_state != LoginState::Absent)
    }

    fn newest_state(&self) -> Option<LoginState> {
        self.login_states.as_ref()?.last().copied()
    }

    fn login_state(&self, number: u32) -> Option<LoginState> {
        let index = self.logins.iter().position(|login| login.number == number)?;
        self.login_states.as_ref()?.get(index).copied()
    }

    /// The logins before the active one that the binding no longer has: the login in the binding is kept until it has a newer one.
    fn past(&self) -> impl Iterator<Item = &'a Login> {
        let active = self.active.map(|active| active.number);
        let held = self.bound.and_then(|bound| bound.number);
        let first = active.zip(held).map(|(active, held)| active.min(held)).unwrap_or_default();
        self.logins.iter().filter(move |login| login.number < first)
    }

    /// The number of the newest past login.
    fn previous(&self) -> Option<u32> {
        self.past().last().map(|login| login.number)
    }

    /// Whether a Secret is no longer needed. That of a drawn name is needed until the product has removed the login.
    fn is_outdated(&self, login: &Login) -> bool {
        let is_past = self.past().any(|past| past.number == login.number);
        let is_gone =
            || self.previous() != Some(login.number) && self.login_state(login.number) == Some(LoginState::Absent);
        is_past && (!self.is_drawn || is_gone())
    }

    /// How an application uses the product at an endpoint; `None` until there is a login that works, and a place that it leads to.
    pub fn access(&self, endpoint: Endpoint, scope: Option<&String>) -> Option<Access> {
        let Login { username, password, .. } = self.active?;
        Some(Access { endpoint, username: username.clone(), password: password.clone(), scope: scope?.clone() })
    }

    /// The binding with this access. Its name is created before the access: a conflict should show now.
    pub fn binding(&self, name: &str, form: Form, provider: &str, access: Option<&Access>) -> Manifest {
        self.bind(name, access.map(|access| form.bind(name, provider, access)))
    }

    /// The same with a Secret of another form.
    pub fn bind(&self, name: &str, binding: Option<Secret>) -> Manifest {
        match self.active.zip(binding) {
            Some((login, binding)) => Manifest::new(&numbered(binding, login.number)),
            None => Manifest::new(&binding::reserved(name)).existing(),
        }
    }

    /// The condition of a pending rotation.
    pub fn statement(&self) -> Option<Statement> {
        let pending = self.pending()?;
        let message = format!(
            "rotation to login {0} pending: applications are still connected as {0} since the previous rotation; restart them so that they read the current binding",
            pending.username
        );
        Some(Statement::holds(ROTATION_PENDING, reason::OLD_LOGIN_IN_USE, message))
    }

    /// The desired Secrets: those that the binding may still need, and the next one when it is due.
    pub fn manifests(&self, policy: DeletionPolicy) -> Vec<Manifest> {
        let name = |number: u32| self.secret(number);
        let active = self.active.map(|active| active.number);
        let of_login = |login: &Login| {
            if self.is_outdated(login) {
                return Manifest::absent::<Secret>(&name(login.number));
            }
            // Only its ownership and its number are kept.
            let mut made = numbered(secret(name(login.number), &[]), login.number);
            made.metadata.annotations = Some(annotations(login.named, login.rotation.as_deref()));
            Manifest::new(&made).once(&[]).data(policy)
        };
        let mut manifests: Vec<Manifest> = self.logins.iter().map(of_login).collect();
        // Generated logins alternate, so the next is created when the newest has reached the binding; a named login follows the
        // user.
        let is_settled = self.newest().is_none_or(|newest| active == Some(newest.number));
        if let Some(next) = self.next.as_ref().filter(|next| is_settled || next.named) {
            let keys = [(USERNAME, next.username.as_deref()), (PASSWORD, next.password.as_deref())];
            let drawn: Vec<Draw> =
                keys.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| Draw::Letters(key)).collect();
            let keys: Vec<_> = keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            let mut made = numbered(secret(name(next.number), &keys), next.number);
            made.metadata.annotations = Some(annotations(next.named, next.rotation.as_deref()));
            manifests.push(Manifest::new(&made).once(&drawn).data(policy));
        }
        manifests
    }
}

fn annotations(named: bool, rotation: Option<&str>) -> BTreeMap<String, String> {
    let rotation = rotation.map(|rotation| (ROTATION.to_owned(), rotation.to_owned()));
    [(NAMED.to_owned(), named.to_string())].into_iter().chain(rotation).collect()
}

/// The login that is wanted but does not exist.
///
/// If the Secrets of all logins are lost, numbers continue after the one in the binding, with the other name: the applications
/// that use it must not be disconnected.
fn next(wanted: &Wanted<'_>, newest: Option<&Login>, bound: Option<&Bound>) -> Option<NextLogin> {
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
        let username = wanted.base.map(|base| format!("{base}_{turn}"));
        return Some(NextLogin { number, username, password: None, named: false, rotation });
    };
    let named = |password: Option<&str>| NextLogin {
        number,
        username: Some(user.to_owned()),
        password: password.map(str::to_owned),
        named: true,
        rotation: rotation.clone(),
    };
    match (newest.filter(|login| login.username == user), wanted.password) {
        // The user sets the password, so a rotation is a new password from the user.
        (Some(login), Some(password)) => (login.password != password).then(|| named(Some(password))),
        (Some(login), None) => asked(login).then(|| named(None)),
        (None, password) => Some(named(password)),
    }
}

#[cfg(test)]
mod tests;

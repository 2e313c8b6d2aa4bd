//! Bindings, as an application reads them.

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{binding::text, login};

/// What a binding of a login says.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    /// Which login it holds, counted from 1; 0 where it is not the controller's.
    pub login: u32,
    /// The login's name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// What it leads to: a database, a virtual host.
    pub scope: String,
    /// The host, by its name in the cluster.
    pub host: String,
    /// All of it.
    pub uri: String,
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "login {} {} on {}", self.login, self.username, self.scope)
    }
}

impl Binding {
    /// Reads a binding; `None` if the Secret lacks a key.
    pub fn of(secret: &Secret) -> Option<Self> {
        let key = |key| text(secret, key).map(str::to_owned);
        Some(Self {
            login: login::number(secret).unwrap_or_default(),
            username: key("username")?,
            password: key("password")?,
            scope: key("database").or(key("virtual-host"))?,
            host: key("host")?,
            uri: key("uri")?,
        })
    }
}

//! The fixtures of this crate's tests.

use postgres_protocol::password::scram_sha_256;
use serde_json::Value;
use temporal_stack_common::{
    address::Endpoint,
    api::PostgresDatabase,
    default_source::DefaultSource,
    login::{Bound, Login},
    manifest::Manifest,
    network::Home,
    provider::{External, Provider},
    testkit,
};

use crate::{
    Defaults,
    decide::view::View,
    desire,
    observed::{Embedded, Known, Observed, Server},
    postgres::Role,
};

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> PostgresDatabase {
    testkit::object("temporal", spec)
}

/// The settings of the installation.
pub(crate) fn defaults() -> Defaults {
    Defaults { postgres_image: "postgres:17.6".to_owned(), home: Home::default() }
}

/// Nothing exists yet.
pub(crate) fn observed() -> Observed {
    Observed {
        config: None,
        default_source: DefaultSource::Ours,
        bound: None,
        provider: Provider::Embedded(Box::default()),
    }
}

/// These logins exist, the binding holds that one, and the server answered this.
pub(crate) fn with_logins(logins: &[&Login], bound: Option<&Login>, server: Server) -> Observed {
    let embedded = Embedded {
        logins: logins.iter().map(|login| (*login).clone()).collect(),
        administrator: Some("administrator-password".to_owned()),
        server,
        ..Embedded::default()
    };
    let bound = bound.map(|login| Bound {
        number: Some(login.number),
        username: login.username.clone(),
        scope: "temporal".to_owned(),
    });
    Observed { bound, provider: Provider::Embedded(Box::new(embedded)), ..observed() }
}

/// A server elsewhere, described by a Secret with these keys.
pub(crate) fn external(keys: Option<&[(&str, &str)]>) -> Observed {
    let secret = keys.map(|keys| temporal_stack_common::manifest::secret("theirs".to_owned(), keys));
    Observed { provider: Provider::External(External { name: "theirs".to_owned(), secret }), ..observed() }
}

/// A generated login.
pub(crate) fn login(number: u32, username: &str) -> Login {
    Login {
        number,
        username: username.to_owned(),
        password: format!("password-{number}"),
        named: false,
        rotation: None,
    }
}

/// A server that has the database, and accepts these logins.
pub(crate) fn known(accepted: &[&Login]) -> Known {
    Known {
        endpoint: Endpoint { host: "10.0.0.1".to_owned(), port: 5432 },
        version: "17.6".to_owned(),
        has_owner: true,
        database_owner: Some("temporal_owner".to_owned()),
        roles: accepted.iter().map(|login| role_of(login)).collect(),
    }
}

/// The same, as what the server answered.
pub(crate) fn answers(accepted: &[&Login]) -> Server {
    Server::Known(Box::new(known(accepted)))
}

/// The role of a login, as it should be.
fn role_of(login: &Login) -> Role {
    let verifier = scram_sha_256(login.password.as_bytes()).into();
    Role { verifier: Some(verifier), ..role(&login.username) }
}

/// A role as a login's should be, without a password.
pub(crate) fn role(name: &str) -> Role {
    Role { name: name.to_owned(), plain_login: true, verifier: None, member: true, acts_as_owner: true, sessions: 0 }
}

/// The desired objects.
pub(crate) fn manifests(object: &PostgresDatabase, observed: &Observed) -> Vec<Manifest> {
    desire::desire(&View::new(object, observed), &defaults())
}

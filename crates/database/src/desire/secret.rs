//! Secrets: administrator, logins, binding.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use temporal_stack_common::{
    api::PostgresDatabase,
    binding::{Binding, uri_part},
};

use crate::{
    external::Access,
    login::{self, Login, NUMBER, Next},
    names::{self, ADMINISTRATOR, PASSWORD, PORT, USERNAME},
    observe::Observed,
};

/// The type of the bindings, by the Service Binding specification.
const TYPE: &str = "postgresql";

/// The controller's own administrator; the password is drawn when it is made.
pub(super) fn administrator(object: &PostgresDatabase) -> Secret {
    secret(names::administrator(object), &[(USERNAME, ADMINISTRATOR)])
}

/// A login that has been made: only its ownership is kept.
pub(super) fn login(object: &PostgresDatabase, login: &Login) -> Secret {
    numbered(secret(names::login(object, login.number), &[]), login.number)
}

/// A login that is to be made.
pub(super) fn next_login(object: &PostgresDatabase, next: &Next) -> Secret {
    let mut keys = vec![(USERNAME, next.username.as_str())];
    keys.extend(next.password.as_deref().map(|password| (PASSWORD, password)));
    let mut secret = numbered(secret(names::login(object, next.number), &keys), next.number);
    secret.metadata.annotations = Some(login::annotations(next.named, next.rotation.as_deref()));
    secret
}

/// What an application needs; absent until there is a login that works.
pub(super) fn binding(object: &PostgresDatabase, observed: &Observed) -> Option<Secret> {
    let login = observed.active_login()?;
    let host = format!("{}.{}.svc", names::server(object), object.namespace()?);
    let binding = bind("postgres", &host, PORT, (&login.username, &login.password), observed.active_database()?);
    Some(numbered(binding.secret(&names::binding(object)), login.number))
}

/// The binding before there is anything to say in it.
pub(super) fn reserved_binding(object: &PostgresDatabase) -> Secret {
    Secret { metadata: ObjectMeta { name: Some(names::binding(object)), ..ObjectMeta::default() }, ..Secret::default() }
}

/// The same for a database that somebody else runs.
pub(super) fn external_binding(object: &PostgresDatabase, access: &Access) -> Secret {
    let login = (access.username.as_str(), access.password.as_str());
    let binding = bind("external", &access.address.host, access.address.port, login, &access.database);
    binding.secret(&names::binding(object))
}

fn bind(provider: &str, host: &str, port: u16, (username, password): (&str, &str), database: &str) -> Binding {
    let (user, word, name) = (uri_part(username), uri_part(password), uri_part(database));
    Binding {
        type_: TYPE.to_owned(),
        provider: provider.to_owned(),
        host: host.to_owned(),
        port,
        username: username.to_owned(),
        password: password.to_owned(),
        uri: format!("postgresql://{user}:{word}@{host}:{port}/{name}"),
        more: BTreeMap::from([("database", database.to_owned())]),
    }
}

fn secret(name: String, keys: &[(&str, &str)]) -> Secret {
    let data: BTreeMap<_, _> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
    Secret {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        type_: Some("Opaque".to_owned()),
        data: (!data.is_empty()).then_some(data),
        ..Secret::default()
    }
}

fn numbered(mut secret: Secret, number: u32) -> Secret {
    secret.metadata.labels.get_or_insert_default().insert(NUMBER.to_owned(), number.to_string());
    secret
}

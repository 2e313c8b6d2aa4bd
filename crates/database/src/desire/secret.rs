//! Secrets: administrator, logins, binding.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use temporal_stack_common::{
    api::PostgresDatabase,
    binding::{Binding, authority, uri_part},
    login::{USERNAME, numbered, secret},
};

use crate::{
    external::Access,
    names::{self, ADMINISTRATOR, PORT},
    observe::Observed,
};

/// The type of the bindings, by the Service Binding specification.
const TYPE: &str = "postgresql";

/// The controller's own administrator; the password is drawn when it is made.
pub(super) fn administrator(object: &PostgresDatabase) -> Secret {
    secret(names::administrator(object), &[(USERNAME, ADMINISTRATOR)])
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
        uri: format!("postgresql://{user}:{word}@{}/{name}", authority(host, port)),
        more: BTreeMap::from([("database", database.to_owned())]),
    }
}

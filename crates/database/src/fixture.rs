//! The fixtures of this crate's tests.

use postgres_protocol::password::scram_sha_256;
use serde_json::{Value, json};
use temporal_stack_common::{
    address::Endpoint,
    api::PostgresDatabase,
    default_source::DefaultSource,
    login::{Bound, Login},
    manifest::Manifest,
    network::Home,
    provider::External,
    testkit,
};

use crate::{
    Defaults,
    cloud_native_pg::{self, Cluster},
    decide, desire,
    observed::{Administered, Known, Observed, Provider, Runner, Server, Traces},
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
        traces: Traces::default(),
        moving: None,
        provider: Provider::Administered(Box::default()),
    }
}

/// These logins exist, the binding holds that one, and the server answered this.
pub(crate) fn with_logins(logins: &[&Login], bound: Option<&Login>, server: Server) -> Observed {
    let known = Administered {
        logins: logins.iter().map(|login| (*login).clone()).collect(),
        administrator: Some("administrator-password".to_owned()),
        server,
        ..Administered::default()
    };
    let bound = bound.map(|login| Bound {
        number: Some(login.number),
        username: login.username.clone(),
        scope: "temporal".to_owned(),
    });
    Observed { bound, provider: Provider::Administered(Box::new(known)), ..observed() }
}

/// A database that CloudNativePG runs: its cluster, and the logins, of which the binding holds that one. The server accepts all of them.
pub(crate) fn delegated(cluster: Option<Cluster>, logins: &[&Login], bound: Option<&Login>) -> Observed {
    let found = cloud_native_pg::Observed { cluster, ..cloud_native_pg::Observed::default() };
    delegated_as(found, logins, bound)
}

/// The same with all that is known of CloudNativePG.
pub(crate) fn delegated_as(found: cloud_native_pg::Observed, logins: &[&Login], bound: Option<&Login>) -> Observed {
    let has_server = found.cluster.is_some();
    let mut observed = with_logins(logins, bound, if has_server { answers(logins) } else { Server::Absent });
    if let Provider::Administered(server) = &mut observed.provider {
        server.service = has_server.then(|| Endpoint { host: "10.96.0.7".to_owned(), port: 5432 });
        server.runner = Runner::CloudNativePg(Box::new(found));
    }
    observed
}

/// A healthy cluster of three servers, with this change of its fields.
pub(crate) fn cluster(change: &Value) -> Cluster {
    let mut cluster = json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": {"name": "temporal-postgresdatabase", "uid": "cluster-uid", "generation": 1},
        "spec": {"instances": 3},
        "status": {
            "phase": "Cluster in healthy state", "instances": 3, "readyInstances": 3,
            "currentPrimary": "temporal-postgresdatabase-1", "targetPrimary": "temporal-postgresdatabase-1",
            "image": "postgres:17.6", "cloudNativePGOperatorHash": "a",
        },
    });
    merge(&mut cluster, change);
    serde_json::from_value(cluster).unwrap()
}

/// The same with the spec that the object wants.
pub(crate) fn applied(object: &PostgresDatabase, change: &Value) -> Cluster {
    let manifests = manifests(object, &delegated(None, &[], None));
    let wanted = manifests.into_iter().find(|manifest| manifest.resource.kind == "Cluster");
    let mut fields = json!({"spec": wanted.map(|wanted| wanted.object["spec"].clone())});
    merge(&mut fields, change);
    cluster(&fields)
}

fn merge(object: &mut Value, change: &Value) {
    match change.as_object() {
        Some(fields) => fields.iter().for_each(|(key, value)| merge(&mut object[key], value)),
        None => object.clone_from(change),
    }
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
        owner_can_log_in: false,
        database_owner: Some("temporal_owner".to_owned()),
        is_open: true,
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
    Role {
        name: name.to_owned(),
        plain_login: true,
        verifier: None,
        can_log_in: true,
        member: true,
        acts_as_owner: true,
        sessions: 0,
    }
}

/// The desired objects.
pub(crate) fn manifests(object: &PostgresDatabase, observed: &Observed) -> Vec<Manifest> {
    desire::desire(&decide::view(object, observed), &defaults())
}

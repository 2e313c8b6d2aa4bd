//! Every stage of a database's life → all manifests as YAML: reviewing them is reading Kubernetes objects.

use serde_json::json;
use temporal_stack_common::{
    api::PostgresDatabase,
    condition::{CONFIG_HONOURED, Statement, reason},
    login::{Bound, Login},
    manifest::Manifest,
    network::Home,
    published::CREDENTIALS_PRIVATE,
    testkit::{
        bill,
        limits::too_long,
        reach::{Endpoint, Reach},
    },
};

use super::desire;
use crate::{
    Defaults,
    external::Access,
    observe::{Embedded, Known, Observed, Server, Source},
    postgres::{Address, Role},
    settings::Settings,
};

fn object(spec: &serde_json::Value) -> PostgresDatabase {
    serde_json::from_value(json!({
        "apiVersion": "temporal-stack.dev/v1alpha1",
        "kind": "PostgresDatabase",
        "metadata": {"name": "temporal", "namespace": "default", "uid": "0"},
        "spec": spec,
    }))
    .unwrap()
}

fn login(number: u32, username: &str) -> Login {
    Login {
        number,
        username: username.to_owned(),
        password: format!("password-{number}"),
        named: false,
        rotation: None,
    }
}

fn known(accepted: &[&Login]) -> Server {
    let role = |login: &&Login| Role {
        name: login.username.clone(),
        plain_login: true,
        member: true,
        acts_as_owner: true,
        sessions: 0,
    };
    Server::Known(Box::new(Known {
        address: Address { host: "10.0.0.1".to_owned(), port: 5432 },
        password: "secret".to_owned(),
        version: "17.6".to_owned(),
        has_owner: true,
        database_owner: Some("temporal_owner".to_owned()),
        roles: accepted.iter().map(role).collect(),
        accepted: accepted.iter().map(|login| login.number).collect(),
    }))
}

fn observed(object: &PostgresDatabase, logins: Vec<Login>, bound: Option<&Login>, server: Server) -> Observed {
    Observed {
        settings: Settings {
            database: "temporal".to_owned(),
            user: None,
            password: None,
            honoured: Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, ""),
        },
        obstacle: None,
        source: Source::Embedded(Box::new(Embedded {
            provider: object.spec.provider.postgres.clone().unwrap_or_default(),
            logins,
            rotation: None,
            restart: None,
            service: None,
            server,
        })),
        bound: bound.map(|login| Bound {
            number: Some(login.number),
            username: login.username.clone(),
            place: "temporal".to_owned(),
        }),
    }
}

fn manifests(object: &PostgresDatabase, observed: &Observed) -> Vec<Manifest> {
    desire(object, observed, &Defaults { postgres_image: "postgres:17.6".to_owned(), home: Home::default() })
}

#[test]
fn an_empty_spec_makes_a_whole_server_and_draws_its_secrets() {
    let object = object(&json!({}));
    let observed = observed(&object, Vec::new(), None, Server::Absent);
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn everything_that_can_be_said_of_a_server_is_in_its_manifests() {
    let object = object(&json!({
        "provider": {"postgres": {
            "image": "example/postgres:16",
            "storage": {"size": "20Gi", "storageClassName": "fast"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "4Gi"}},
            "parameters": {"max_connections": "200"},
        }},
        "deletionPolicy": "Delete",
    }));
    let first = login(1, "temporal_a");
    let observed = observed(&object, vec![first.clone()], None, known(&[&first]));
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn a_rotation_reaches_the_server_before_the_binding_and_the_old_secret_goes_last() {
    let object = object(&json!({}));
    let (first, second) = (login(1, "temporal_a"), login(2, "temporal_b"));
    let both = || vec![first.clone(), second.clone()];
    let summary = |bound: &Login, server| {
        let all = manifests(&object, &observed(&object, both(), Some(bound), server));
        let secrets = all.iter().filter(|manifest| manifest.resource.kind == "Secret");
        let line = |manifest: &Manifest| {
            let number = manifest.object.pointer("/metadata/labels/temporal-stack.dev~1login");
            format!("{} {:?} {}", manifest.name(), manifest.making, number.unwrap_or_default())
        };
        secrets.map(line).collect::<Vec<_>>().join("\n")
    };
    let before = summary(&first, known(&[&first]));
    let server_has_it = summary(&first, known(&[&first, &second]));
    let binding_has_it = summary(&second, known(&[&first, &second]));
    let server_is_away = summary(&second, Server::Absent);
    insta::assert_snapshot!(format!(
        "the server lacks it:\n{before}\n\nthe server has it:\n{server_has_it}\n\nthe binding has it:\n{binding_has_it}\n\nthe server is away:\n{server_is_away}"
    ));
}

#[test]
fn somebody_elses_database_needs_a_binding_only() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let access = Access {
        address: Address { host: "db.example.com".to_owned(), port: 6432 },
        username: "app".to_owned(),
        password: "a b'c".to_owned(),
        database: "app".to_owned(),
    };
    let observed =
        Observed { source: Source::External(Some(access)), ..observed(&object, Vec::new(), None, Server::Absent) };
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn listed_clients_and_controllers_alone_reach_the_server() {
    let open = |spec, from: &Endpoint| {
        let object = object(&spec);
        let manifests = manifests(&object, &observed(&object, Vec::new(), None, Server::Absent));
        let reach = Reach::new("default", &manifests);
        assert_eq!(reach.declared(), [("temporal-postgresdatabase", 5432)]);
        [22, 5432].map(|port| reach.allows(from, "temporal-postgresdatabase", port))
    };
    let temporal = Endpoint::new("default", &[("app.kubernetes.io/component", "temporal")]);
    for client in [&temporal, &Endpoint::stranger(), &Endpoint::controller("database")] {
        assert_eq!(open(json!({}), client), [false, true], "{client:?}");
    }
    let listed = json!({"access": {
        "clients": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "temporal"}}}],
    }});
    for client in [&temporal, &Endpoint::controller("database"), &Endpoint::controller("temporal")] {
        assert_eq!(open(listed.clone(), client), [false, true], "{client:?}");
    }
    assert_eq!(open(listed, &Endpoint::stranger()), [false, false]);
}

#[test]
fn the_longest_name_fits_wherever_it_is_used() {
    let mut object = object(&json!({}));
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let manifests = manifests(&object, &observed(&object, Vec::new(), None, Server::Absent));
    assert_eq!(too_long(&manifests, 1), [] as [String; 0]);
}

#[test]
fn a_published_password_in_use_is_told_with_the_commands() {
    let object = object(&json!({}));
    let stated = |password: &str| {
        let login = Login { password: password.to_owned(), ..login(1, "postgres") };
        let observed = observed(&object, vec![login.clone()], None, known(&[&login]));
        let statements = crate::progress::statements(&object, &observed);
        let statement = statements.iter().find(|statement| statement.kind() == CREDENTIALS_PRIVATE);
        format!("{:?}", statement.unwrap())
    };
    let told = stated("password123");
    assert!(told.contains("holds: false") && told.contains("PublishedCredential"), "{told}");
    assert!(told.contains("kubectl patch postgresdatabase temporal -n default --type merge"), "{told}");
    assert!(!told.contains("password123") && stated("drawn").contains("holds: true"), "{told}");
}

//! Snapshots of all manifests as YAML, for every stage of a database, to be reviewed as Kubernetes objects.

mod moving;

use serde_json::json;
use temporal_stack_common::{
    login::Login,
    manifest::Manifest,
    testkit::{
        bill,
        limits::too_long,
        mistaken_ports,
        reach::{Endpoint, Reach},
        requests,
    },
};

use crate::{
    Database,
    fixture::{answers, applied, defaults, delegated, external, login, manifests, object, observed, with_logins},
    observed::Server,
};

#[test]
fn empty_spec_makes_a_server_and_draws_its_secrets() {
    let object = object(&json!({}));
    insta::assert_snapshot!(bill(&manifests(&object, &observed())));
}

#[test]
fn full_spec_is_in_the_manifests() {
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
    let observed = with_logins(&[&first], None, answers(&[&first]));
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn rotation_reaches_the_server_before_the_binding() {
    let object = object(&json!({}));
    let (first, second) = (login(1, "temporal_a"), login(2, "temporal_b"));
    let summary = |bound: &Login, server| {
        let all = manifests(&object, &with_logins(&[&first, &second], Some(bound), server));
        let secrets = all.iter().filter(|manifest| manifest.resource.kind == "Secret");
        let line = |manifest: &Manifest| {
            let number = manifest.object.pointer("/metadata/labels/temporal-stack.dev~1login");
            format!("{} {:?} {}", manifest.name(), manifest.mode, number.unwrap_or_default())
        };
        secrets.map(line).collect::<Vec<_>>().join("\n")
    };
    let before = summary(&first, answers(&[&first]));
    let server_has_it = summary(&first, answers(&[&first, &second]));
    let binding_has_it = summary(&second, answers(&[&first, &second]));
    let server_is_away = summary(&second, Server::Absent);
    insta::assert_snapshot!(format!(
        "the server lacks it:\n{before}\n\nthe server has it:\n{server_has_it}\n\nthe binding has it:\n{binding_has_it}\n\nthe server is away:\n{server_is_away}"
    ));
}

#[test]
fn cluster_of_cloud_native_pg_draws_its_secrets_first() {
    let object = object(&json!({"provider": {"cloudNativePg": {}}}));
    insta::assert_snapshot!(bill(&manifests(&object, &delegated(None, &[], None))));
}

#[test]
fn full_spec_is_in_the_cluster() {
    let object = object(&json!({
        "provider": {"cloudNativePg": {
            "instances": 5,
            "imageCatalogRef": {"kind": "ClusterImageCatalog", "name": "postgresql", "major": 17},
            "runAsUser": 999,
            "storage": {"size": "20Gi", "storageClassName": "fast"},
            "walStorage": {"size": "5Gi"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "4Gi"}},
            "parameters": {"max_connections": "200"},
            "synchronous": {"number": 1},
        }},
        "deletionPolicy": "Delete",
    }));
    let first = login(1, "temporal_a");
    let live = applied(&object, &json!({}));
    insta::assert_snapshot!(bill(&manifests(&object, &delegated(Some(live), &[&first], Some(&first)))));
}

#[test]
fn servers_of_a_cluster_are_open_to_clients_and_the_operator() {
    let open = |spec, from: &Endpoint| {
        let manifests = manifests(&object(&spec), &delegated(None, &[], None));
        let policy = manifests.iter().find(|manifest| manifest.resource.kind == "NetworkPolicy").unwrap();
        let reach = Reach::new("default", std::slice::from_ref(policy));
        let labels = [("cnpg.io/cluster", "temporal-postgresdatabase"), ("cnpg.io/podRole", "instance")];
        let pod = Endpoint::new("default", &labels);
        [22, 5432, 8000, 9187].map(|port| reach.allows_to(from, &pod, port))
    };
    let spec = |access| json!({"provider": {"cloudNativePg": {}}, "access": access});
    assert_eq!(open(spec(json!({})), &Endpoint::stranger()), [false, true, false, false]);
    let operator = Endpoint::new("elsewhere", &[("app.kubernetes.io/name", "cloudnative-pg")]);
    assert_eq!(open(spec(json!({"clients": []})), &operator), [false, false, true, false]);
    let replica = Endpoint::new("default", &[("cnpg.io/cluster", "temporal-postgresdatabase")]);
    let closed = spec(json!({"clients": []}));
    assert_eq!(open(closed.clone(), &replica), [false, true, true, false]);
    assert_eq!(open(closed.clone(), &Endpoint::controller("database")), [false, true, false, false]);
    assert_eq!(open(closed, &Endpoint::stranger()), [false; 4]);
}

#[test]
fn external_database_needs_a_binding_only() {
    let object = object(&json!({"provider": {"external": {"secretName": "theirs"}}}));
    let keys =
        [("host", "db.example.com"), ("port", "6432"), ("username", "app"), ("password", "a b'c"), ("database", "app")];
    let observed = external(Some(&keys));
    insta::assert_snapshot!(bill(&manifests(&object, &observed)));
}

#[test]
fn listed_clients_and_controllers_alone_reach_the_server() {
    let open = |spec, from: &Endpoint| {
        let object = object(&spec);
        let manifests = manifests(&object, &observed());
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
fn mesh_learns_the_protocol_of_each_port() {
    assert_eq!(mistaken_ports(&manifests(&object(&json!({})), &observed())), [] as [String; 0]);
}

#[test]
fn longest_name_fits_wherever_it_is_used() {
    let mut object = object(&json!({}));
    object.metadata.name = Some("a".repeat(35));
    object.metadata.namespace = Some("n".repeat(63));
    let manifests = manifests(&object, &observed());
    assert_eq!(too_long(&manifests, 1), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn new_cluster_is_created_once_behind_a_finalizer() {
    let requests = requests(Database::new(defaults()), json!({"provider": {"cloudNativePg": {}}})).await;
    let writes: Vec<&String> = requests
        .iter()
        .filter(|request| !request.starts_with("get ") && !request.contains("events/") && !request.contains("/status"))
        .collect();
    assert_eq!(writes[0], "patch postgresdatabases/temporal", "{requests:#?}");
    assert_eq!(writes.iter().filter(|write| write.starts_with("create clusters/")).count(), 1, "{requests:#?}");
    // The finalizer, the Secrets of the administrator and the login, the policy and the cluster; then its admission is asked for.
    assert_eq!(writes.iter().filter(|write| !write.starts_with("patch clusters/")).count(), 5, "{requests:#?}");
}

#[tokio::test(start_paused = true)]
async fn new_object_causes_one_status_and_one_event() {
    let requests = requests(Database::new(defaults()), json!({})).await;
    let count = |beginning: &str| requests.iter().filter(|request| request.starts_with(beginning)).count();
    // Two Services, the account, the policy, the set, and the Secrets of the administrator and the login.
    assert_eq!(count("create ") - count("create events/"), 7, "{requests:#?}");
    assert_eq!(count("patch postgresdatabases/status/"), 1, "{requests:#?}");
    assert_eq!(count("create events/"), 1, "{requests:#?}");
}

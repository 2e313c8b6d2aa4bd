use serde_json::json;

use super::*;

fn pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "database-0", "labels": {"component": "database"}},
        "spec": {"containers": [{
            "name": "postgres",
            "ports": [{"name": "postgresql", "containerPort": 5432}, {"name": "web", "containerPort": 80}],
            "readinessProbe": {"httpGet": {"path": "/", "port": "web"}},
        }]},
        "status": {"podIP": "10.0.0.5"},
    }))
    .unwrap()
}

fn server(name: &str, created: &str, access: &str) -> Value {
    json!({
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"podSelector": {"matchLabels": {"component": "database"}}, "port": "postgresql", "accessPolicy": access},
    })
}

fn authorization(kind: &str, name: &str) -> Value {
    json!({"metadata": {"name": "allow"}, "spec": {
        "targetRef": {"group": POLICY, "kind": "Server", "name": "database"},
        "requiredAuthenticationRefs": [{"group": POLICY, "kind": kind, "name": name}],
    }})
}

fn networks(name: &str, networks: &Value) -> Value {
    json!({"kind": "NetworkAuthentication", "metadata": {"name": name}, "spec": {"networks": networks}})
}

fn identities(name: &str, spec: &Value) -> Value {
    json!({"kind": "MeshTLSAuthentication", "metadata": {"name": name}, "spec": spec})
}

fn meshed(account: &str) -> Client {
    let account = Some(("mesh".to_owned(), account.to_owned()));
    Client { address: [10, 0, 0, 9].into(), account, is_node: false }
}

fn plain(address: [u8; 4]) -> Client {
    Client { address: address.into(), account: None, is_node: false }
}

fn deny(authorizations: Vec<Value>, authentications: Vec<Value>) -> Policies {
    Policies::new("mesh", vec![server("database", "2026-01-01T00:00:00Z", "deny")], authorizations, authentications)
}

#[test]
fn identity_of_a_service_account_is_allowed_and_no_other() {
    let spec = json!({"identityRefs": [{"kind": "ServiceAccount", "name": "temporal"}]});
    let policies = deny(vec![authorization("MeshTLSAuthentication", "ours")], vec![identities("ours", &spec)]);
    assert!(policies.verdict(&meshed("temporal"), &pod(), 5432).is_allowed());
    for client in [meshed("default"), plain([10, 0, 0, 9])] {
        assert_eq!(policies.verdict(&client, &pod(), 5432), Verdict::Denied("Server/database: deny".to_owned()));
    }
}

#[test]
fn identity_may_be_written_out_or_begin_with_a_star() {
    let identity = |text: &str| {
        let spec = json!({"identities": [text]});
        let policies = deny(vec![authorization("MeshTLSAuthentication", "ours")], vec![identities("ours", &spec)]);
        policies.verdict(&meshed("temporal"), &pod(), 5432).is_allowed()
    };
    assert!(identity("temporal.mesh.serviceaccount.identity.linkerd.cluster.local"));
    assert!(identity("*.mesh.serviceaccount.identity.linkerd.cluster.local"));
    assert!(identity("*"));
    assert!(!identity("*.other.serviceaccount.identity.linkerd.cluster.local"));
}

#[test]
fn addresses_are_allowed_by_network_without_exceptions() {
    let all = json!([{"cidr": "10.0.0.0/24", "except": ["10.0.0.7/32"]}]);
    let policies = deny(vec![authorization("NetworkAuthentication", "near")], vec![networks("near", &all)]);
    assert!(policies.verdict(&plain([10, 0, 0, 8]), &pod(), 5432).is_allowed());
    assert!(!policies.verdict(&plain([10, 0, 0, 7]), &pod(), 5432).is_allowed());
    assert!(!policies.verdict(&plain([10, 0, 1, 8]), &pod(), 5432).is_allowed());
}

#[test]
fn authorization_without_its_authentication_counts_for_nothing() {
    let policies = deny(vec![authorization("NetworkAuthentication", "gone")], Vec::new());
    assert!(!policies.verdict(&plain([10, 0, 0, 8]), &pod(), 5432).is_allowed());
    let mut everybody = authorization("NetworkAuthentication", "gone");
    everybody["spec"]["requiredAuthenticationRefs"] = json!([]);
    assert!(deny(vec![everybody], Vec::new()).verdict(&plain([10, 0, 0, 8]), &pod(), 5432).is_allowed());
}

#[test]
fn oldest_of_several_servers_counts() {
    let servers = vec![
        server("database", "2026-01-02T00:00:00Z", "deny"),
        server("theirs", "2026-01-01T00:00:00Z", "all-unauthenticated"),
    ];
    let policies = Policies::new("mesh", servers, Vec::new(), Vec::new());
    let verdict = policies.verdict(&plain([10, 0, 0, 8]), &pod(), 5432);
    assert_eq!(verdict, Verdict::Allowed("Server/theirs: all-unauthenticated".to_owned()));
    assert!(!policies.enforced().verdict(&plain([10, 0, 0, 8]), &pod(), 5432).is_allowed());
}

#[test]
fn port_without_a_server_has_the_default_of_its_pod() {
    let policies = deny(Vec::new(), Vec::new());
    assert!(policies.verdict(&plain([10, 0, 0, 8]), &pod(), 80).is_allowed());
    let mut closed = pod();
    let annotations = [("config.linkerd.io/default-inbound-policy".to_owned(), "deny".to_owned())];
    closed.metadata.annotations = Some(annotations.into());
    assert!(!policies.verdict(&plain([10, 0, 0, 8]), &closed, 80).is_allowed());
}

#[test]
fn pod_itself_and_skipped_ports_are_not_judged() {
    let policies = deny(Vec::new(), Vec::new());
    assert!(policies.verdict(&plain([10, 0, 0, 5]), &pod(), 5432).is_allowed());
    assert!(policies.verdict(&plain([10, 0, 0, 8]), &pod(), 4191).is_allowed());
    let mut skipped = pod();
    let annotations = [("config.linkerd.io/skip-inbound-ports".to_owned(), "25,5000-5500".to_owned())];
    skipped.metadata.annotations = Some(annotations.into());
    assert!(policies.verdict(&plain([10, 0, 0, 8]), &skipped, 5432).is_allowed());
}

#[test]
fn kubelet_may_ask_ports_with_an_http_probe_only() {
    let mut web = server("database", "2026-01-01T00:00:00Z", "deny");
    web["spec"]["port"] = json!(80);
    let servers = vec![web, server("sql", "2026-01-01T00:00:00Z", "deny")];
    let policies = Policies::new("mesh", servers, Vec::new(), Vec::new());
    let kubelet = Client { is_node: true, ..plain([10, 0, 0, 1]) };
    assert!(policies.verdict(&kubelet, &pod(), 80).is_allowed());
    assert!(!policies.verdict(&kubelet, &pod(), 5432).is_allowed());
}

//! Linkerd's rules, each as the facts about it state them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use temporal_stack_common::api::ComponentKind;

use super::{
    audit::{Foreign, Peer, Seen, audit},
    *,
};
use crate::{
    policy::{Mode, derive},
    stack::{
        Stack,
        edges::wanted,
        example::{NAMESPACE, address, id, whole},
    },
};

fn installation(default: DefaultInboundPolicy) -> Installation {
    Installation {
        namespace: "linkerd".to_owned(),
        trust_domain: "cluster.local".to_owned(),
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        default,
    }
}

fn pod() -> Pod {
    Pod {
        name: "peer".to_owned(),
        component: id(ComponentKind::IpfsCluster),
        labels: BTreeMap::from([("app".to_owned(), "peer".to_owned())]),
        account: "peer".to_owned(),
        addresses: BTreeSet::from([address(9)]),
        is_proxied: true,
        unproxied: BTreeSet::from([4001]),
        default: None,
    }
}

fn policies(objects: &[(&str, Value)]) -> Policies {
    let mut policies = Policies::default();
    for (kind, object) in objects {
        policies.add(kind, object, NAMESPACE);
    }
    policies
}

fn server(name: &str, created: Option<&str>, port: impl Into<Value>, access: Option<&str>) -> (&'static str, Value) {
    let port: Value = port.into();
    let mut server = json!({
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": "peer"}}, "port": port},
    });
    if let Some(created) = created {
        server["metadata"]["creationTimestamp"] = json!(created);
    }
    if let Some(access) = access {
        server["spec"]["accessPolicy"] = json!(access);
    }
    ("Server", server)
}

fn policy(name: &str, target: (&str, &str), refs: &[(&str, &str)]) -> (&'static str, Value) {
    let refs: Vec<Value> = refs.iter().map(|(kind, name)| json!({"kind": kind, "name": name})).collect();
    let target = json!({"group": "policy.linkerd.io", "kind": target.0, "name": target.1});
    let spec = json!({"targetRef": target, "requiredAuthenticationRefs": refs});
    ("AuthorizationPolicy", json!({"metadata": {"name": name}, "spec": spec}))
}

fn mesh(name: &str, spec: &Value) -> (&'static str, Value) {
    ("MeshTLSAuthentication", json!({"metadata": {"name": name}, "spec": spec}))
}

fn network(name: &str, networks: &Value) -> (&'static str, Value) {
    ("NetworkAuthentication", json!({"metadata": {"name": name}, "spec": {"networks": networks}}))
}

fn meshed(account: &str, namespace: &str) -> Client {
    let identity = format!("{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local");
    Client { identity: Some(identity), address: Some(address(50)) }
}

fn unmeshed(address: &str) -> Client {
    Client { identity: None, address: Some(address.parse().unwrap()) }
}

/// What a proxy does with a connection to port 5001, which is called `rpc`.
fn verdict(objects: &[(&str, Value)], client: &Client) -> Result<(), Why> {
    verdict_at(objects, client, 5001, None, &pod())
}

fn verdict_at(objects: &[(&str, Value)], client: &Client, port: u16, path: Option<&str>, pod: &Pod) -> Result<(), Why> {
    let ports = vec![("rpc", 5001), ("swarm", 4001)];
    let target = Target { namespace: NAMESPACE, pod, ports, probes: vec![(5001, "/health")] };
    let connection = Connection { client, target: &target, port, path };
    evaluate(&policies(objects), &installation(DefaultInboundPolicy::AllUnauthenticated), &connection)
}

#[test]
fn oldest_server_counts_and_then_the_first_by_name() {
    let objects = |theirs: Option<&str>, ours: Option<&str>| {
        [server("theirs", theirs, 5001, Some("all-unauthenticated")), server("ours", ours, "rpc", None)]
    };
    let (old, new) = (Some("2026-01-01T00:00:00Z"), Some("2026-02-01T00:00:00Z"));
    let client = meshed("a", "b");
    assert_eq!(verdict(&objects(old, new), &client), Ok(()));
    assert_eq!(verdict(&objects(old, None), &client), Ok(()), "ours does not exist yet");
    for (theirs, ours) in [(new, old), (old, old), (None, old)] {
        let why = verdict(&objects(theirs, ours), &client).unwrap_err();
        assert_eq!(why.server.as_deref(), Some("ours"), "{theirs:?} {ours:?}");
    }
}

#[test]
fn server_for_a_name_that_no_container_has_selects_nothing() {
    // The number of a port as text is a name, too.
    for name in ["nothing", "5001"] {
        let objects = [server("other", None, name, None)];
        assert_eq!(verdict(&objects, &meshed("a", "b")), Ok(()), "{name}");
    }
    assert!(verdict(&[server("other", None, 5001, None)], &meshed("a", "b")).is_err());
    let objects = [server("other", None, "nothing", None)];
    let mut pod = pod();
    pod.default = Some(DefaultInboundPolicy::Deny);
    let denied = verdict_at(&objects, &meshed("a", "b"), 5001, None, &pod);
    assert_eq!(denied, Err(Why { server: None, ignored: Vec::new() }));
}

#[test]
fn fallbacks_accept_whom_they_name() {
    let clients = [meshed("a", "b"), unmeshed("10.1.1.1"), unmeshed("8.8.8.8")];
    for (access, accepted) in [
        ("deny", [false, false, false]),
        ("audit", [true, true, true]),
        ("all-unauthenticated", [true, true, true]),
        ("all-authenticated", [true, false, false]),
        ("cluster-unauthenticated", [true, true, false]),
        ("cluster-authenticated", [true, false, false]),
        ("something", [false, false, false]),
    ] {
        let objects = [server("s", None, 5001, Some(access))];
        assert_eq!(clients.each_ref().map(|client| verdict(&objects, client).is_ok()), accepted, "{access}");
    }
}

#[test]
fn policy_needs_all_of_its_authentications() {
    let objects = [
        server("s", None, 5001, None),
        policy("p", ("Server", "s"), &[("MeshTLSAuthentication", "m"), ("NetworkAuthentication", "n")]),
        mesh("m", &json!({"identityRefs": [{"kind": "ServiceAccount", "name": "temporal"}]})),
        network("n", &json!([{"cidr": "10.244.0.0/16", "except": ["10.244.0.60/32"]}])),
    ];
    assert_eq!(verdict(&objects, &meshed("temporal", NAMESPACE)), Ok(()));
    let excepted = Client { address: Some(address(60)), ..meshed("temporal", NAMESPACE) };
    for client in [meshed("temporal", "elsewhere"), meshed("default", NAMESPACE), unmeshed("10.244.0.9"), excepted] {
        assert!(verdict(&objects, &client).is_err(), "{client:?}");
    }
}

#[test]
fn policy_with_a_missing_authentication_is_ignored() {
    let objects = [server("s", None, 5001, None), policy("p", ("Server", "s"), &[("NetworkAuthentication", "gone")])];
    let why = verdict(&objects, &unmeshed("10.244.0.9")).unwrap_err();
    assert_eq!(why.ignored, ["AuthorizationPolicy/p is ignored: NetworkAuthentication/gone does not exist"]);
    let two = policy("two", ("Server", "s"), &[("ServiceAccount", "a"), ("MeshTLSAuthentication", "m")]);
    let objects = [server("s", None, 5001, None), two, mesh("m", &json!({"identities": ["*"]}))];
    assert!(verdict(&objects, &meshed("a", NAMESPACE)).is_err());
}

#[test]
fn identities_are_written_in_several_ways() {
    let (account, other) = (meshed("temporal", NAMESPACE), meshed("temporal.mesh", "elsewhere"));
    for (spec, accepted) in [
        (json!({"identities": ["*"]}), [true, true]),
        (json!({"identities": [account.identity]}), [true, false]),
        (
            json!({"identities": [format!("*.{NAMESPACE}.serviceaccount.identity.linkerd.cluster.local")]}),
            [true, false],
        ),
        (json!({"identityRefs": [{"kind": "Namespace", "name": NAMESPACE}]}), [true, false]),
        (json!({"identityRefs": [{"kind": "ServiceAccount", "name": "temporal", "namespace": "x"}]}), [false, false]),
        (json!({}), [false, false]),
    ] {
        let objects = [
            server("s", None, 5001, None),
            policy("p", ("Server", "s"), &[("MeshTLSAuthentication", "m")]),
            mesh("m", &spec),
        ];
        assert_eq!([&account, &other].map(|client| verdict(&objects, client).is_ok()), accepted, "{spec}");
    }
    let direct = [server("s", None, 5001, None), policy("p", ("Server", "s"), &[("ServiceAccount", "temporal")])];
    assert_eq!([&account, &other].map(|client| verdict(&direct, client).is_ok()), [true, false]);
}

#[test]
fn networks_of_both_families_admit() {
    let objects = [
        server("s", None, 5001, None),
        policy("p", ("Server", "s"), &[("NetworkAuthentication", "n")]),
        network("n", &json!([{"cidr": "10.244.0.6/32"}, {"cidr": "fd00:10::/64"}, {"cidr": "nonsense"}])),
    ];
    for (address, accepted) in [
        ("10.244.0.6", true),
        ("::ffff:10.244.0.6", true),
        ("10.244.0.7", false),
        ("fd00:10::9", true),
        ("fd01::1", false),
    ] {
        assert_eq!(verdict(&objects, &unmeshed(address)).is_ok(), accepted, "{address}");
    }
}

#[test]
fn policy_without_authentications_admits_all_and_one_of_a_namespace_counts() {
    let server = || server("s", None, 5001, None);
    let stranger = unmeshed("8.8.8.8");
    assert_eq!(verdict(&[server(), policy("p", ("Server", "s"), &[])], &stranger), Ok(()));
    assert_eq!(verdict(&[server(), policy("p", ("Namespace", NAMESPACE), &[])], &stranger), Ok(()));
    for target in [("Namespace", "elsewhere"), ("Server", "other"), ("HTTPRoute", "s")] {
        assert!(verdict(&[server(), policy("p", target, &[])], &stranger).is_err(), "{target:?}");
    }
}

#[test]
fn probes_pass_until_a_route_has_the_server_as_its_parent() {
    let objects = vec![server("s", None, 5001, None)];
    let kubelet = unmeshed("192.168.0.7");
    let asked = |objects: &[(&str, Value)], path| verdict_at(objects, &kubelet, 5001, Some(path), &pod()).is_ok();
    assert!(asked(&objects, "/health") && !asked(&objects, "/id"));
    let route = json!({"metadata": {"name": "r"}, "spec": {"parentRefs": [{"kind": "Server", "name": "s"}]}});
    assert!(!asked(&[objects, vec![("HTTPRoute", route)]].concat(), "/health"));
}

#[test]
fn nothing_is_denied_where_no_proxy_is() {
    let objects = [server("s", None, 5001, None), server("t", None, 4001, None)];
    let stranger = unmeshed("8.8.8.8");
    assert!(verdict(&objects, &stranger).is_err());
    assert_eq!(["127.0.0.1", "::1"].map(|local| verdict(&objects, &unmeshed(local))), [Ok(()), Ok(())]);
    assert_eq!(verdict_at(&objects, &stranger, 4001, None, &pod()), Ok(()), "the proxy leaves it out");
    assert_eq!(verdict_at(&objects, &stranger, 5001, None, &Pod { is_proxied: false, ..pod() }), Ok(()));
}

/// The policies of a stack as they would be enforced, and the names of its Servers.
fn enforced(stack: &Stack) -> (Policies, BTreeSet<String>) {
    let manifests = derive(stack, &wanted(stack), Mode::Enforce);
    let mut policies = Policies::default();
    for manifest in &manifests {
        policies.add(&manifest.resource.kind, &manifest.object, NAMESPACE);
    }
    let servers = manifests.iter().filter(|manifest| manifest.resource.kind == "Server");
    (policies, servers.map(|server| server.name().to_owned()).collect())
}

fn seen(port: u16, client: Peer, policy: Option<&str>) -> Seen {
    Seen { component: id(ComponentKind::IpfsCluster), port, client, policy: policy.map(str::to_owned) }
}

#[test]
fn counted_connections_are_evaluated_as_enforced() {
    let stack = whole();
    let (policies, ours) = enforced(&stack);
    let identity = |account: &str, namespace: &str| Peer::Identity(meshed(account, namespace).identity.unwrap());
    let cases = [
        (seen(5001, identity("temporal-temporal-api", NAMESPACE), None), None),
        (seen(5001, identity("default", NAMESPACE), None), Some("denied")),
        (seen(9096, identity("temporal-temporal-api", NAMESPACE), None), Some("denied")),
        (seen(5001, Peer::Unmeshed, None), Some("unclear")),
        (seen(5001, Peer::Unmeshed, Some("temporal-ipfscluster-rpc-from-controller-ipfs-network")), None),
        (seen(9096, Peer::Unmeshed, None), Some("denied")),
        (seen(12345, identity("default", NAMESPACE), None), None),
    ];
    let installation = installation(DefaultInboundPolicy::AllUnauthenticated);
    for (seen, outcome) in &cases {
        let seen = std::slice::from_ref(seen);
        let audit = audit(&stack, &wanted(&stack), (&policies, &ours), &installation, seen);
        let found = match (audit.denied.len(), audit.unclear.len()) {
            (0, 0) => None,
            (1, 0) => Some("denied"),
            (0, 1) => Some("unclear"),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, *outcome, "{seen:?}");
        assert_eq!(audit.refusal(), None);
    }
    let all: Vec<Seen> = cases.iter().map(|(seen, _)| seen.clone()).collect();
    let audit = audit(&stack, &wanted(&stack), (&policies, &ours), &installation, &all);
    let ports: Vec<&str> = audit.denied.iter().map(|denial| denial.port.as_str()).collect();
    assert_eq!(ports, ["rpc", "peers", "peers"]);
}

#[test]
fn client_of_unknown_address_may_be_one_of_the_cluster() {
    let stack = whole();
    let (policies, ours) = enforced(&stack);
    let identity = Peer::Identity(meshed("default", NAMESPACE).identity.unwrap());
    for (default, clients) in [
        (DefaultInboundPolicy::ClusterUnauthenticated, [(identity.clone(), 0, 0), (Peer::Unmeshed, 0, 1)]),
        (DefaultInboundPolicy::ClusterAuthenticated, [(identity.clone(), 0, 0), (Peer::Unmeshed, 1, 0)]),
        (DefaultInboundPolicy::Deny, [(identity, 1, 0), (Peer::Unmeshed, 1, 0)]),
    ] {
        for (client, denied, unclear) in clients {
            // No Server is about this port.
            let seen = [seen(12345, client, None)];
            let audit = audit(&stack, &wanted(&stack), (&policies, &ours), &installation(default), &seen);
            assert_eq!((audit.denied.len(), audit.unclear.len()), (denied, unclear), "{default:?} {seen:?}");
        }
    }
}

#[test]
fn older_server_of_somebody_else_is_named_and_cuts() {
    let stack = whole();
    let foreign = |created: Option<&str>| {
        let (mut policies, ours) = enforced(&stack);
        for server in &mut policies.servers {
            server.created = Some("2026-02-01T00:00:00Z".to_owned());
        }
        let mut meta = json!({"name": "theirs"});
        meta["creationTimestamp"] = json!(created);
        let labels = json!({"app.kubernetes.io/component": "database"});
        let spec = json!({"podSelector": {"matchLabels": labels}, "port": 5432});
        policies.add("Server", &json!({"metadata": meta, "spec": spec}), NAMESPACE);
        let installation = installation(DefaultInboundPolicy::AllUnauthenticated);
        audit(&stack, &wanted(&stack), (&policies, &ours), &installation, &[])
    };
    let expected = |wins| {
        let component = id(ComponentKind::PostgresDatabase);
        BTreeSet::from([Foreign { server: "theirs".to_owned(), component, port: "postgresql", wins }])
    };
    let younger = foreign(Some("2026-03-01T00:00:00Z"));
    assert_eq!((younger.foreign, younger.cut.len()), (expected(false), 0));
    let older = foreign(Some("2026-01-01T00:00:00Z"));
    assert_eq!((&older.foreign, older.cut.len()), (&expected(true), 5), "{:?}", older.cut);
    insta::assert_snapshot!(older.refusal().unwrap());
}

//! Which policies are applied, and what is said of them.

use temporal_stack_common::manifest::Manifest;

use super::{steps::Steps, *};
use crate::{
    linkerd::{
        installation::{Config, ProxyConfig, ProxyInit},
        policies::Policy,
    },
    names::{POLICY_ENFORCED, SKIPPED_PORTS},
};

fn manifests(spec: &Value, observed: &Observed) -> Vec<Manifest> {
    intent_of(spec, observed).manifests
}

/// What Servers do with connections that nothing admits.
fn access(spec: &Value, observed: &Observed) -> Vec<String> {
    let manifests = manifests(spec, observed);
    let servers = manifests.iter().filter(|manifest| manifest.resource.kind == "Server");
    let access = servers.map(|server| server.object["spec"]["accessPolicy"].as_str().unwrap_or_default().to_owned());
    access.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn policy(policy: &str) -> Value {
    json!({ "policy": policy })
}

#[test]
fn mesh_without_policy_applies_none_and_says_nothing() {
    assert!(manifests(&json!({}), &observed()).is_empty());
    assert!(decision(&json!({}), &observed()).conditions.iter().all(|condition| condition.kind() != POLICY_ENFORCED));
}

#[test]
fn audit_denies_nothing_and_is_ready() {
    assert_eq!(access(&policy("Audit"), &observed()), ["audit"]);
    assert_eq!(says(&policy("Audit"), &observed(), POLICY_ENFORCED), reported("False", reason::AUDITING));
    assert_eq!(waiting(&policy("Audit"), &observed()), None);
}

#[test]
fn policies_are_enforced_when_all_pods_have_proxies() {
    let settled = Steps::settled(observed(), &policy("Enforce")).observed;
    assert_eq!(access(&policy("Enforce"), &settled), ["deny"]);
    assert_eq!(says(&policy("Enforce"), &settled, POLICY_ENFORCED), reported("True", reason::AS_EXPECTED));
    let plain = with_pods(ComponentKind::PostgresDatabase, &[plain_pod("a", None)]);
    assert_eq!(access(&policy("Enforce"), &plain), ["audit"]);
    // Those that are in force stay, because one pod must not open the doors of all others.
    let later = Observed { policies: settled.policies, ..plain };
    assert_eq!(access(&policy("Enforce"), &later), ["deny"]);
}

#[test]
fn policies_without_addresses_are_not_enforced() {
    let mut unlisted = observed();
    unlisted.policies.is_hidden = true;
    for hidden in [Observed { nodes: None, ..observed() }, Observed { controllers: None, ..observed() }, unlisted] {
        for asked in ["Audit", "Enforce"] {
            assert_eq!(access(&policy(asked), &hidden), ["audit"]);
            assert_eq!(says(&policy(asked), &hidden, POLICY_ENFORCED), reported("False", reason::NOT_PERMITTED));
        }
        assert_eq!(waiting(&policy("Enforce"), &hidden), Some(reason::NOT_PERMITTED));
        // They would deny the controllers, so they do not stay in force either.
        let mut later = hidden;
        later.policies.is_enforced = true;
        assert_eq!(access(&policy("Enforce"), &later), ["audit"]);
    }
}

/// An object of this kind that was created then.
fn existing(kind: &str, name: &str, created: &str) -> Policy {
    let object = json!({
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "database"}},
            "port": 5432, "accessPolicy": "deny",
        },
    });
    Policy { kind: kind.to_owned(), object, owner: None }
}

#[test]
fn younger_server_of_others_has_no_effect() {
    let mut observed = Steps::settled(observed(), &policy("Enforce")).observed;
    observed.policies.foreign = vec![existing("Server", "theirs", "2026-12-02T00:00:00Z")];
    assert_eq!(access(&policy("Enforce"), &observed), ["deny"]);
    assert_eq!(says(&policy("Enforce"), &observed, POLICY_ENFORCED), reported("True", reason::AS_EXPECTED));
    let statements = decision(&policy("Enforce"), &observed).conditions;
    assert!(format!("{statements:?}").contains("Server/theirs has no effect"), "{statements:?}");
}

#[test]
fn older_server_of_others_prevents_enforcement() {
    let mut observed = observed();
    observed.policies.foreign = vec![existing("Server", "theirs", "2020-01-01T00:00:00Z")];
    for asked in ["Audit", "Enforce"] {
        assert_eq!(says(&policy(asked), &observed, POLICY_ENFORCED), reported("False", reason::FOREIGN_SERVER));
        assert_eq!(access(&policy(asked), &observed), ["audit"], "{asked}");
    }
    assert_eq!(waiting(&policy("Enforce"), &observed), Some(reason::FOREIGN_SERVER));
}

#[test]
fn port_that_bypasses_the_proxy_is_reported_as_open() {
    let text = |observed: &Observed| format!("{:?}", decision(&policy("Enforce"), observed).conditions);
    let settled = Steps::settled(observed(), &policy("Enforce")).observed;
    assert!(!text(&settled).contains("is open"), "{}", text(&settled));
    let mut skipping = settled.clone();
    let ports = (SKIPPED_PORTS.to_owned(), "25,5000-6000".to_owned());
    skipping.components[0].pods[0].annotations.extend([ports]);
    assert!(text(&skipping).contains("Port postgresql of PostgresDatabase/temporal is open"), "{}", text(&skipping));
    let mut installed = settled;
    installed.linkerd.config = installed
        .linkerd
        .config
        .map(|config| Config { proxy_init: ProxyInit { ignore_inbound_ports: "5432".to_owned() }, ..config });
    assert!(text(&installed).contains("Port postgresql of PostgresDatabase/temporal is open"), "{}", text(&installed));
}

#[test]
fn closed_default_leaves_the_metrics_of_proxies_readable() {
    let of_proxies = |spec: &Value, observed: &Observed| {
        let manifests = manifests(spec, observed);
        let own = manifests.iter().filter(|manifest| manifest.object["spec"]["port"] == "linkerd-admin");
        own.map(|manifest| manifest.object["spec"]["accessPolicy"].clone()).collect::<Vec<_>>()
    };
    let (none, open): ([Value; 0], _) = ([], [json!("all-unauthenticated"), json!("all-unauthenticated")]);
    let closed = |policy: &str| json!({"policy": policy, "defaultInboundPolicy": "deny"});
    assert_eq!(of_proxies(&policy("Audit"), &observed()), none);
    let cluster = json!({"policy": "Audit", "defaultInboundPolicy": "cluster-unauthenticated"});
    assert_eq!(of_proxies(&cluster, &observed()), none);
    assert_eq!(of_proxies(&closed("Audit"), &observed()), open);
    let settled = Steps::settled(observed(), &closed("Enforce")).observed;
    assert_eq!(of_proxies(&closed("Enforce"), &settled), open);
    // By the installation, and while pods run that were started with such a default.
    let installed = with_linkerd(|linkerd| {
        let proxy = ProxyConfig { default_inbound_policy: "all-authenticated".to_owned() };
        linkerd.config = linkerd.config.clone().map(|config| Config { proxy, ..config });
    });
    assert_eq!(of_proxies(&policy("Audit"), &installed), open);
    let mut running = observed();
    running.components[0].pods[0].annotations.insert(DEFAULT_POLICY.to_owned(), "deny".to_owned());
    assert_eq!(of_proxies(&policy("Audit"), &running), open);
}

#[test]
fn route_below_a_server_is_named() {
    let mut observed = Steps::settled(observed(), &policy("Enforce")).observed;
    let parent = |name: &str| {
        let parent = json!({"group": "policy.linkerd.io", "kind": "Server", "name": name});
        let object = json!({"metadata": {"name": "r", "namespace": "default"}, "spec": {"parentRefs": [parent]}});
        Policy { kind: "HTTPRoute".to_owned(), object, owner: None }
    };
    let text = |observed: &Observed| format!("{:?}", decision(&policy("Enforce"), observed).conditions);
    observed.policies.foreign = vec![parent("theirs")];
    assert!(!text(&observed).contains("HTTPRoute"), "{}", text(&observed));
    observed.policies.foreign = vec![parent("temporal-temporal-probe")];
    assert!(text(&observed).contains("Server/temporal-temporal-probe is the parent"), "{}", text(&observed));
}

#[test]
fn old_linkerd_gets_no_policy() {
    let observed = with_linkerd(|linkerd| linkerd.server_version = Some("v1beta1"));
    assert!(manifests(&policy("Audit"), &observed).is_empty());
    assert_eq!(says(&policy("Audit"), &observed, POLICY_ENFORCED), reported("False", reason::UNSUPPORTED_VERSION));
}

#[test]
fn policies_that_are_no_longer_wanted_leave_in_order() {
    let mut observed = observed();
    let own = [("NetworkAuthentication", "n"), ("AuthorizationPolicy", "p"), ("Server", "s")];
    observed.policies.own = own.map(|(kind, name)| existing(kind, name, "2026-11-01T00:00:00Z")).to_vec();
    let leaving: Vec<String> = manifests(&json!({}), &observed).iter().map(Manifest::reference).collect();
    assert_eq!(leaving, ["Server/s", "AuthorizationPolicy/p", "NetworkAuthentication/n"]);
}

#[test]
fn routes_are_applied_where_the_cluster_has_their_kind() {
    let mut with_ipfs = observed();
    with_ipfs.components.push(component(ComponentKind::IpfsCluster));
    let routes = |observed: &Observed| {
        let manifests = manifests(&json!({"routes": "On"}), observed);
        manifests.iter().filter(|manifest| manifest.resource.kind == "HTTPRoute").count()
    };
    assert!(routes(&with_ipfs) > 0);
    with_ipfs.linkerd.has_routes = false;
    assert_eq!(routes(&with_ipfs), 0);
}

mod certificates;
mod enforcement;
mod messages;
mod rollout;
mod steps;

use serde_json::{Value, json};
use temporal_stack_common::{
    api::ComponentKind,
    condition::{self, Reason},
    world::Elsewhere,
};

use super::*;
use crate::{
    act::Change,
    fixture::{self, anchors, component, expires, linkerd, namespace, object, observed, plain_pod, pod},
    linkerd::pod::{Pod, Proxy},
    names::{DEFAULT_POLICY, IDENTITY_VALID, INJECT, INJECTED, MESH_INSTALLED, SHUTDOWN},
    observed::Linkerd,
    reason,
};

fn decision(spec: &Value, observed: &Observed) -> Decision<LinkerdMesh> {
    decide(&object(spec), observed)
}

fn intent_of(spec: &Value, observed: &Observed) -> Intent<LinkerdMesh> {
    decision(spec, observed).intent.unwrap_or_else(|stalled| panic!("{stalled:?}"))
}

fn stalled(observed: &Observed) -> Option<Reason> {
    decision(&json!({}), observed).intent.err().map(|stalled| stalled.reason)
}

fn waiting(spec: &Value, observed: &Observed) -> Option<Reason> {
    intent_of(spec, observed).waiting.map(|waiting| waiting.reason)
}

fn changes(spec: &Value, observed: &Observed) -> Vec<Change> {
    intent_of(spec, observed).actions.iter().map(|action| action.change().clone()).collect()
}

/// Status and reason of a condition.
fn says(spec: &Value, observed: &Observed, kind: &str) -> (String, String) {
    let statements = decision(spec, observed).conditions;
    let dated = condition::dated(statements, &[], None, observed.now);
    let found = condition::find(&dated, kind).unwrap_or_else(|| panic!("no {kind}"));
    (found.status.clone(), found.reason.clone())
}

fn reported(status: &str, reason: Reason) -> (String, String) {
    (status.to_owned(), reason.as_str().to_owned())
}

fn with_pods(kind: ComponentKind, pods: &[Pod]) -> Observed {
    let mut observed = observed();
    for component in observed.components.iter_mut().filter(|component| component.reference.kind == kind) {
        component.pods = pods.to_vec();
    }
    observed
}

fn with_linkerd(change: impl Fn(&mut Linkerd)) -> Observed {
    let mut linkerd = linkerd();
    change(&mut linkerd);
    Observed { linkerd, ..observed() }
}

fn automatic() -> Value {
    json!({"rollout": "Automatic"})
}

#[test]
fn current_mesh_needs_no_write_and_is_verified() {
    let intent = intent_of(&json!({}), &observed());
    assert!(intent.actions.is_empty() && intent.waiting.is_none());
    assert_eq!(intent.probe.map(|probe| probe.proxies.len()), Some(2));
    assert_eq!(decision(&json!({}), &observed()).status.injected.as_deref(), Some("2/2"));
    for kind in [MESH_INSTALLED, INJECTED, IDENTITY_VALID] {
        assert_eq!(says(&json!({}), &observed(), kind), reported("True", reason::AS_EXPECTED), "{kind}");
    }
}

#[test]
fn absent_linkerd_stalls_with_the_remedy() {
    let observed = with_linkerd(|linkerd| *linkerd = Linkerd { is_absent: true, ..Linkerd::default() });
    assert_eq!(stalled(&observed), Some(reason::NOT_INSTALLED));
    assert_eq!(says(&json!({}), &observed, MESH_INSTALLED), reported("False", reason::NOT_INSTALLED));
}

#[test]
fn incomplete_installation_is_named() {
    let kinds = with_linkerd(|linkerd| linkerd.missing_kinds = vec!["servers.policy.linkerd.io"]);
    assert_eq!(stalled(&kinds), Some(reason::KINDS_MISSING));
    let injector = with_linkerd(|linkerd| linkerd.injector = Elsewhere::Missing);
    assert_eq!(stalled(&injector), Some(reason::CONTROL_PLANE_DOWN));
    let plane = with_linkerd(|linkerd| linkerd.planes.iter_mut().flatten().for_each(|plane| plane.ready = 0));
    assert_eq!(waiting(&json!({}), &plane), Some(reason::CONTROL_PLANE_DOWN));
    assert_eq!(says(&json!({}), &plane, MESH_INSTALLED), reported("False", reason::CONTROL_PLANE_DOWN));
}

#[test]
fn version_is_reported_and_too_old_ones_are_refused() {
    let of = |version: &str| {
        with_linkerd(|linkerd| {
            linkerd.config = Elsewhere::Unknown;
            linkerd.planes.iter_mut().flatten().for_each(|plane| plane.version = Some(version.to_owned()));
        })
    };
    assert_eq!(says(&json!({}), &of("acme-nightly"), MESH_INSTALLED), reported("Unknown", reason::VERSION_UNKNOWN));
    assert_eq!(stalled(&of("stable-2.11.5")), Some(reason::UNSUPPORTED_VERSION));
    assert_eq!(stalled(&of("acme-nightly")), None);
}

#[test]
fn newer_version_is_reported_and_used() {
    let observed = with_linkerd(|linkerd| {
        linkerd.config = Elsewhere::Unknown;
        linkerd.planes.iter_mut().flatten().for_each(|plane| plane.version = Some("edge-27.1.1".to_owned()));
    });
    assert_eq!(says(&json!({}), &observed, MESH_INSTALLED), reported("True", reason::UNTRIED_VERSION));
    assert_eq!(stalled(&observed), None);
    assert_eq!(decision(&json!({}), &observed).status.version.as_deref(), Some("edge-27.1.1"));
}

#[test]
fn younger_mesh_stalls_and_says_nothing_else() {
    let mut observed = observed();
    observed.siblings.elder = Some("first".to_owned());
    let decision = decision(&json!({}), &observed);
    assert!(decision.conditions.is_empty() && decision.status.injected.is_none());
    assert_eq!(decision.intent.err().map(|stalled| stalled.reason), Some(reason::NOT_OLDEST));
}

#[test]
fn namespace_that_cannot_have_proxies_is_left_alone() {
    let with = |change: fn(&mut crate::linkerd::namespace::Namespace)| {
        let mut namespace = namespace();
        change(&mut namespace);
        Observed { namespace: Elsewhere::There(namespace), ..observed() }
    };
    let restricted = with(|namespace| namespace.pod_security = Some("restricted".to_owned()));
    assert_eq!(stalled(&restricted), Some(reason::POD_SECURITY));
    let excluded = with(|namespace| namespace.is_excluded = true);
    assert_eq!(stalled(&excluded), Some(reason::NAMESPACE_EXCLUDED));
    let unknown = Observed { namespace: Elsewhere::Unknown, ..observed() };
    assert_eq!(stalled(&unknown), Some(reason::NOT_PERMITTED));
    let plugin = Observed {
        linkerd: with_linkerd(|linkerd| {
            linkerd.config = linkerd
                .config
                .clone()
                .map(|config| crate::linkerd::installation::Config { cni_enabled: true, ..config });
        })
        .linkerd,
        ..restricted
    };
    assert_eq!(stalled(&plugin), None);
}

#[test]
fn fresh_namespace_gets_all_annotations_in_one_write() {
    let namespace = crate::linkerd::namespace::Namespace { uid: "n".to_owned(), ..Default::default() };
    let observed = Observed { namespace: Elsewhere::There(namespace), ..observed() };
    let wanted = json!({
        "linkerd.io/inject": "enabled",
        "config.linkerd.io/shutdown-grace-period": "5s",
        "config.linkerd.io/proxy-outbound-discovery-cache-unused-timeout": "300s",
        "config.linkerd.io/default-inbound-policy": "deny",
    });
    let spec = json!({"defaultInboundPolicy": "deny", "policy": "Audit"});
    assert_eq!(changes(&spec, &observed), [Change::Annotate(wanted)]);
}

#[test]
fn default_of_a_later_release_is_not_set() {
    let without = with_linkerd(|linkerd| linkerd.server_version = Some("v1beta1"));
    let spec = |default: &str| json!({"defaultInboundPolicy": default, "policy": "Audit"});
    assert_eq!(changes(&spec("deny"), &without), []);
    assert_eq!(changes(&spec("audit"), &without), [], "its injector would refuse every pod");
    assert_eq!(changes(&spec("audit"), &observed()).len(), 1);
    assert_eq!(changes(&spec("cluster-unauthenticated"), &without).len(), 1);
}

#[test]
fn closed_default_of_the_installation_needs_a_policy() {
    let closed = with_linkerd(|linkerd| {
        linkerd.config = linkerd.config.clone().map(|mut config| {
            "deny".clone_into(&mut config.proxy.default_inbound_policy);
            config
        });
    });
    assert_eq!(stalled(&closed), Some(reason::INVALID_SPEC));
    for spec in [json!({"policy": "Audit"}), json!({"defaultInboundPolicy": "all-unauthenticated"})] {
        assert!(decision(&spec, &closed).intent.is_ok(), "{spec}");
    }
}

#[test]
fn setting_that_is_no_longer_asked_for_is_removed() {
    let mut namespace = namespace();
    namespace.annotations.insert(DEFAULT_POLICY.to_owned(), "deny".to_owned());
    namespace.owned.insert(DEFAULT_POLICY.to_owned());
    let observed = Observed { namespace: Elsewhere::There(namespace), ..observed() };
    let changes = changes(&json!({}), &observed);
    assert!(
        matches!(&changes[..], [Change::Annotate(all)] if all.get(DEFAULT_POLICY).is_none() && all[INJECT] == "enabled"),
        "{changes:?}"
    );
}

#[test]
fn foreign_value_stalls_and_an_equal_one_is_left_to_its_writer() {
    let with = |value: &str| {
        let mut namespace = namespace();
        namespace.annotations.insert(INJECT.to_owned(), value.to_owned());
        namespace.owned.remove(INJECT);
        Observed { namespace: Elsewhere::There(namespace), ..observed() }
    };
    assert_eq!(stalled(&with("disabled")), Some(reason::FOREIGN_ANNOTATION));
    assert_eq!(changes(&json!({}), &with("enabled")), []);
}

#[test]
fn foreign_setting_is_kept_and_counts_for_pods() {
    let mut namespace = namespace();
    namespace.annotations.insert(SHUTDOWN.to_owned(), "30s".to_owned());
    namespace.owned.remove(SHUTDOWN);
    let mut observed = Observed { namespace: Elsewhere::There(namespace), ..observed() };
    assert_eq!(waiting(&json!({}), &observed), Some(reason::PROXIES_OUTDATED));
    for pod in observed.components.iter_mut().flat_map(|component| &mut component.pods) {
        pod.annotations.insert(SHUTDOWN.to_owned(), "30s".to_owned());
    }
    assert_eq!(changes(&json!({}), &observed), []);
    assert_eq!(says(&json!({}), &observed, INJECTED), reported("True", reason::FOREIGN_ANNOTATION));
}

#[test]
fn chosen_components_are_annotated_and_others_released() {
    let spec = json!({"components": [{"kind": "Temporal", "name": "temporal"}]});
    let mut observed = observed();
    let mut namespace = namespace();
    namespace.annotations.remove(INJECT);
    namespace.owned.remove(INJECT);
    observed.namespace = Elsewhere::There(namespace);
    assert_eq!(changes(&spec, &observed), [Change::Inject]);
    for component in &mut observed.components {
        component.annotations.insert(INJECT.to_owned(), "enabled".to_owned());
    }
    assert_eq!(changes(&spec, &observed), [Change::Release]);
    assert_eq!(decision(&spec, &observed).status.injected.as_deref(), Some("1/1"));
    let missing = json!({"components": [{"kind": "MessageQueue", "name": "q"}]});
    assert_eq!(waiting(&missing, &observed), Some(reason::COMPONENT_MISSING));
}

#[test]
fn pods_without_proxy_wait_for_the_user() {
    let observed = with_pods(ComponentKind::PostgresDatabase, &[plain_pod("a", None)]);
    assert_eq!(changes(&json!({}), &observed), []);
    assert_eq!(waiting(&json!({}), &observed), Some(reason::PROXIES_MISSING));
    assert_eq!(says(&json!({}), &observed, INJECTED), reported("False", reason::PROXIES_MISSING));
    assert_eq!(decision(&json!({}), &observed).status.injected.as_deref(), Some("1/2"));
}

#[test]
fn proxy_with_other_settings_is_outdated() {
    let other = |key: &str, value: &str| {
        let mut pod = pod("a");
        pod.annotations.insert(key.to_owned(), value.to_owned());
        with_pods(ComponentKind::PostgresDatabase, &[pod])
    };
    for observed in [other(SHUTDOWN, "60s"), other(crate::names::TRUST_ROOT, "other")] {
        assert_eq!(waiting(&json!({}), &observed), Some(reason::PROXIES_OUTDATED));
    }
    // The user of a component may set it for its pods.
    let mut own = other(SHUTDOWN, "60s");
    own.components[0].annotations.insert(SHUTDOWN.to_owned(), "60s".to_owned());
    assert_eq!(waiting(&json!({}), &own), None);
}

#[test]
fn container_instead_of_a_sidecar_is_not_restarted() {
    let pod = Pod { proxy: Proxy::Container, ..pod("a") };
    let observed = with_pods(ComponentKind::PostgresDatabase, &[pod]);
    assert_eq!(waiting(&automatic(), &observed), Some(reason::NO_NATIVE_SIDECARS));
    assert_eq!(changes(&automatic(), &observed), []);
}

#[test]
fn pods_that_stay_out_are_not_counted() {
    let mut out = plain_pod("a", None);
    out.annotations.insert(INJECT.to_owned(), "disabled".to_owned());
    let leaving = Pod { is_leaving: true, ..plain_pod("b", None) };
    let observed = with_pods(ComponentKind::PostgresDatabase, &[out, leaving]);
    assert_eq!(decision(&json!({}), &observed).status.injected.as_deref(), Some("1/1"));
}

#[test]
fn strangers_are_named_and_never_restarted() {
    let observed = Observed { strangers: vec!["shop-0".to_owned()], ..observed() };
    assert_eq!(changes(&automatic(), &observed), []);
    assert_eq!(says(&json!({}), &observed, INJECTED), reported("True", reason::AS_EXPECTED));
    let statements = decision(&json!({}), &observed).conditions;
    assert!(format!("{statements:?}").contains("shop-0"), "{statements:?}");
}

#[test]
fn external_component_without_pods_is_no_member() {
    let mut observed = observed();
    observed.components = vec![fixture::component(ComponentKind::MessageQueue)];
    observed.components[0].pods.clear();
    let decision = decision(&json!({}), &observed);
    assert!(decision.status.components.is_empty());
    assert_eq!(component(ComponentKind::MessageQueue).pods.len(), 1);
}

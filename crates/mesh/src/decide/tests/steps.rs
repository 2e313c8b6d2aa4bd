//! Enforcement write by write, against an API server that refuses some of them: at no point is a needed connection denied.

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::jiff::SignedDuration;
use temporal_stack_common::{
    api::{Mesh, MeshStatus},
    condition::{STALLED, Statement, dated},
    manifest::{Manifest, Mode},
};

use super::*;
use crate::{
    evaluate::{self, Installation, audit::audit},
    linkerd::policies::Policy,
    names::POLICY_ENFORCED,
    stack::{Controller, edges::wanted},
};

/// The kinds of policies, with the names of their definitions.
const KINDS: [(&str, &str); 3] = [
    ("AuthorizationPolicy", "authorizationpolicies.policy.linkerd.io"),
    ("MeshTLSAuthentication", "meshtlsauthentications.policy.linkerd.io"),
    ("NetworkAuthentication", "networkauthentications.policy.linkerd.io"),
];

/// A Mesh and the policies of its namespace.
pub(super) struct Steps {
    pub(super) observed: Observed,
    spec: Value,
    /// The kinds that the API server does not let the controller write.
    refused: BTreeSet<&'static str>,
    /// Whether the last pass was refused a write.
    is_stalled: bool,
    /// The needed connections that were denied after some write.
    cut: BTreeSet<String>,
}

impl Steps {
    fn new(observed: Observed, spec: &Value) -> Self {
        Self { observed, spec: spec.clone(), refused: BTreeSet::new(), is_stalled: false, cut: BTreeSet::new() }
    }

    /// The state in which passes write nothing more.
    pub(super) fn settled(observed: Observed, spec: &Value) -> Self {
        let mut steps = Self::new(observed, spec);
        steps.settle();
        steps
    }

    fn settle(&mut self) {
        let passes = (0..10).take_while(|_| self.pass()).count();
        assert!(passes < 10, "passes never end");
    }

    fn object(&self) -> Mesh {
        let mut object = object(&self.spec);
        let stalled = Statement::holds(STALLED, condition::reason::CHILD_REFUSED, "no permission");
        let stalled = if self.is_stalled { vec![stalled] } else { Vec::new() };
        let conditions = dated(stalled, &[], None, self.observed.now);
        object.status = Some(MeshStatus { conditions, ..MeshStatus::default() });
        object
    }

    /// One pass, as the driver makes it: in order, without deletions after a refusal. Returns whether anything was written.
    fn pass(&mut self) -> bool {
        let Ok(intent) = decide(&self.object(), &self.observed).intent else { return false };
        self.is_stalled = false;
        let mut has_written = false;
        for manifest in intent.manifests {
            if !self.differs(&manifest) || (self.is_stalled && matches!(manifest.mode, Mode::Absent)) {
                continue;
            }
            if self.refused.contains(manifest.resource.kind.as_str()) {
                self.is_stalled = true;
                continue;
            }
            self.write(&manifest);
            has_written = true;
            let cut = self.denied();
            self.cut.extend(cut);
        }
        has_written
    }

    fn found(&self, manifest: &Manifest) -> Option<&Policy> {
        let is_it = |own: &&Policy| own.kind == manifest.resource.kind && own.name() == manifest.name();
        self.observed.policies.own.iter().find(is_it)
    }

    fn differs(&self, manifest: &Manifest) -> bool {
        match (self.found(manifest), &manifest.mode) {
            (found, Mode::Absent) => found.is_some(),
            (None, _) => true,
            (Some(found), _) => {
                let content = |object: &Value| (object["spec"].clone(), object["metadata"]["annotations"].clone());
                content(&found.object) != content(&manifest.object)
            }
        }
    }

    fn write(&mut self, manifest: &Manifest) {
        let created = self.found(manifest).map(|found| found.object["metadata"]["creationTimestamp"].clone());
        let (kind, name) = (manifest.resource.kind.clone(), manifest.name().to_owned());
        let policies = &mut self.observed.policies;
        policies.own.retain(|own| own.kind != kind || own.name() != name);
        if !matches!(manifest.mode, Mode::Absent) {
            let mut object = manifest.object.clone();
            object["metadata"]["creationTimestamp"] = created.unwrap_or_else(|| json!("2026-12-01T00:00:00Z"));
            policies.own.push(Policy { kind, object, owner: None });
        }
        policies.is_enforced = policies.own.iter().any(|own| own.object["spec"]["accessPolicy"] == "deny");
    }

    /// The needed connections that are denied now.
    fn denied(&self) -> BTreeSet<String> {
        let object = self.object();
        let stack = View::new(&object, &self.observed).stack();
        let mut policies = evaluate::Policies::default();
        for own in &self.observed.policies.own {
            policies.add(&own.kind, &own.object, &stack.namespace);
        }
        let installation = Installation {
            namespace: "linkerd".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            networks: Vec::new(),
            default: temporal_stack_common::api::DefaultInboundPolicy::AllUnauthenticated,
        };
        let found = audit(&stack, &wanted(&stack), (&policies, &BTreeSet::new()), &installation, &[]);
        found.cut.into_iter().map(|cut| format!("{} {} {}", cut.client, cut.port, cut.why)).collect()
    }

    /// The Servers that deny, by name.
    fn denying(&self) -> BTreeSet<String> {
        let own = self.observed.policies.own.iter();
        let denying = own.filter(|own| own.object["spec"]["accessPolicy"] == "deny");
        denying.map(|own| own.name().to_owned()).collect()
    }

    fn reported(&self) -> (String, String) {
        let statements = decide(&self.object(), &self.observed).conditions;
        let dated = dated(statements, &[], None, self.observed.now);
        let found = condition::find(&dated, POLICY_ENFORCED).unwrap();
        (found.status.clone(), found.reason.clone())
    }
}

/// A database and Temporal, with a controller that is known by its address.
fn stack(address: &str) -> Observed {
    let controller = Controller {
        kind: ComponentKind::PostgresDatabase,
        addresses: BTreeSet::from([address.parse::<IpAddr>().unwrap()]),
        ..Controller::default()
    };
    Observed { controllers: Some(vec![controller]), ..observed() }
}

fn enforce() -> Value {
    json!({"policy": "Enforce"})
}

#[test]
fn enforcement_comes_and_goes_in_steps_that_cut_nothing() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    let all = steps.denying();
    assert!(all.contains("temporal-postgresdatabase-postgresql"), "{all:?}");
    assert_eq!(steps.reported(), reported("True", reason::AS_EXPECTED));
    for (policy, is_left) in [("Audit", true), ("Enforce", true), ("Off", false)] {
        steps.spec = json!({ "policy": policy });
        steps.settle();
        assert_eq!(steps.denying(), if policy == "Enforce" { all.clone() } else { BTreeSet::new() }, "{policy}");
        assert_eq!(!steps.observed.policies.own.is_empty(), is_left, "{policy}");
    }
    assert_eq!(steps.cut, BTreeSet::new());
}

#[test]
fn server_does_not_deny_before_what_admits_its_clients() {
    for ((kind, _), has_pods) in KINDS.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let mut steps = Steps::new(stack("10.0.0.9"), &enforce());
        if !has_pods {
            steps.observed.components.iter_mut().for_each(|component| component.pods.clear());
        }
        steps.refused = BTreeSet::from([kind]);
        for _ in 0..5 {
            steps.pass();
        }
        assert_eq!((&steps.denying(), &steps.cut), (&BTreeSet::new(), &BTreeSet::new()), "{kind}");
        assert_eq!(steps.reported(), reported("False", reason::POLICIES_MISSING), "{kind}");
        assert!(steps.is_stalled, "{kind}");
        // When the permission comes back, they are enforced.
        steps.refused.clear();
        steps.settle();
        assert_eq!((steps.reported(), &steps.cut), (reported("True", reason::AS_EXPECTED), &BTreeSet::new()), "{kind}");
    }
}

#[test]
fn refused_servers_are_reported_although_all_policies_exist() {
    let mut steps = Steps::new(stack("10.0.0.9"), &enforce());
    steps.refused = BTreeSet::from(["Server"]);
    steps.pass();
    steps.pass();
    assert_eq!(steps.reported(), reported("False", reason::APPLYING));
}

#[test]
fn server_admits_again_when_its_policies_are_lost_for_good() {
    for (kind, _) in KINDS {
        let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
        let all = steps.denying();
        steps.observed.policies.own.retain(|own| own.kind != kind);
        steps.refused = BTreeSet::from([kind]);
        steps.pass();
        assert_eq!(steps.denying(), all, "{kind}: it may come back in this pass");
        steps.pass();
        assert_eq!(steps.denied(), BTreeSet::new(), "{kind}");
        assert!(!steps.denying().is_empty(), "{kind}: Servers without clients deny on");
        assert_eq!(steps.reported(), reported("False", reason::POLICIES_MISSING), "{kind}");
        steps.cut.clear();
        steps.refused.clear();
        steps.settle();
        assert_eq!((steps.denying(), steps.cut), (all, BTreeSet::new()), "{kind}");
    }
}

#[test]
fn address_that_cannot_be_written_opens_the_servers_of_its_controller() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    steps.observed.controllers = stack("10.0.0.10").controllers;
    steps.refused = BTreeSet::from(["NetworkAuthentication"]);
    steps.pass();
    assert!(!steps.denied().is_empty());
    steps.pass();
    assert_eq!(steps.denied(), BTreeSet::new());
}

#[test]
fn new_address_of_a_controller_opens_nothing() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    let all = steps.denying();
    steps.observed.controllers = stack("10.0.0.10").controllers;
    while steps.pass() {
        assert_eq!(steps.denying(), all);
    }
    assert_eq!(steps.denied(), BTreeSet::new());
}

#[test]
fn address_of_a_gone_controller_is_admitted_for_a_minute() {
    let admitted = |steps: &Steps| {
        let mut own = steps.observed.policies.own.iter();
        let found = own.find(|own| own.kind == "NetworkAuthentication").unwrap();
        found.object["spec"]["networks"].clone()
    };
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    steps.observed.controllers = stack("10.0.0.10").controllers;
    steps.settle();
    let both = json!([{"cidr": "10.0.0.9/32"}, {"cidr": "10.0.0.10/32"}]);
    assert_eq!(admitted(&steps), both);
    let looks = decide(&steps.object(), &steps.observed).intent.unwrap().look_again;
    assert_eq!(looks, Some(LOOK_AGAIN), "nothing else ends it");
    // Nothing is remembered outside of the policies, so this may be another process.
    steps.observed.now += SignedDuration::from_secs(59);
    assert!(!steps.pass(), "a pass in between has written");
    assert_eq!(admitted(&steps), both);
    steps.observed.now += SignedDuration::from_secs(1);
    steps.settle();
    assert_eq!(admitted(&steps), json!([{"cidr": "10.0.0.10/32"}]));
    assert_eq!(decide(&steps.object(), &steps.observed).intent.unwrap().look_again, None);
}

#[test]
fn last_pod_of_a_controller_takes_its_policy_along_after_a_minute() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    let has = |steps: &Steps| steps.observed.policies.own.iter().any(|own| own.kind == "NetworkAuthentication");
    steps.observed.controllers = Some(Vec::new());
    steps.settle();
    assert!(has(&steps));
    steps.observed.now += SignedDuration::from_secs(60);
    steps.settle();
    assert!(!has(&steps));
}

#[test]
fn kind_that_vanishes_takes_enforcement_along() {
    for (kind, definition) in KINDS {
        let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
        steps.observed.policies.own.retain(|own| own.kind != kind);
        steps.observed.linkerd.missing_kinds = vec![definition];
        assert_eq!(steps.reported(), reported("False", reason::KINDS_MISSING), "{kind}");
        let intent = decide(&steps.object(), &steps.observed).intent.unwrap();
        assert!(intent.actions.is_empty() && intent.probe.is_none());
        assert!(intent.manifests.iter().all(|manifest| manifest.resource.kind != kind), "{kind}");
        steps.settle();
        assert_eq!((steps.denying(), steps.denied()), (BTreeSet::new(), BTreeSet::new()), "{kind}");
        let stalled = decide(&steps.object(), &steps.observed).intent.err().map(|stalled| stalled.reason);
        assert_eq!(stalled, Some(reason::KINDS_MISSING), "{kind}");
    }
}

#[test]
fn policies_follow_addresses_although_pods_can_get_no_proxy() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    steps.observed.linkerd.injector = Elsewhere::Missing;
    steps.observed.controllers = stack("10.0.0.10").controllers;
    let waiting = decide(&steps.object(), &steps.observed).intent.unwrap().waiting;
    assert_eq!(waiting.map(|waiting| waiting.reason), Some(reason::CONTROL_PLANE_DOWN));
    steps.settle();
    assert_eq!(steps.denied(), BTreeSet::new());
}

#[test]
fn new_component_opens_no_server_that_denies() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &enforce());
    let all = steps.denying();
    steps.observed.components.push(component(ComponentKind::MessageQueue));
    while steps.pass() {
        assert!(steps.denying().is_superset(&all));
    }
    assert!(steps.denying().contains("temporal-messagequeue-amqp"));
    assert_eq!((steps.reported(), steps.denied()), (reported("True", reason::AS_EXPECTED), BTreeSet::new()));
}

#[test]
fn servers_stay_while_pods_would_deny_everything_without_them() {
    let mut steps = Steps::settled(stack("10.0.0.9"), &json!({"policy": "Enforce", "defaultInboundPolicy": "deny"}));
    for pod in steps.observed.components.iter_mut().flat_map(|component| &mut component.pods) {
        pod.annotations.insert(DEFAULT_POLICY.to_owned(), "deny".to_owned());
    }
    steps.spec = json!({});
    steps.settle();
    let servers = |steps: &Steps| steps.observed.policies.own.iter().filter(|own| own.kind == "Server").count();
    assert_eq!(steps.denying(), BTreeSet::new());
    assert!(servers(&steps) > 0);
    for pod in steps.observed.components.iter_mut().flat_map(|component| &mut component.pods) {
        pod.annotations.remove(DEFAULT_POLICY);
    }
    steps.settle();
    assert_eq!(servers(&steps), 0);
}

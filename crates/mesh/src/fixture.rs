//! The fixtures of this crate's tests.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::ApiResource;
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{ComponentKind, ComponentReference, Mesh, annotation, label},
    hand::Target,
    surroundings::Siblings,
    testkit,
    world::Elsewhere,
};

use crate::{
    linkerd::{
        certificate::Expiry,
        installation::{Anchors, Config},
        namespace::Namespace,
        pod::{Pod, Proxy},
        workload::Plane,
    },
    names::{INJECTOR, PLANES, SETTINGS, TRUST_ROOT, annotations},
    observed::{Component, Linkerd, Observed, Policies},
    stack::Component as Shape,
};

/// The time of all passes.
pub(crate) const NOW: &str = "2026-11-30T12:00:00Z";
/// The hash of the trust anchors.
pub(crate) const ANCHORS: &str = "0a1b";

/// An object with this spec.
pub(crate) fn object(spec: &Value) -> Mesh {
    testkit::object("mesh", spec)
}

/// Linkerd runs, the namespace is annotated, and the pods of a database and of Temporal have current proxies.
pub(crate) fn observed() -> Observed {
    Observed {
        now: NOW.parse().unwrap(),
        siblings: Siblings::default(),
        linkerd: linkerd(),
        namespace: Elsewhere::There(namespace()),
        components: vec![component(ComponentKind::PostgresDatabase), component(ComponentKind::Temporal)],
        strangers: Vec::new(),
        controllers: Some(Vec::new()),
        nodes: Some(BTreeSet::new()),
        policies: Policies::default(),
        traffic: None,
        released: BTreeSet::new(),
    }
}

/// An installation that runs.
pub(crate) fn linkerd() -> Linkerd {
    let config = Config { linkerd_version: Some("stable-2.20.0".to_owned()), ..Config::default() };
    let plane = |part: &str| Plane { name: format!("linkerd-{part}"), part: part.to_owned(), version: None, ready: 1 };
    Linkerd {
        namespace: "linkerd".to_owned(),
        missing_kinds: Vec::new(),
        is_absent: false,
        server_version: Some("v1beta3"),
        has_routes: true,
        planes: Some(PLANES.iter().map(|part| plane(part)).collect()),
        injector: Elsewhere::There(()),
        webhooks: vec![(INJECTOR, expires("2027-11-30T12:00:00Z"))],
        config: Elsewhere::There(config),
        anchors: Elsewhere::There(anchors("2027-11-30T12:00:00Z")),
        issuer: Elsewhere::Unknown,
    }
}

/// Trust anchors that expire then.
pub(crate) fn anchors(expire: &str) -> Anchors {
    Anchors { expiry: Some(expires(expire)), hashes: vec![ANCHORS.to_owned()] }
}

/// One certificate that expires then.
pub(crate) fn expires(time: &str) -> Expiry {
    let end = time.parse::<Timestamp>().unwrap();
    Expiry { first: end, last: end, due: end - SignedDuration::from_hours(30 * 24), count: 1 }
}

/// The namespace with the annotations of an empty spec.
pub(crate) fn namespace() -> Namespace {
    let annotations: BTreeMap<String, String> =
        annotations(true, None).into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Namespace {
        uid: "n".to_owned(),
        owned: annotations.keys().cloned().collect(),
        annotations,
        pod_security: Some("privileged".to_owned()),
        is_excluded: false,
    }
}

/// A component that is Ready, with one pod.
pub(crate) fn component(kind: ComponentKind) -> Component {
    let name = "temporal".to_owned();
    let pod = Pod {
        labels: labels(kind),
        account: format!("{name}-{}", kind.as_str().to_lowercase()),
        ..pod(&format!("{name}-{}-0", kind.as_str().to_lowercase()))
    };
    Component {
        target: Target {
            resource: ApiResource {
                group: "temporal-stack.dev".to_owned(),
                version: "v1alpha1".to_owned(),
                api_version: "temporal-stack.dev/v1alpha1".to_owned(),
                kind: kind.as_str().to_owned(),
                plural: kind.as_str().to_lowercase(),
            },
            namespace: Some("default".to_owned()),
            name: name.clone(),
            uid: kind.as_str().to_owned(),
        },
        pods: vec![pod],
        reference: ComponentReference { kind, name },
        shape: shape(kind),
        is_ready: true,
        is_leaving: false,
        restart: None,
        annotations: BTreeMap::new(),
    }
}

fn labels(kind: ComponentKind) -> BTreeMap<String, String> {
    let labels =
        [(label::MANAGED_BY, label::STACK), (label::COMPONENT, kind.component()), (label::INSTANCE, "temporal")];
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// The parts and ports of a component with an empty spec, called `temporal`.
fn shape(kind: ComponentKind) -> Option<Shape> {
    let mut whole = json!({
        "apiVersion": "temporal-stack.dev/v1alpha1", "kind": kind.as_str(),
        "metadata": {"name": "temporal"}, "spec": {},
    });
    match kind {
        ComponentKind::PostgresDatabase => Shape::database(&serde_json::from_value(whole).unwrap()),
        ComponentKind::MessageQueue => Shape::queue(&serde_json::from_value(whole).unwrap()),
        ComponentKind::IpfsCluster => Shape::ipfs(&serde_json::from_value(whole).unwrap()),
        ComponentKind::ObjectStorage => Shape::storage(&serde_json::from_value(whole).unwrap()),
        ComponentKind::Temporal => {
            whole["spec"]["database"] = json!({"name": "temporal"});
            Some(Shape::temporal(&serde_json::from_value(whole).unwrap()))
        }
    }
}

/// A pod with a current proxy.
pub(crate) fn pod(name: &str) -> Pod {
    let settings = namespace().annotations.into_iter().filter(|(key, _)| SETTINGS.contains(&key.as_str()));
    let mut annotations: BTreeMap<String, String> = settings.collect();
    annotations.insert(TRUST_ROOT.to_owned(), ANCHORS.to_owned());
    Pod {
        name: name.to_owned(),
        uid: name.to_owned(),
        annotations,
        addresses: vec!["10.0.0.1".to_owned()],
        proxy: Proxy::Native,
        is_ready: true,
        ..Pod::default()
    }
}

/// The same pod without a proxy, created for this request of a restart.
pub(crate) fn plain_pod(name: &str, restart: Option<&str>) -> Pod {
    let annotations = restart.map(|restart| (annotation::RESTART.to_owned(), restart.to_owned()));
    Pod { proxy: Proxy::None, annotations: annotations.into_iter().collect(), ..pod(name) }
}

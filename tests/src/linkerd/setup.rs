//! The objects of an installation, as the command line of Linkerd 2.20 makes them.

use anyhow::Result;
use linkerd_stand_in::{COMPONENTS, NAMESPACE, VERSION, authority::Authority, crds::Installed};
use serde_json::{Value, json};

use super::{ANCHORS, BUNDLE, CONFIG, ISSUER};

/// The Services by which proxies find the control plane.
pub(super) const SERVICES: [&str; 4] =
    ["linkerd-dst-headless", "linkerd-policy", "linkerd-identity-headless", "linkerd-proxy-injector"];

/// How Linkerd is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Its kinds.
    pub kinds: Installed,
    /// The version that it says it has.
    pub version: String,
    /// For how many days the anchor and issuer are valid; a negative number is that of the days since they expired.
    pub days: i32,
    /// Whether its CNI plugin is installed.
    pub has_cni: bool,
    /// Whether proxies are native sidecars.
    pub is_native: bool,
}

impl Setup {
    /// As it was recorded, with a new certificate.
    pub fn recorded() -> Self {
        Self { kinds: Installed::RECORDED, version: VERSION.to_owned(), days: 365, has_cni: false, is_native: true }
    }

    /// Linkerd 2.14.
    pub fn old() -> Self {
        Self { kinds: Installed::OLD, version: "stable-2.14.10".to_owned(), ..Self::recorded() }
    }

    /// The same of another version.
    #[must_use]
    pub fn of_version(self, version: &str) -> Self {
        Self { version: version.to_owned(), ..self }
    }

    /// The same with other kinds.
    #[must_use]
    pub fn with_kinds(self, kinds: Installed) -> Self {
        Self { kinds, ..self }
    }

    /// The same with certificates that are valid for so many days.
    #[must_use]
    pub fn valid_for(self, days: i32) -> Self {
        Self { days, ..self }
    }
}

pub(super) fn namespace() -> Value {
    let labels = json!({
        "linkerd.io/is-control-plane": "true",
        "linkerd.io/control-plane-ns": NAMESPACE,
        "config.linkerd.io/admission-webhooks": "disabled",
        "pod-security.kubernetes.io/enforce": "privileged",
    });
    json!({"metadata": {"name": NAMESPACE, "labels": labels, "annotations": {"linkerd.io/inject": "disabled"}}})
}

pub(super) fn config(setup: &Setup) -> Value {
    let values = json!({
        "linkerdVersion": setup.version,
        "clusterDomain": "cluster.local",
        "identityTrustDomain": "cluster.local",
        "clusterNetworks": "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8",
        "cniEnabled": setup.has_cni,
        "identity": {"issuer": {"scheme": "linkerd.io/tls"}},
        "proxy": {
            "nativeSidecar": setup.is_native,
            "defaultInboundPolicy": "all-unauthenticated",
            "image": {"name": "cr.l5d.io/linkerd/proxy", "version": setup.version},
        },
    });
    // JSON is YAML, too.
    let data = json!({"values": values.to_string(), "linkerd-crds-chart-version": "linkerd-crds-1.0.0-edge"});
    let labels = json!({"linkerd.io/control-plane-component": "controller", "linkerd.io/control-plane-ns": NAMESPACE});
    json!({"metadata": {"name": CONFIG, "labels": labels}, "data": data})
}

/// The trust anchors and the issuer's Secret: the command line makes one certificate for both.
pub(super) fn identity(setup: &Setup) -> Result<(Value, Value)> {
    let pair = Authority::valid_for(setup.days)?.pair;
    let anchors = json!({"metadata": {"name": ANCHORS}, "data": {BUNDLE: pair.certificate}});
    let data = json!({"crt.pem": pair.certificate, "key.pem": pair.key});
    Ok((anchors, json!({"metadata": {"name": ISSUER}, "type": "Opaque", "stringData": data})))
}

pub(super) fn services() -> Vec<Value> {
    let service = |name: &str, component: &str, port: u16| {
        let selector = json!({"linkerd.io/control-plane-component": component});
        let ports = json!([{"name": "grpc", "port": port, "targetPort": port}]);
        let mut spec = json!({"selector": selector, "ports": ports});
        // The API server finds a webhook by the address of its Service.
        if component != "proxy-injector" {
            spec["clusterIP"] = json!("None");
        }
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let ports = [("destination", 8086), ("destination", 8090), ("identity", 8080), ("proxy-injector", 8443)];
    SERVICES.iter().zip(ports).map(|(name, (component, port))| service(name, component, port)).collect()
}

pub(super) fn deployments(setup: &Setup) -> Vec<Value> {
    COMPONENTS.iter().map(|(name, component)| deployment(setup, name, component)).collect()
}

pub(super) fn deployment(setup: &Setup, name: &str, component: &str) -> Value {
    let containers: &[&str] = match component {
        "destination" => &["destination", "sp-validator", "policy"],
        component => &[component],
    };
    let image = format!("registry.invalid/linkerd/controller:{}", setup.version);
    let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name, "image": image})).collect();
    let labels = json!({
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/part-of": "Linkerd",
        "app.kubernetes.io/version": setup.version,
        "linkerd.io/control-plane-component": component,
        "linkerd.io/control-plane-ns": NAMESPACE,
    });
    let selected = json!({"linkerd.io/control-plane-component": component, "linkerd.io/control-plane-ns": NAMESPACE});
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selected},
            // A change of the version replaces the pod, rather than waiting for another one that never runs.
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    })
}

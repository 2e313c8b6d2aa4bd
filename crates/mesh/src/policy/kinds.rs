//! The kinds of Linkerd and the Gateway API, as far as they are written.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// The API group of policies.
pub(crate) const GROUP: &str = "policy.linkerd.io";

/// The spec of a namespaced kind; its object is called like the kind.
macro_rules! kind {
    ($group:tt / $version:tt, $kind:tt, $plural:tt: $(#[$doc:meta])+ $spec:ident $fields:tt) => {
        $(#[$doc])+
        #[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[kube(group = $group, version = $version, kind = $kind, plural = $plural, namespaced, schema = "disabled")]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $spec $fields
    };
}

/// A part of a spec.
macro_rules! part {
    ($(#[$doc:meta])+ $name:ident $fields:tt) => {
        $(#[$doc])+
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name $fields
    };
}

kind! {
    "policy.linkerd.io" / "v1beta3", "Server", "servers":
    /// A port of pods, and what is done with connections that nothing admits.
    ServerSpec {
        /// The pods, in its own namespace.
        pub(crate) pod_selector: LabelSelector,
        /// The port, by its name on their containers.
        pub(crate) port: String,
        /// What is spoken on it.
        pub(crate) proxy_protocol: String,
        /// What is done with connections that nothing admits.
        pub(crate) access_policy: String,
    }
}

kind! {
    "policy.linkerd.io" / "v1alpha1", "AuthorizationPolicy", "authorizationpolicies":
    /// Who may connect to a `Server`: those that have all of these authentications.
    AuthorizationPolicySpec {
        /// The `Server`.
        pub(crate) target_ref: Reference,
        /// The authentications.
        pub(crate) required_authentication_refs: Vec<Reference>,
    }
}

kind! {
    "policy.linkerd.io" / "v1alpha1", "MeshTLSAuthentication", "meshtlsauthentications":
    /// Meshed pods, by their identity.
    MeshTLSAuthenticationSpec {
        /// The `ServiceAccounts` and namespaces of the pods.
        pub(crate) identity_refs: Vec<IdentityReference>,
    }
}

kind! {
    "policy.linkerd.io" / "v1alpha1", "NetworkAuthentication", "networkauthentications":
    /// Anybody, by address.
    NetworkAuthenticationSpec {
        /// The ranges of addresses.
        pub(crate) networks: Vec<Cidr>,
    }
}

kind! {
    "gateway.networking.k8s.io" / "v1", "HTTPRoute", "httproutes":
    /// How calls of a Service are treated.
    HTTPRouteSpec {
        /// The port of a Service.
        pub(crate) parent_refs: Vec<ServicePort>,
        /// The calls.
        pub(crate) rules: Vec<Rule>,
    }
}

part! {
    /// Another object in the same namespace.
    Reference {
        /// Its API group.
        pub(crate) group: String,
        /// Its kind.
        pub(crate) kind: String,
        /// Its name.
        pub(crate) name: String,
    }
}

part! {
    /// A ServiceAccount, or a namespace with all of them.
    IdentityReference {
        /// `ServiceAccount` or `Namespace`.
        pub(crate) kind: String,
        /// Its name.
        pub(crate) name: String,
        /// The namespace of a ServiceAccount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub(crate) namespace: Option<String>,
    }
}

part! {
    /// A range of addresses.
    Cidr {
        /// In CIDR notation.
        pub(crate) cidr: String,
    }
}

part! {
    /// A port of a Service.
    ServicePort {
        /// Empty: that of Services.
        pub(crate) group: String,
        /// `Service`.
        pub(crate) kind: String,
        /// Its name.
        pub(crate) name: String,
        /// The number of the port.
        pub(crate) port: i32,
    }
}

part! {
    /// Calls, and where they go.
    Rule {
        /// The calls: any of these.
        pub(crate) matches: Vec<Match>,
        /// Where they go.
        pub(crate) backend_refs: Vec<ServicePort>,
    }
}

part! {
    /// Calls by path and method.
    Match {
        /// The path.
        pub(crate) path: PathMatch,
        /// The method. Absent: any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub(crate) method: Option<String>,
    }
}

part! {
    /// A path, or the beginning of one.
    PathMatch {
        /// `Exact` or `PathPrefix`.
        #[serde(rename = "type")]
        pub(crate) type_: String,
        /// The path.
        pub(crate) value: String,
    }
}

/// The labels of pods, all of which they must have.
pub(crate) fn labelled(labels: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels.clone()), ..LabelSelector::default() }
}

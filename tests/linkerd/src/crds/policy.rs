//! The kinds of `policy.linkerd.io` that say who may connect. None of them has a status.

use serde_json::{Value, json};

use super::{definition, group, kind, list, name, version};
use crate::POLICY;

/// `Server`: a port of pods, up to the newest version of that number.
pub(super) fn servers(newest: u8) -> Value {
    let mut versions = vec![version("v1alpha1", false, &server(0)), version("v1beta1", newest <= 1, &server(1))];
    if newest >= 2 {
        versions.push(version("v1beta2", newest == 2, &server(2)));
    }
    if newest >= 3 {
        versions.push(version("v1beta3", true, &server(3)));
    }
    definition(POLICY, ["Server", "servers"], &json!({}), &versions)
}

fn server(version: u8) -> Value {
    let mut spec = json!({
        "type": "object",
        "required": ["port"],
        "properties": {
            "podSelector": selector(),
            "port": {"x-kubernetes-int-or-string": true},
            "proxyProtocol": {"type": "string", "default": "unknown"},
        },
    });
    if version < 2 {
        spec["required"] = json!(["podSelector", "port"]);
    } else {
        spec["oneOf"] = json!([{"required": ["podSelector"]}, {"required": ["externalWorkloadSelector"]}]);
        spec["properties"]["externalWorkloadSelector"] = selector();
    }
    if version >= 3 {
        spec["properties"]["accessPolicy"] = json!({"type": "string", "default": "deny"});
    }
    spec
}

fn selector() -> Value {
    let expression = json!({
        "type": "object",
        "required": ["key", "operator"],
        "properties": {
            "key": {"type": "string"},
            "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
            "values": list(&json!({"type": "string"})),
        },
    });
    json!({
        "type": "object",
        "properties": {
            "matchLabels": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "matchExpressions": list(&expression),
        },
    })
}

/// `AuthorizationPolicy`: who may use a `Server`, a route or a namespace.
pub(super) fn authorizations() -> Value {
    let target = json!({
        "type": "object",
        "required": ["kind", "name"],
        "properties": {"group": group(), "kind": kind(), "name": name()},
    });
    let required = json!({
        "type": "object",
        "required": ["kind", "name"],
        "properties": {"group": group(), "kind": kind(), "name": name(), "namespace": namespace()},
    });
    let spec = json!({
        "type": "object",
        "required": ["targetRef", "requiredAuthenticationRefs"],
        "properties": {"targetRef": target, "requiredAuthenticationRefs": list(&required)},
    });
    let kind = ["AuthorizationPolicy", "authorizationpolicies"];
    definition(POLICY, kind, &json!({}), &[version("v1alpha1", true, &spec)])
}

/// `MeshTLSAuthentication`: identities of the mesh.
pub(super) fn identities() -> Value {
    let reference = json!({
        "type": "object",
        "required": ["kind"],
        "properties": {"group": group(), "kind": kind(), "name": name(), "namespace": namespace()},
    });
    let identity = json!({
        "type": "string",
        "pattern": "^(\\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    });
    let spec = json!({
        "type": "object",
        "oneOf": [{"required": ["identities"]}, {"required": ["identityRefs"]}],
        "properties": {"identities": list(&identity), "identityRefs": list(&reference)},
    });
    let kind = ["MeshTLSAuthentication", "meshtlsauthentications"];
    definition(POLICY, kind, &json!({}), &[version("v1alpha1", true, &spec)])
}

/// `NetworkAuthentication`: addresses.
pub(super) fn networks() -> Value {
    let network = json!({
        "type": "object",
        "required": ["cidr"],
        "properties": {"cidr": {"type": "string"}, "except": list(&json!({"type": "string"}))},
    });
    let spec = json!({"type": "object", "required": ["networks"], "properties": {"networks": list(&network)}});
    let kind = ["NetworkAuthentication", "networkauthentications"];
    definition(POLICY, kind, &json!({}), &[version("v1alpha1", true, &spec)])
}

fn namespace() -> Value {
    json!({"type": "string", "maxLength": 253})
}

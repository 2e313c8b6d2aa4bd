//! `HTTPRoute`, of Gateway API and of Linkerd. What the API server adds to a route, because it is the default, is what a comparison with
//! the live object has to bear.

use serde_json::{Value, json};

use super::{definition, group, kind, list, name, version};
use crate::{GATEWAY, POLICY};

/// The channel of a bundle of Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Only fields that stay.
    Standard,
    /// All fields.
    Experimental,
}

/// A bundle of Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The minor version of the bundle `v1`.
    pub minor: u8,
    /// Its channel.
    pub channel: Channel,
}

impl Gateway {
    /// The one that Linkerd 2.20 brings: routes have timeouts and no retries.
    pub const RECORDED: Self = Self { minor: 1, channel: Channel::Experimental };
    /// The same minor version as its own installation has it: routes have neither timeouts nor retries.
    pub const WITHOUT_TIMEOUTS: Self = Self { minor: 1, channel: Channel::Standard };
    /// A newer one, whose routes have both.
    pub const WITH_RETRIES: Self = Self { minor: 2, channel: Channel::Experimental };

    /// Whether a rule has `timeouts`: they became standard with 1.2.
    pub fn has_timeouts(self) -> bool {
        self.minor >= 2 || self.channel == Channel::Experimental
    }

    /// Whether a rule has `retry`.
    pub fn has_retries(self) -> bool {
        self.minor >= 2 && self.channel == Channel::Experimental
    }
}

/// `HTTPRoute` of Gateway API.
pub(super) fn of_gateway(gateway: Gateway) -> Value {
    let channel = match gateway.channel {
        Channel::Standard => "standard",
        Channel::Experimental => "experimental",
    };
    let annotations = json!({
        "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api",
        "gateway.networking.k8s.io/bundle-version": format!("v1.{}.1", gateway.minor),
        "gateway.networking.k8s.io/channel": channel,
    });
    let spec = spec(gateway.has_timeouts(), gateway.has_retries());
    let versions = [with_status("v1", true, &spec), with_status("v1beta1", false, &spec)];
    definition(GATEWAY, ["HTTPRoute", "httproutes"], &annotations, &versions)
}

/// `HTTPRoute` of Linkerd itself.
pub(super) fn of_policy() -> Value {
    let versions = ["v1alpha1", "v1beta1", "v1beta2", "v1beta3"];
    let versions: Vec<Value> = versions
        .into_iter()
        .map(|name| with_status(name, name == "v1beta3", &spec(name == "v1beta3", false)))
        .collect();
    definition(POLICY, ["HTTPRoute", "httproutes"], &json!({}), &versions)
}

fn with_status(name: &str, is_stored: bool, spec: &Value) -> Value {
    let mut version = version(name, is_stored, spec);
    version["subresources"] = json!({"status": {}});
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = status();
    version
}

fn spec(has_timeouts: bool, has_retries: bool) -> Value {
    let everything = json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    let mut matches = list(&matching());
    matches["maxItems"] = json!(8);
    matches["default"] = everything.clone();
    let mut rule = json!({
        "type": "object",
        "properties": {
            "matches": matches,
            "filters": list(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
            "backendRefs": list(&backend()),
        },
    });
    if has_timeouts {
        let properties = json!({"request": duration(), "backendRequest": duration()});
        rule["properties"]["timeouts"] = json!({"type": "object", "properties": properties});
    }
    if has_retries {
        let properties = json!({
            "codes": list(&json!({"type": "integer", "minimum": 400, "maximum": 599})),
            "attempts": {"type": "integer"},
            "backoff": duration(),
        });
        rule["properties"]["retry"] = json!({"type": "object", "properties": properties});
    }
    let mut rules = list(&rule);
    rules["maxItems"] = json!(16);
    rules["default"] = json!([{ "matches": everything }]);
    json!({
        "type": "object",
        "properties": {"parentRefs": list(&parent()), "hostnames": list(&json!({"type": "string"})), "rules": rules},
    })
}

fn parent() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "group": with_default(group(), GATEWAY),
            "kind": with_default(kind(), "Gateway"),
            "name": name(),
            "namespace": name(),
            "port": port(),
            "sectionName": name(),
        },
    })
}

fn backend() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "group": with_default(group(), ""),
            "kind": with_default(kind(), "Service"),
            "name": name(),
            "namespace": name(),
            "port": port(),
            "weight": {"type": "integer", "format": "int32", "default": 1, "minimum": 0, "maximum": 1_000_000},
        },
    })
}

fn matching() -> Value {
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let pair = json!({
        "type": "object",
        "required": ["name", "value"],
        "properties": {
            "type": {"type": "string", "enum": ["Exact", "RegularExpression"], "default": "Exact"},
            "name": {"type": "string", "minLength": 1, "maxLength": 256},
            "value": {"type": "string", "minLength": 1, "maxLength": 4096},
        },
    });
    let mut pairs = list(&pair);
    pairs["x-kubernetes-list-type"] = json!("map");
    pairs["x-kubernetes-list-map-keys"] = json!(["name"]);
    json!({
        "type": "object",
        "properties": {
            "path": {
                "type": "object",
                "default": {"type": "PathPrefix", "value": "/"},
                "properties": {
                    "type": {
                        "type": "string",
                        "enum": ["Exact", "PathPrefix", "RegularExpression"],
                        "default": "PathPrefix",
                    },
                    "value": {"type": "string", "maxLength": 1024, "default": "/"},
                },
            },
            "headers": pairs,
            "queryParams": pairs,
            "method": {"type": "string", "enum": methods},
        },
    })
}

fn status() -> Value {
    let texts = ["type", "status", "reason", "message", "lastTransitionTime"];
    let mut condition =
        json!({"type": "object", "required": texts, "properties": {"observedGeneration": {"type": "integer"}}});
    for text in texts {
        condition["properties"][text] = json!({"type": "string"});
    }
    let mut conditions = list(&condition);
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    let of_parent = json!({
        "type": "object",
        "required": ["controllerName", "parentRef"],
        "properties": {"controllerName": {"type": "string"}, "parentRef": parent(), "conditions": conditions},
    });
    json!({"type": "object", "required": ["parents"], "properties": {"parents": list(&of_parent)}})
}

fn port() -> Value {
    json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535})
}

fn duration() -> Value {
    json!({"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"})
}

fn with_default(mut schema: Value, default: &str) -> Value {
    schema["default"] = json!(default);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_of_a_rule(gateway: Gateway) -> Value {
        let definition = of_gateway(gateway);
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["spec"]["properties"]["rules"]["items"]["properties"].clone()
    }

    #[test]
    fn bundle_decides_which_fields_a_rule_has() {
        for (gateway, timeouts, retries) in [
            (Gateway::RECORDED, true, false),
            (Gateway::WITHOUT_TIMEOUTS, false, false),
            (Gateway::WITH_RETRIES, true, true),
            (Gateway { minor: 2, channel: Channel::Standard }, true, false),
        ] {
            let fields = fields_of_a_rule(gateway);
            assert_eq!(fields.get("timeouts").is_some(), timeouts, "{gateway:?}");
            assert_eq!(fields.get("retry").is_some(), retries, "{gateway:?}");
        }
    }
}

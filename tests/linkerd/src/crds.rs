//! The kinds, written down by hand from what was recorded of Linkerd 2.20 with Gateway API 1.1.1, and from the documented differences
//! of other releases. Structure, required fields, defaults and list types are those of the real ones, because they decide what an
//! apply does; descriptions and fields that nobody here sets are left out.

mod policy;
mod routes;

use serde_json::{Value, json};

pub use routes::{Channel, Gateway};

use crate::VERSION;

/// Which kinds are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The newest version of `Server`: 1 for Linkerd 2.14, 2 for 2.15, 3 from 2.16 on.
    pub server: u8,
    /// The kinds of Gateway API, if any.
    pub gateway: Option<Gateway>,
}

impl Installed {
    /// What `linkerd install --crds` of 2.20 brings.
    pub const RECORDED: Self = Self { server: 3, gateway: Some(Gateway::RECORDED) };
    /// What 2.14 brings: its `Server` has no `accessPolicy`.
    pub const OLD: Self = Self { server: 1, gateway: Some(Gateway::RECORDED) };
    /// Without routes, as `--set installGatewayAPI=false` leaves it.
    pub const WITHOUT_ROUTES: Self = Self { server: 3, gateway: None };

    /// The same with other kinds of Gateway API.
    #[must_use]
    pub const fn with(self, gateway: Gateway) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// The definitions.
    pub fn definitions(self) -> Vec<Value> {
        let mut all = vec![
            policy::servers(self.server),
            policy::authorizations(),
            policy::identities(),
            policy::networks(),
            routes::of_policy(),
        ];
        all.extend(self.gateway.map(routes::of_gateway));
        all
    }
}

/// The names of all definitions that any release has.
pub const NAMES: [&str; 6] = [
    "servers.policy.linkerd.io",
    "authorizationpolicies.policy.linkerd.io",
    "meshtlsauthentications.policy.linkerd.io",
    "networkauthentications.policy.linkerd.io",
    "httproutes.policy.linkerd.io",
    "httproutes.gateway.networking.k8s.io",
];

/// A definition of a namespaced kind.
fn definition(group: &str, [kind, plural]: [&str; 2], annotations: &Value, versions: &[Value]) -> Value {
    let mut annotations = annotations.clone();
    annotations["linkerd.io/created-by"] = json!(format!("linkerd/cli {VERSION}"));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}"), "annotations": annotations},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
            "versions": versions,
        },
    })
}

/// A served version without a status.
fn version(name: &str, is_stored: bool, spec: &Value) -> Value {
    json!({
        "name": name,
        "served": true,
        "storage": is_stored,
        "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {"spec": spec}}},
    })
}

/// A name that refers to an object.
fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 253})
}

/// The group of a reference; the core group is the empty one.
fn group() -> Value {
    json!({
        "type": "string",
        "maxLength": 253,
        "pattern": "^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// The kind of a reference.
fn kind() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"})
}

/// A list that is replaced as a whole.
fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(definition: &Value) -> Vec<&str> {
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        versions.filter_map(|version| version["name"].as_str()).collect()
    }

    #[test]
    fn every_set_stores_one_version_of_each_kind() {
        for set in [Installed::RECORDED, Installed::OLD, Installed::WITHOUT_ROUTES] {
            for definition in set.definitions() {
                let versions = definition["spec"]["versions"].as_array().unwrap();
                let stored = versions.iter().filter(|version| version["storage"] == true).count();
                assert_eq!(stored, 1, "{}", definition["metadata"]["name"]);
                assert!(NAMES.contains(&definition["metadata"]["name"].as_str().unwrap()));
            }
        }
    }

    #[test]
    fn servers_of_a_release_end_with_its_newest_version() {
        let of = |set: Installed| set.definitions().remove(0);
        assert_eq!(versions(&of(Installed::OLD)), ["v1alpha1", "v1beta1"]);
        assert_eq!(versions(&of(Installed { server: 2, gateway: None })), ["v1alpha1", "v1beta1", "v1beta2"]);
        assert_eq!(versions(&of(Installed::RECORDED)), ["v1alpha1", "v1beta1", "v1beta2", "v1beta3"]);
    }

    #[test]
    fn only_the_newest_server_has_an_access_policy() {
        let servers = Installed::RECORDED.definitions().remove(0);
        let has = |version: &Value| {
            !version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["accessPolicy"].is_null()
        };
        let with: Vec<bool> = servers["spec"]["versions"].as_array().unwrap().iter().map(has).collect();
        assert_eq!(with, [false, false, false, true]);
    }
}

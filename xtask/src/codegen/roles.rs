//! The roles of the controllers, and of the users of their kinds.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use temporal_stack_common::driver::{self, is_cluster_wide, rule};

use super::yaml;
use crate::controllers::{self, Controller, NAMESPACE};

/// What Kubernetes' own roles `view`, `edit` and `admin` collect the rules of others by.
const AGGREGATE_TO: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// A ServiceAccount with the controller's rules for the cluster, and those for its Lease in its own namespace.
pub(super) fn of_controller(controller: &Controller) -> Result<Vec<String>> {
    let name = controller.program;
    let rules: Vec<PolicyRule> = (controller.rules)();
    Ok(vec![
        yaml(&ServiceAccount { metadata: meta(name, Some(NAMESPACE)), ..ServiceAccount::default() })?,
        yaml(&ClusterRole { metadata: meta(name, None), rules: Some(rules), ..ClusterRole::default() })?,
        yaml(&ClusterRoleBinding {
            metadata: meta(name, None),
            role_ref: role_ref("ClusterRole", name),
            subjects: Some(vec![account(name)]),
        })?,
        yaml(&Role { metadata: meta(name, Some(NAMESPACE)), rules: Some(driver::lease_rules()) })?,
        yaml(&binding(name, name))?,
    ])
}

/// For each controller that can serve one namespace a Role with its rules there, beside that for its Lease.
pub(super) fn in_one_namespace() -> Result<Vec<String>> {
    let mut all = Vec::new();
    for controller in controllers::ALL.iter().filter(|controller| !needs_the_cluster(controller)) {
        let name = format!("{}-objects", controller.program);
        let rules = (controller.rules)().into_iter().filter(|rule| !is_cluster_wide(rule)).collect();
        all.push(yaml(&Role { metadata: meta(&name, Some(NAMESPACE)), rules: Some(rules) })?);
        all.push(yaml(&binding(&name, controller.program))?);
    }
    Ok(all)
}

/// What users may do with a controller's kind, for Kubernetes' own roles. Nobody but the controller writes a status.
pub(super) fn of_users(controller: &Controller) -> Vec<ClusterRole> {
    let crd = (controller.crd)();
    let (group, plural) = (crd.spec.group, crd.spec.names.plural);
    let role = |suffix: &str, aggregated: &[&str], rules: Vec<PolicyRule>| {
        let mut metadata = meta(&format!("temporal-stack-{plural}-{suffix}"), None);
        let labels = metadata.labels.get_or_insert_default();
        labels.extend(aggregated.iter().map(|role| (format!("{AGGREGATE_TO}{role}"), "true".to_owned())));
        ClusterRole { metadata, rules: Some(rules), ..ClusterRole::default() }
    };
    let reads = ["get", "list", "watch"];
    let writes = ["create", "delete", "deletecollection", "patch", "update"];
    let status = rule(&group, &format!("{plural}/status"), &["get"]);
    vec![
        role("view", &["view", "edit", "admin"], vec![rule(&group, &plural, &reads), status]),
        role("edit", &["edit", "admin"], vec![rule(&group, &plural, &writes)]),
    ]
}

/// The documents of [`of_users`].
pub(super) fn documents_of_users(controller: &Controller) -> Result<Vec<String>> {
    of_users(controller).iter().map(yaml).collect()
}

/// Whether a controller writes objects without a namespace, and so has no use for a Role.
pub(super) fn needs_the_cluster(controller: &Controller) -> bool {
    let is_write = |verb: &String| !["get", "list", "watch"].contains(&verb.as_str());
    (controller.rules)().iter().any(|rule| is_cluster_wide(rule) && rule.verbs.iter().any(is_write))
}

fn meta(name: &str, namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some(BTreeMap::from([("app.kubernetes.io/part-of".to_owned(), "temporal-stack".to_owned())])),
        ..ObjectMeta::default()
    }
}

fn account(name: &str) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        ..Subject::default()
    }
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: "rbac.authorization.k8s.io".to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}

/// Gives an account the Role of this name in the namespace of the controllers.
fn binding(role: &str, program: &str) -> RoleBinding {
    RoleBinding {
        metadata: meta(role, Some(NAMESPACE)),
        role_ref: role_ref("Role", role),
        subjects: Some(vec![account(program)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_edit_every_kind_but_no_status() {
        for controller in controllers::ALL {
            let roles = of_users(controller);
            let verbs = |resource: &str| -> Vec<String> {
                let rules = roles.iter().flat_map(|role| role.rules.iter().flatten());
                let of_resource = rules.filter(|rule| rule.resources.iter().flatten().any(|one| one == resource));
                of_resource.flat_map(|rule| rule.verbs.clone()).collect()
            };
            let plural = (controller.crd)().spec.names.plural;
            assert!(verbs(&plural).contains(&"create".to_owned()), "{plural}");
            assert_eq!(verbs(&format!("{plural}/status")), ["get"], "{plural}");
            let labels = |role: &ClusterRole| role.metadata.labels.clone().unwrap_or_default();
            assert!(!labels(&roles[1]).contains_key(&format!("{AGGREGATE_TO}view")), "{plural}");
            assert_eq!(labels(&roles[0])[&format!("{AGGREGATE_TO}view")], "true");
        }
    }

    #[test]
    fn only_the_mesh_controller_needs_the_cluster() {
        let names: Vec<_> = controllers::ALL.iter().filter(|one| needs_the_cluster(one)).map(|one| one.name).collect();
        assert_eq!(names, ["mesh"]);
    }

    #[test]
    fn roles_of_one_namespace_need_no_cluster_role() {
        let text = in_one_namespace().unwrap().concat();
        assert!(text.contains("database-controller-objects") && !text.contains("storageclasses"), "{text}");
        assert!(!text.contains("ClusterRole"), "{text}");
    }
}

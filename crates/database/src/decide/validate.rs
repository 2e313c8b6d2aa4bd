//! Validation: the rules of the CRD's schema, and those that it cannot express.

use temporal_stack_common::{
    api::{CloudNativePgProvider, PostgresProvider},
    component::Stalled,
    provider::wrong_with_common,
};

use super::view::View;
use crate::{
    names::{LONGEST_CLUSTER, PROVIDER, RESOURCES, is_reserved_by_cluster},
    settings::{self, parameter},
};

/// The most servers of a cluster.
const MOST_INSTANCES: i32 = 9;

/// Parameters that the controller sets.
const OWN_PARAMETERS: [&str; 10] = [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "password_encryption",
    "port",
    "unix_socket_directories",
    "unix_socket_permissions",
];

/// Refuses a spec that cannot work; an object may have bypassed the schema.
pub(super) fn validate(view: &View<'_>) -> Result<(), Stalled> {
    Stalled::if_invalid(wrong_with_spec(view))
}

fn wrong_with_spec(view: &View<'_>) -> Option<String> {
    let (spec, settings) = (&view.object.spec, &view.settings);
    let provider = &spec.provider;
    let providers = [
        ("postgres", provider.postgres.is_some()),
        (PROVIDER, provider.cloud_native_pg.is_some()),
        ("external", provider.external.is_some()),
    ];
    if let Some(wrong) = wrong_with_common(&view.names.object, &providers, &spec.access, &spec.pods) {
        return Some(wrong);
    }
    if view.provider.is_external() {
        return None;
    }
    if let Some(wrong) = settings::wrong_with_database(&settings.database) {
        return Some(format!("spec.database {:?} {wrong}; give another name", settings.database));
    }
    if let Some((user, wrong)) = settings.user.as_ref().and_then(|user| Some((user, settings::wrong_with_user(user)?)))
    {
        return Some(format!("spec.username {user:?} {wrong}; give another name"));
    }
    if let Some(delegated) = &provider.cloud_native_pg {
        return wrong_with_cluster(view, delegated);
    }
    if let Some(wrong) = provider.postgres.as_ref().and_then(huge_pages) {
        return Some(wrong);
    }
    let parameters = provider.postgres.iter().flat_map(|postgres| postgres.parameters.keys());
    let is_own = |key: &&String| OWN_PARAMETERS.contains(&parameter(key).as_str());
    let own: Vec<&str> = parameters.filter(is_own).map(String::as_str).collect();
    (!own.is_empty()).then(|| {
        format!("spec.provider.postgres.parameters: the controller sets {}; remove these parameters", own.join(", "))
    })
}

fn wrong_with_cluster(view: &View<'_>, provider: &CloudNativePgProvider) -> Option<String> {
    let (spec, field) = (&view.object.spec, format!("spec.provider.{PROVIDER}"));
    let instances = provider.instances;
    if !(1..=MOST_INSTANCES).contains(&instances) {
        return Some(format!("{field}.instances is {instances}; set it to a number from 1 to {MOST_INSTANCES}"));
    }
    if let Some(number) = provider.synchronous.map(|synchronous| synchronous.number)
        && !(1..instances).contains(&number)
    {
        return Some(format!(
            "{field}.synchronous.number is {number} with {instances} instances; set it to at least 1, and below the number of instances"
        ));
    }
    if provider.image.is_some() && provider.image_catalog_ref.is_some() {
        return Some(format!("{field} has both image and imageCatalogRef; keep one of them"));
    }
    if view.names.base.len() > LONGEST_CLUSTER {
        return Some(format!(
            "metadata.name makes a Cluster of the name {}, which is longer than {LONGEST_CLUSTER} characters; recreate the object with a shorter name",
            view.names.base
        ));
    }
    if let Some(user) = view.settings.user.as_ref().filter(|user| is_reserved_by_cluster(user)) {
        return Some(format!("spec.username {user:?} is a role of CloudNativePG itself; give another name"));
    }
    let pods = &spec.pods;
    let unsupported = [
        ("runtimeClassName", pods.runtime_class_name.is_some(), "has no such setting"),
        ("serviceAccountName", pods.service_account_name.is_some(), "creates an account for its servers"),
    ];
    let (setting, _, why) = unsupported.into_iter().find(|(_, is_set, _)| *is_set)?;
    Some(format!("spec.pods.{setting}: CloudNativePG {why}; remove it, or use another provider"))
}

/// A server that requires huge pages and gets none does not start, after the running one was stopped for it.
fn huge_pages(postgres: &PostgresProvider) -> Option<String> {
    let (key, value) = postgres.parameters.iter().find(|(key, _)| parameter(key) == "huge_pages")?;
    let is_on = ["on", "true", "yes", "1"].contains(&value.trim().to_ascii_lowercase().as_str());
    let has_some = postgres.resources.limits.keys().any(|name| name.starts_with("hugepages-"));
    (is_on && !has_some).then(|| {
        format!(
            "spec.provider.postgres.parameters.{key} is {value}, and the container has no huge pages, so the server cannot start; set it to try, or set {RESOURCES}.limits.hugepages-2Mi"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        fixture::{external, object, observed},
        reason::INVALID_SPEC,
    };

    #[test]
    fn all_managed_parameters_are_named_at_once() {
        let object = object(&json!({"provider": {"postgres": {"parameters": {
            "port": "1", " Listen-Addresses": "*", "max_connections": "200", "hba_file": "/x",
        }}}}));
        assert_eq!(validate(&View::new(&object, &external(None))), Ok(()));
        let stalled = validate(&View::new(&object, &observed())).unwrap_err();
        for key in ["port", "Listen-Addresses", "hba_file"] {
            assert!(stalled.message.contains(key), "{stalled:?}");
        }
        assert!(!stalled.message.contains("max_connections"), "{stalled:?}");
    }

    #[test]
    fn huge_pages_without_any_are_refused() {
        let judged = |parameters, limits| {
            let provider = json!({"parameters": parameters, "resources": {"limits": limits}});
            validate(&View::new(&object(&json!({"provider": {"postgres": provider}})), &observed()))
        };
        for on in [json!({"huge_pages": "on"}), json!({"Huge_Pages": "TRUE"}), json!({"huge-pages": "1"})] {
            let stalled = judged(on, json!({})).unwrap_err();
            assert_eq!(stalled.reason, INVALID_SPEC);
            let wrong = stalled.message;
            assert!(wrong.contains("set it to try") && wrong.contains("limits.hugepages-2Mi"), "{wrong}");
        }
        assert_eq!(judged(json!({"huge_pages": "try"}), json!({})), Ok(()));
        assert_eq!(judged(json!({"huge_pages": "on"}), json!({"hugepages-2Mi": "64Mi"})), Ok(()));
    }
}

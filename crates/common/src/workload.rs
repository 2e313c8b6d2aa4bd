//! Common parts of all components' pods: labels, security, resources.
//!
//! Pure code that returns parts of Kubernetes objects; a component puts its product into them.

mod pod;
mod pods;
mod resources;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{PersistentVolumeClaim, PodTemplateSpec},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use kube::ResourceExt;

pub use pod::{
    before_end, config_map, container, container_port, env, exec, http_probe, lingering, memory, mount, of_pod,
    of_secret, probed, read_only, scratch, secret,
};
pub use pods::{Pods, wrong_with_pods};
pub use resources::{DefaultResources, helper_resources, resources};
pub use service::{client_service, naming_service, opaque, port, service, service_ip, unproxied};

use crate::{
    api::{annotation, label},
    cache::Children,
};

/// Immutable fields of a [`stateful_set`]; it is recreated around its running pods.
pub const IMMUTABLE: &[&str] =
    &["/spec/volumeClaimTemplates", "/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy"];

/// The name of the volume for data, in pods and in the names of its claims.
pub const DATA: &str = "data";

/// How many characters the name of an object may have, so that Services and pods can be named after it.
const LONGEST_NAME: usize = 35;

/// The labels by which the pods of an instance are found.
pub fn selector(product: &str, component: &str, instance: &str) -> BTreeMap<String, String> {
    let labels = [
        (label::NAME, product),
        (label::INSTANCE, instance),
        (label::COMPONENT, component),
        (label::MANAGED_BY, label::STACK),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The error in the name of an object after which Services and pods are named.
pub fn wrong_with_name(name: &str) -> Option<String> {
    if name.len() > LONGEST_NAME {
        return Some(format!(
            "metadata.name has {} characters: Services and pods are named after it, so {LONGEST_NAME} is the maximum; recreate the object with a shorter name",
            name.len()
        ));
    }
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    (!begins_well || name.ends_with('-') || !name.chars().all(is_label)).then(|| {
        format!(
            "metadata.name {name:?} cannot be used as the name of a Service: it must have lower-case letters, digits and hyphens, and start with a letter; recreate the object with such a name"
        )
    })
}

/// The parameters of a component's set.
#[derive(Debug)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// The headless Service that names its pods.
    pub service: String,
    /// The number of pods.
    pub replicas: i32,
    /// Whether its pods start all at once, or each after the previous one is ready.
    pub parallel: bool,
    /// The labels by which its pods are found.
    pub selector: BTreeMap<String, String>,
    /// Its pods.
    pub template: PodTemplateSpec,
    /// The claims of each pod's volumes for data.
    pub claims: Vec<PersistentVolumeClaim>,
}

/// A set of pods with a volume each, whose restarts are the controller's decision. Its volumes belong to the custom resource, not
/// to the set.
pub fn stateful_set(set: Set) -> StatefulSet {
    let policy = if set.parallel { "Parallel" } else { "OrderedReady" };
    StatefulSet {
        metadata: ObjectMeta { name: Some(set.name), ..ObjectMeta::default() },
        spec: Some(StatefulSetSpec {
            replicas: Some(set.replicas),
            service_name: Some(set.service),
            pod_management_policy: Some(policy.to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some("Retain".to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            selector: LabelSelector { match_labels: Some(set.selector), ..LabelSelector::default() },
            template: set.template,
            volume_claim_templates: Some(set.claims),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The newest restart request: removing the annotation requests none.
pub fn restart_asked(object: &impl ResourceExt, children: &Children, set: &str) -> Option<String> {
    let heard = || {
        let set: StatefulSet = children.find(set)?;
        set.spec?.template.metadata?.annotations?.remove(annotation::RESTART)
    };
    object.annotations().get(annotation::RESTART).cloned().or_else(heard)
}

/// Permits eviction of one pod at a time. A single pod needs no budget: it would block draining its machine forever.
pub fn one_at_a_time(name: String, selector: BTreeMap<String, String>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

#[cfg(test)]
mod tests;

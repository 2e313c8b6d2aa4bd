//! What the pods of all components have in common: how they are found, how they are confined, what they may use.
//!
//! Pure code that returns parts of Kubernetes objects; a component puts its product into them.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{
            Capabilities, ConfigMapVolumeSource, EmptyDirVolumeSource, EnvVar, EnvVarSource, ExecAction,
            ObjectFieldSelector, PersistentVolumeClaim, PodSecurityContext, PodTemplateSpec, ResourceRequirements,
            SeccompProfile, SecretVolumeSource, SecurityContext, Service, ServicePort, ServiceSpec,
            TopologySpreadConstraint, Volume, VolumeMount,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    api::{Resources, annotation, label},
    cache::Children,
    manifest::{compare_quantities, hash},
};

/// Fields of a [`stateful_set`] that cannot be changed; it is made again around its running pods.
pub const IMMUTABLE: &[&str] =
    &["/spec/volumeClaimTemplates", "/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy"];

/// The name of the volume for data, in pods and in the names of its claims.
pub const DATA: &str = "data";

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

/// What is wrong with the name of an object after which Services and pods are named; `most` is how many characters it may have.
pub fn wrong_with_name(name: &str, most: usize) -> Option<String> {
    if name.len() > most {
        return Some(format!(
            "metadata.name has {} characters: Services and pods are named after it, so {most} are the most; make the object again with a shorter name",
            name.len()
        ));
    }
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    (!begins_well || name.ends_with('-') || !name.chars().all(is_label)).then(|| {
        format!(
            "metadata.name {name:?}: Services are named after it, so it must be small letters, digits and dashes, with a letter first; make the object again with such a name"
        )
    })
}

/// What differs between the sets of two components.
#[derive(Debug)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// The headless Service that names its pods.
    pub service: String,
    /// How many pods.
    pub replicas: i32,
    /// Whether its pods start all at once, or each after the one before is ready.
    pub parallel: bool,
    /// The labels by which its pods are found.
    pub selector: BTreeMap<String, String>,
    /// Its pods.
    pub template: PodTemplateSpec,
    /// The claim of each pod's volume for data.
    pub claim: PersistentVolumeClaim,
}

/// A set of pods with a volume each, whose restarts are the controller's decision. Its volumes are the custom resource's, not
/// the set's: they go with that, if at all.
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
            volume_claim_templates: Some(vec![set.claim]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// A Service for clients inside the cluster: ready pods only.
pub fn client_service() -> ServiceSpec {
    ServiceSpec { type_: Some("ClusterIP".to_owned()), ..ServiceSpec::default() }
}

/// A Service that gives pods their names, ready or not.
pub fn naming_service() -> ServiceSpec {
    ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        ..ServiceSpec::default()
    }
}

/// A port of a Service, which leads to the pods' port of that name.
pub fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    }
}

/// The same where HTTP is spoken, for those who look at that.
pub fn http_port(name: &str, number: u16) -> ServicePort {
    ServicePort { app_protocol: Some("http".to_owned()), ..port(name, number) }
}

/// The address that a Service has within the cluster: using it keeps name servers out of the way.
pub fn service_ip(service: &Service) -> Option<String> {
    service.spec.as_ref()?.cluster_ip.clone().filter(|ip| ip != "None" && !ip.is_empty())
}

/// The newest request for a restart that was heard: taking the annotation off asks for none.
pub fn restart_asked(object: &impl ResourceExt, children: &Children, set: &str) -> Option<String> {
    let heard = || {
        let set: StatefulSet = children.find(set)?;
        set.spec?.template.metadata?.annotations?.remove(annotation::RESTART)
    };
    object.annotations().get(annotation::RESTART).cloned().or_else(heard)
}

/// The metadata of a pod template: `wanted` is what the user asked for, a change of which restarts pods, and `restart` the newest
/// request for a restart that was heard.
pub fn template_meta(
    labels: BTreeMap<String, String>,
    mut annotations: BTreeMap<String, String>,
    wanted: &Value,
    restart: Option<&String>,
) -> ObjectMeta {
    annotations.insert(annotation::ROLL.to_owned(), hash(wanted));
    annotations.extend(restart.map(|restart| (annotation::RESTART.to_owned(), restart.clone())));
    ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

/// A pod that runs as this user and group, which own its volumes.
pub fn pod_security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// A container that may do nothing but run its program.
pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}

/// What a container gets where the user says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// CPU request.
    pub cpu: &'static str,
    /// Memory request.
    pub memory: &'static str,
    /// Memory limit.
    pub memory_limit: &'static str,
}

/// The user's wishes, with the usual for each that is absent. Memory has a limit, CPU has none: a throttled server is a slow one.
pub fn resources(wanted: &Resources, usual: Usual) -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.to_owned());
    let mut requests = wanted.requests.clone();
    let mut limits = wanted.limits.clone();
    // A limit of the user's may be below what is usually guaranteed, and a guarantee above the usual limit.
    let within = |usual: &str, bound: Option<&Quantity>, outside: Ordering| match bound {
        Some(bound) if compare_quantities(usual, &bound.0) == Some(outside) => bound.clone(),
        _ => quantity(usual),
    };
    let limit = within(usual.memory_limit, requests.get("memory"), Ordering::Less);
    limits.entry("memory".to_owned()).or_insert(limit);
    for (name, usual) in [("cpu", usual.cpu), ("memory", usual.memory)] {
        let request = within(usual, limits.get(name), Ordering::Greater);
        requests.entry(name.to_owned()).or_insert(request);
    }
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
}

/// What a helper has beside the container whose resources the user sets: its limits of CPU and local storage, because a quota that
/// counts these wants them of every container.
pub fn beside(main: &Resources) -> Resources {
    let counted = |name: &String| ["cpu", "ephemeral-storage"].contains(&name.as_str());
    let limits = main.limits.iter().filter(|(name, _)| counted(name));
    Resources { limits: limits.map(|(name, limit)| (name.clone(), limit.clone())).collect(), ..Resources::default() }
}

/// A directory that lives as long as the pod.
pub fn scratch(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// The same in memory.
pub fn memory(name: &str) -> Volume {
    let in_memory = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), ..EmptyDirVolumeSource::default() };
    Volume { empty_dir: Some(in_memory), ..scratch(name) }
}

/// A Secret as files that the pod's group may read.
pub fn secret(name: &str, secret: String) -> Volume {
    let source =
        SecretVolumeSource { secret_name: Some(secret), default_mode: Some(0o440), ..SecretVolumeSource::default() };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}

/// A ConfigMap as files; `optional`: the pod starts without it.
pub fn config_map(name: &str, config_map: String, optional: bool) -> Volume {
    let source = ConfigMapVolumeSource {
        name: config_map,
        optional: optional.then_some(true),
        ..ConfigMapVolumeSource::default()
    };
    Volume { name: name.to_owned(), config_map: Some(source), ..Volume::default() }
}

/// Where a volume is in a container.
pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// The same, only to read.
pub fn read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(name, path) }
}

/// A variable of the environment.
pub fn env(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() }
}

/// A variable of the environment that says something of the pod, such as `metadata.name`.
pub fn of_pod(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// One machine after the other, where there are several.
pub fn apart(selector: BTreeMap<String, String>) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
        ..TopologySpreadConstraint::default()
    }
}

/// Pods may be evicted one at a time. A single pod needs none: it would keep its machine from being drained for ever.
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

/// A program and its arguments, run in a container.
pub fn exec(words: &[&str]) -> ExecAction {
    ExecAction { command: Some(words.iter().map(|word| (*word).to_owned()).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_do_for_a_service() {
        assert_eq!(wrong_with_name("temporal-2", 35), None);
        assert!(wrong_with_name("2temporal", 35).unwrap().contains("a letter first"));
        assert!(wrong_with_name("a.b", 35).unwrap().contains("small letters"));
        assert!(wrong_with_name(&"a".repeat(36), 35).unwrap().contains("36 characters"));
    }

    #[test]
    fn the_usual_keeps_within_what_the_user_wants() {
        let memory = |text: &str| BTreeMap::from([("memory".to_owned(), Quantity(text.to_owned()))]);
        let usual = Usual { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" };
        let small = resources(&Resources { limits: memory("200Mi"), ..Resources::default() }, usual);
        assert_eq!(small.requests.unwrap()["memory"].0, "200Mi");
        let large = resources(&Resources { requests: memory("2Gi"), ..Resources::default() }, usual);
        assert_eq!(large.limits.unwrap()["memory"].0, "2Gi");
    }

    #[test]
    fn a_helper_states_what_a_quota_counts() {
        let limits = [("cpu", "500m"), ("memory", "2Gi"), ("example.com/gpu", "1")];
        let limits = limits.map(|(name, limit)| (name.to_owned(), Quantity(limit.to_owned())));
        let main = Resources { limits: limits.into(), ..Resources::default() };
        let got = resources(&beside(&main), Usual { cpu: "1m", memory: "8Mi", memory_limit: "32Mi" });
        let limits: Vec<_> = got.limits.unwrap().into_iter().map(|(name, limit)| (name, limit.0)).collect();
        assert_eq!(limits, [("cpu", "500m"), ("memory", "32Mi")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn what_the_user_wants_beats_the_usual() {
        let wanted = Resources {
            limits: BTreeMap::from([("memory".to_owned(), Quantity("2Gi".to_owned()))]),
            ..Resources::default()
        };
        let got = resources(&wanted, Usual { cpu: "100m", memory: "256Mi", memory_limit: "1Gi" });
        assert_eq!(got.limits.unwrap()["memory"].0, "2Gi");
        assert_eq!(got.requests.unwrap()["memory"].0, "256Mi");
    }
}

//! Parts of pods: security contexts, containers, probes, volumes and variables.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        ExecAction, HTTPGetAction, Lifecycle, LifecycleHandler, ObjectFieldSelector, PodSecurityContext, PodSpec,
        Probe, ResourceRequirements, SeccompProfile, SecretKeySelector, SecretVolumeSource, SecurityContext,
        SleepAction, Volume, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::port::{Port, Protocol};

/// A pod that runs as this user and group, which own its volumes. It has no token, and no variables of Services: a Service named like
/// one of the product's variables would set it.
pub(super) fn pod(user: i64, grace_seconds: i64) -> PodSpec {
    PodSpec {
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(user),
            run_as_group: Some(user),
            fs_group: Some(user),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(grace_seconds),
        ..PodSpec::default()
    }
}

/// A container without privileges. The last lines of a failing container's log are in the pod's status, and so in the condition.
pub fn container(name: &str, image: &str, resources: ResourceRequirements) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        resources: Some(resources),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// The container with the probes of a server that may take minutes to start. There is no liveness probe: killing a paused or busy
/// server does not help, and one that has died ends its container by itself.
pub fn probed(container: Container, probe: &Probe) -> Container {
    let every =
        |period, failures| Probe { period_seconds: Some(period), failure_threshold: Some(failures), ..probe.clone() };
    Container { startup_probe: Some(every(1, 600)), readiness_probe: Some(every(5, 2)), ..container }
}

/// A probe that asks for a path. There is none that only connects: behind the proxy of a mesh it always succeeds.
pub fn http_probe(port: &str, path: &str) -> Probe {
    let port = IntOrString::String(port.to_owned());
    let get = HTTPGetAction { path: Some(path.to_owned()), port, ..HTTPGetAction::default() };
    Probe { http_get: Some(get), ..Probe::default() }
}

/// A program and its arguments, run in a container.
pub fn exec(words: &[&str]) -> ExecAction {
    ExecAction { command: Some(words.iter().map(|word| (*word).to_owned()).collect()) }
}

/// A program that is run before the container is asked to end.
pub fn before_end(words: &[&str]) -> Lifecycle {
    let pre_stop = LifecycleHandler { exec: Some(exec(words)), ..LifecycleHandler::default() };
    Lifecycle { pre_stop: Some(pre_stop), ..Lifecycle::default() }
}

/// Keeps a container running for so long after its pod was taken out of its Services, because clients learn of that a moment later.
pub fn lingering(seconds: i64) -> Lifecycle {
    let pre_stop = LifecycleHandler { sleep: Some(SleepAction { seconds }), ..LifecycleHandler::default() };
    Lifecycle { pre_stop: Some(pre_stop), ..Lifecycle::default() }
}

/// A port of a container.
pub fn container_port(port: Port) -> ContainerPort {
    ContainerPort {
        name: Some(port.name.to_owned()),
        container_port: port.number.into(),
        protocol: (port.protocol == Protocol::Udp).then(|| "UDP".to_owned()),
        ..ContainerPort::default()
    }
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

/// The mount of a volume in a container.
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

/// A variable of the environment with a key of a Secret.
pub fn of_secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let key = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), ..SecretKeySelector::default() };
    let source = EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() }
}

/// A variable of the environment with a field of the pod, such as `metadata.name`.
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

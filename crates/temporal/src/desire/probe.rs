//! Probes of programs that the kubelet cannot ask itself: a sidecar, `bridge probe`, asks them in their own protocol.
//!
//! The key server speaks gRPC without health checks, and its image has no shell. The API may count every request against a small
//! limit, or serve TLS, which a mesh cannot look into: as soon as it has a policy, it refuses such a probe. A bare connection would
//! show nothing, because a mesh's proxy accepts it whether the program runs or not. The sidecar is asked over HTTP, and asks over
//! the loopback, where no proxy is.

use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use temporal_stack_common::{
    api::Resources,
    port::{self, Port},
    workload::{DefaultResources, container_port},
};

use super::pod;
use crate::decide::view::View;

/// The resources of the sidecar, which opens a connection now and then.
const SIDECAR: DefaultResources = DefaultResources { cpu: "1m", memory: "8Mi", memory_limit: "32Mi" };

/// The sidecar that asks the program on this port of its pod. `scheme` is the protocol, as `bridge probe` takes it.
pub(super) fn sidecar(view: &View<'_>, scheme: &str, asked: Port, main: &Resources) -> Container {
    Container {
        args: Some(vec!["probe".to_owned(), format!("{scheme}://localhost:{}", asked.number)]),
        ports: Some(vec![container_port(port::PROBE)]),
        restart_policy: Some("Always".to_owned()),
        ..pod::helper("probe", view, main, SIDECAR)
    }
}

/// Whether the program answers the sidecar: a probe of the program's container, whose failure is the program's.
pub(super) fn answers() -> Probe {
    // By number: a probe knows only the names of its own container's ports.
    let port = IntOrString::Int(port::PROBE.number.into());
    let get = HTTPGetAction { path: Some("/answers".to_owned()), port, ..HTTPGetAction::default() };
    Probe { http_get: Some(get), timeout_seconds: Some(5), ..Probe::default() }
}

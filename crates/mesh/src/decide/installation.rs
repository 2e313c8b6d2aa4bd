//! Whether Linkerd is installed, and whether its control plane runs.

use temporal_stack_common::{
    component::{Stalled, Waiting},
    condition::Statement,
    message::kubectl,
    world::Elsewhere,
};

use super::view::View;
use crate::{
    linkerd::version::Version,
    names::{INJECTOR, MESH_INSTALLED, PLANES, SERVER_VERSIONS},
    observed::Linkerd,
    reason,
};

/// Why there is nothing that could add a proxy.
pub(super) fn obstacle(view: &View<'_>) -> Result<(), Stalled> {
    let linkerd = &view.observed.linkerd;
    if linkerd.is_absent {
        return Err(Stalled::new(reason::NOT_INSTALLED, not_installed()));
    }
    if let Some(message) = incomplete(linkerd) {
        return Err(Stalled::new(reason::KINDS_MISSING, message));
    }
    if let Some(version) = version_of(linkerd).filter(|version| Version::read(version) == Version::Older) {
        let message = format!("Linkerd {version} is too old: 2.14 is the oldest that works; upgrade it");
        return Err(Stalled::new(reason::UNSUPPORTED_VERSION, message));
    }
    if let Some(message) = no_injector(linkerd) {
        return Err(Stalled::new(reason::CONTROL_PLANE_DOWN, message));
    }
    Ok(())
}

/// The part of the control plane that does not run.
pub(super) fn waiting(view: &View<'_>) -> Option<Waiting> {
    let message = silent(&view.observed.linkerd)?;
    Some(Waiting::new(reason::CONTROL_PLANE_DOWN, message))
}

/// The condition `MeshInstalled`.
pub(super) fn statement(view: &View<'_>) -> Statement {
    let linkerd = &view.observed.linkerd;
    if let Err(Stalled { reason, message }) = obstacle(view) {
        return Statement::fails(MESH_INSTALLED, reason, message);
    }
    if let Some(message) = silent(linkerd) {
        return Statement::fails(MESH_INSTALLED, reason::CONTROL_PLANE_DOWN, message);
    }
    if linkerd.planes.is_none() {
        let message = "control plane unknown: the controller may not list Deployments of the cluster; apply its ClusterRole and ClusterRoleBinding";
        return Statement::unknown(MESH_INSTALLED, reason::NOT_PERMITTED, message);
    }
    let version = version_of(linkerd).unwrap_or_default();
    let runs = format!("Linkerd {version} is installed, and its control plane runs");
    let remedy = "this controller is written for 2.14 to 2.20, so read `linkerd check` before you rely on it";
    match Version::read(&version) {
        Version::Known | Version::Older => Statement::holds(MESH_INSTALLED, reason::AS_EXPECTED, runs),
        Version::Newer => Statement::holds(MESH_INSTALLED, reason::UNTRIED_VERSION, format!("{runs}; {remedy}")),
        Version::Unreadable => {
            let message = format!("version {version:?} of Linkerd cannot be read; {remedy}");
            Statement::unknown(MESH_INSTALLED, reason::VERSION_UNKNOWN, message)
        }
    }
}

/// Whether a `Server` can admit and count what no policy admits.
pub(crate) fn can_audit(linkerd: &Linkerd) -> bool {
    linkerd.server_version == Some(SERVER_VERSIONS[0])
}

/// The version that the installation reports.
pub(crate) fn version_of(linkerd: &Linkerd) -> Option<String> {
    let configured = linkerd.config.there().and_then(|config| config.linkerd_version.clone());
    configured.or_else(|| linkerd.planes.iter().flatten().find_map(|plane| plane.version.clone()))
}

fn not_installed() -> String {
    "Linkerd is not installed: the cluster does not serve policy.linkerd.io; install Linkerd 2.14 to 2.20, for instance with `linkerd install --crds | kubectl apply -f -` and `linkerd install | kubectl apply -f -`, or delete this object".to_owned()
}

fn incomplete(linkerd: &Linkerd) -> Option<String> {
    (!linkerd.missing_kinds.is_empty()).then(|| {
        format!(
            "Linkerd is incomplete: the cluster does not serve {}; install all of its kinds with `linkerd install --crds | kubectl apply -f -`",
            linkerd.missing_kinds.join(", ")
        )
    })
}

fn no_injector(linkerd: &Linkerd) -> Option<String> {
    (linkerd.injector == Elsewhere::Missing).then(|| {
        format!(
            "proxies cannot be added: MutatingWebhookConfiguration/{INJECTOR} is missing; install Linkerd's control plane with `linkerd install | kubectl apply -f -`"
        )
    })
}

/// The Deployments of the control plane that have no ready pod.
fn silent(linkerd: &Linkerd) -> Option<String> {
    let planes = linkerd.planes.as_ref()?;
    let runs = |part: &&str| planes.iter().any(|plane| plane.part == *part && plane.ready > 0);
    let silent = PLANES.into_iter().filter(|part| !runs(part)).map(|part| format!("Deployment/linkerd-{part}"));
    let silent: Vec<String> = silent.collect();
    (!silent.is_empty()).then(|| {
        format!(
            "control plane of Linkerd not ready: no ready pod of {}; until then new pods get no proxy, and proxies do not find Services that they have not used for a while; see {}",
            silent.join(", "),
            kubectl(&linkerd.namespace, "get pods"),
        )
    })
}

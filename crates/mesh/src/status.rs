//! Fields of the status, and the conditions beside those of the driver.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use temporal_stack_common::api::{Certificates, ComponentProxies, EdgeTraffic, MeshStatus};

use crate::decide::{
    enforcement::Enforcement,
    installation::version_of,
    view::{State, View},
};

/// The fields.
pub(crate) fn status(view: &View<'_>, enforcement: &Enforcement) -> MeshStatus {
    // A Mesh that does not count says nothing about the namespace.
    if view.observed.siblings.elder.is_some() {
        return MeshStatus::default();
    }
    let (pods, current) = view.counts();
    let linkerd = &view.observed.linkerd;
    let anchors = linkerd.anchors.there().and_then(|anchors| anchors.expiry);
    let issuer = linkerd.issuer.there().copied().flatten();
    let certificates = Certificates {
        trust_anchor: anchors.map(|expiry| Time(expiry.first)),
        issuer: issuer.map(|expiry| Time(expiry.first)),
        webhooks: linkerd.webhooks.iter().map(|(_, expiry)| expiry.first).min().map(Time),
    };
    MeshStatus {
        version: version_of(linkerd),
        injected: Some(format!("{current}/{pods}")),
        components: components(view),
        audit: enforcement.audit.clone(),
        traffic: traffic(view),
        certificates: Some(certificates).filter(|certificates| *certificates != Certificates::default()),
        ..MeshStatus::default()
    }
}

/// The classes of the edges. Before the second round with the proxies there are none, and the former ones stand.
fn traffic(view: &View<'_>) -> Vec<EdgeTraffic> {
    let before = || view.object.status.as_ref().map(|status| status.traffic.clone()).unwrap_or_default();
    view.observed
        .traffic
        .as_ref()
        .map_or_else(Vec::new, |report| if report.is_first { before() } else { report.traffic() })
}

fn components(view: &View<'_>) -> Vec<ComponentProxies> {
    let chosen = view.members.iter().filter(|member| member.is_chosen && !member.pods.is_empty());
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    chosen
        .map(|member| ComponentProxies {
            kind: member.component.reference.kind,
            name: member.component.reference.name.clone(),
            pods: count(member.pods.len()),
            proxies: count(member.pods.iter().filter(|(_, state)| *state == State::Current).count()),
        })
        .collect()
}

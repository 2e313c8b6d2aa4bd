//! The servers: a `StatefulSet` with a volume for each drive.

use std::collections::BTreeMap;

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PodTemplateSpec};
use serde_json::json;
use temporal_stack_common::{
    shared, volume,
    workload::{self, Pods, Set},
};

use crate::{
    Defaults,
    decide::view::{EmbeddedView, View},
    engine::{Engine as _, Kind, Setting, Workload},
    names::{self, selector},
};

/// The servers. All start at once: each waits for the others.
pub(super) fn servers(
    view: &View<'_>,
    embedded: &EmbeddedView<'_>,
    pods: &Pods<'_>,
    defaults: &Defaults,
) -> StatefulSet {
    let (names, kind) = (&view.names, &embedded.kind);
    let selector = selector(names, kind.name());
    let claim = |name: String| {
        let mut claim = volume::claim_template(view.object, &selector, kind.storage());
        claim.metadata.name = Some(name);
        claim
    };
    workload::stateful_set(Set {
        name: names.base.clone(),
        service: names.pod_service(),
        replicas: embedded.replicas,
        parallel: true,
        template: template(view, embedded, pods, defaults),
        claims: kind.volumes().into_iter().map(claim).collect(),
        selector: selector.clone(),
    })
}

fn template(view: &View<'_>, embedded: &EmbeddedView<'_>, pods: &Pods<'_>, defaults: &Defaults) -> PodTemplateSpec {
    let (names, kind, restart) = (&view.names, &embedded.kind, embedded.observed.restart.as_ref());
    let root = embedded.roots.number();
    let usual = match kind {
        Kind::Minio(_) => &defaults.minio_image,
        Kind::Versity(_) => &defaults.versity_image,
    };
    let setting = Setting { names, image: kind.image().unwrap_or(usual), root: &names::root(names, root), pods };
    let Workload { pod, wanted } = kind.workload(&setting);
    // A single server is restarted for another root credential; several stop together, which their number brings about.
    let alone = (kind.servers() == 1).then_some(root);
    let wanted = json!([kind.name(), wanted, alone, restart]);
    let annotations = BTreeMap::from([(shared::NUMBER.to_owned(), root.to_string())]);
    let meta = pods.template_meta(selector(names, kind.name()), annotations, &wanted, restart);
    PodTemplateSpec { metadata: Some(meta), spec: Some(pod) }
}

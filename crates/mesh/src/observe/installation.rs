//! What the cluster has of Linkerd.

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::Resource;
use temporal_stack_common::{
    surroundings::{Around, Place},
    world::{Elsewhere, ReadError, World},
};

use crate::{
    linkerd::{
        certificate::Expiry,
        installation::{Anchors, Config},
        workload::Plane,
    },
    names::{CONFIG, INJECTOR, ISSUER, POLICIES, ROUTES, SERVER_VERSIONS, TRUST_ROOTS, VALIDATORS},
    observed::Linkerd,
    policy::kinds::{AuthorizationPolicy, MeshTLSAuthentication, NetworkAuthentication, Server},
};

/// The kinds of policies, besides `Server`, and the names of their definitions.
const KINDS: [(&str, &str); 3] = [
    ("AuthorizationPolicy", "authorizationpolicies.policy.linkerd.io"),
    ("MeshTLSAuthentication", "meshtlsauthentications.policy.linkerd.io"),
    ("NetworkAuthentication", "networkauthentications.policy.linkerd.io"),
];

/// Gathers what the cluster has of a Linkerd whose control plane is in this namespace.
pub(super) async fn observe(world: &World<'_>, namespace: &str) -> Result<Linkerd, ReadError> {
    let (missing_kinds, server_version) = kinds(world).await?;
    let is_absent = server_version.is_none() && missing_kinds.len() > KINDS.len();
    let linkerd =
        Linkerd { namespace: namespace.to_owned(), missing_kinds, server_version, is_absent, ..Linkerd::default() };
    if is_absent {
        return Ok(linkerd);
    }
    let config = world.read_elsewhere(namespace, CONFIG, |map: ConfigMap| Config::read(&map)).await;
    let anchors = world.read_elsewhere(namespace, TRUST_ROOTS, |map: ConfigMap| Anchors::read(&map)).await;
    let issuer = world.read_elsewhere(namespace, ISSUER, |secret: Secret| Expiry::of_issuer(&secret)).await;
    let injector = world.get_cluster_wide::<MutatingWebhookConfiguration>(INJECTOR).await;
    let injector = injector.map_err(reading(MutatingWebhookConfiguration::kind(&()).as_ref(), INJECTOR))?;
    let routes = world.kinds_of(ROUTES).await.map_err(reading("kinds", ROUTES))?;
    Ok(Linkerd {
        has_routes: routes.iter().any(|kind| kind == "HTTPRoute"),
        planes: planes(world, namespace),
        webhooks: webhooks(world, &injector).await?,
        injector: injector.map(|_| ()),
        config: config.map_err(reading("ConfigMap", CONFIG))?,
        anchors: anchors.map_err(reading("ConfigMap", TRUST_ROOTS))?,
        issuer: issuer.map_err(reading("Secret", ISSUER))?,
        ..linkerd
    })
}

/// The kinds that are missing, and the newest version of `Server`. A watch notices before the remembered discovery that a kind has
/// vanished.
async fn kinds(world: &World<'_>) -> Result<(Vec<&'static str>, Option<&'static str>), ReadError> {
    let kinds_of = async |version: &str| {
        let group_version = format!("{POLICIES}/{version}");
        let found = world.kinds_of(&group_version).await;
        found.map_err(|source| ReadError { what: format!("the kinds of {group_version}"), source })
    };
    let watched = [
        world.around::<AuthorizationPolicy>(Place::Served),
        world.around::<MeshTLSAuthentication>(Place::Served),
        world.around::<NetworkAuthentication>(Place::Served),
    ];
    let served = kinds_of("v1alpha1").await?;
    let is_missing = |kind: &str, watched: &Around| *watched == Around::Absent || !served.iter().any(|one| one == kind);
    let missing = KINDS.into_iter().zip(&watched).filter(|((kind, _), watched)| is_missing(kind, watched));
    let mut missing: Vec<&str> = missing.map(|((_, definition), _)| definition).collect();
    let has_vanished = world.around::<Server>(Place::Served) == Around::Absent;
    for version in SERVER_VERSIONS {
        // Only the newest one is watched.
        let is_watched = version == SERVER_VERSIONS[0];
        if !(is_watched && has_vanished) && kinds_of(version).await?.iter().any(|kind| kind == "Server") {
            return Ok((missing, Some(version)));
        }
    }
    missing.push("servers.policy.linkerd.io");
    Ok((missing, None))
}

/// The CA bundles of the webhooks, the injector's first.
async fn webhooks(
    world: &World<'_>,
    injector: &Elsewhere<MutatingWebhookConfiguration>,
) -> Result<Vec<(&'static str, Expiry)>, ReadError> {
    let hooks = injector.there().into_iter().flat_map(|found| found.webhooks.iter().flatten());
    let expiry = Expiry::of_webhooks(hooks.map(|hook| &hook.client_config));
    let mut webhooks: Vec<_> = expiry.map(|expiry| (INJECTOR, expiry)).into_iter().collect();
    for name in VALIDATORS {
        let found = world.get_cluster_wide::<ValidatingWebhookConfiguration>(name).await;
        let found = found.map_err(reading(ValidatingWebhookConfiguration::kind(&()).as_ref(), name))?;
        let hooks = found.there().into_iter().flat_map(|found| found.webhooks.iter().flatten());
        let expiry = Expiry::of_webhooks(hooks.map(|hook| &hook.client_config));
        webhooks.extend(expiry.map(|expiry| (name, expiry)));
    }
    Ok(webhooks)
}

/// The Deployments of the control plane. Those of other namespaces may be anybody's.
fn planes(world: &World<'_>, namespace: &str) -> Option<Vec<Plane>> {
    match world.around::<Deployment>(Place::Cluster) {
        Around::Known(found) => {
            let there = found.iter().filter(|found| found.metadata.namespace.as_deref() == Some(namespace));
            Some(there.filter_map(|found| Plane::kept(found)).collect())
        }
        Around::Refused | Around::Absent => None,
    }
}

fn reading(kind: &str, name: &str) -> impl FnOnce(kube::Error) -> ReadError {
    let what = format!("{kind}/{name}");
    move |source| ReadError { what, source }
}

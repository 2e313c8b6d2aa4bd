//! How the observed state of a pass is gathered. Reads only.

mod components;
mod controllers;
mod installation;
mod traffic;

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::{
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        apps::v1::{Deployment, ReplicaSet, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace, Node, Pod, Service},
    },
    jiff::Timestamp,
};
use kube::{Resource, api::ApiResource};
use temporal_stack_common::{
    api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal},
    surroundings::{Around, Place, Surrounding},
    watches::{Child, Configuration, Watches},
    world::{Elsewhere, ReadError, World},
};

pub(crate) use self::components::observe as components;
use crate::{
    Defaults,
    linkerd::{
        namespace, node,
        pod::Pod as Reduced,
        policies::Policy,
        workload::{OF_STACK, Plane, Workload},
    },
    names::{CONTROL_PLANE, PART_OF_STACK, PROXIED},
    observed::{Observed, Policies},
    policy::kinds::{AuthorizationPolicy, HTTPRoute, MeshTLSAuthentication, NetworkAuthentication, Server},
    released::Released,
    traffic::Scraper,
};

/// The most names of pods of others.
const MOST_STRANGERS: u32 = 10;

/// The watches besides those of the objects themselves.
pub(crate) fn watches() -> Watches<Mesh> {
    let components = [
        ApiResource::erase::<PostgresDatabase>(&()),
        ApiResource::erase::<MessageQueue>(&()),
        ApiResource::erase::<IpfsCluster>(&()),
        ApiResource::erase::<ObjectStorage>(&()),
        ApiResource::erase::<Temporal>(&()),
    ];
    Watches {
        children: vec![
            Child::owned::<MeshTLSAuthentication>(),
            Child::owned::<NetworkAuthentication>(),
            Child::owned::<AuthorizationPolicy>(),
            Child::owned::<Server>(),
            Child::owned::<HTTPRoute>(),
        ],
        configuration: |_| Configuration::Nothing,
        is_configured: false,
        neighbours: components.to_vec(),
        elsewhere: vec![
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<MutatingWebhookConfiguration>(&()),
            ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
            ApiResource::erase::<Namespace>(&()),
        ],
        surroundings: vec![
            Surrounding::new::<Namespace>(Place::Namespaces, "", namespace::Namespace::reduce),
            Surrounding::new::<Pod>(Place::Served, OF_STACK, Reduced::reduce),
            // They lead from a pod to its component.
            Surrounding::new::<StatefulSet>(Place::Served, OF_STACK, Workload::reduce),
            Surrounding::new::<Deployment>(Place::Served, OF_STACK, Workload::reduce),
            Surrounding::new::<ReplicaSet>(Place::Served, OF_STACK, Workload::reduce),
            Surrounding::new::<Job>(Place::Served, OF_STACK, Workload::reduce),
            Surrounding::new::<Service>(Place::Served, OF_STACK, Workload::reduce),
            Surrounding::new::<Deployment>(Place::Cluster, CONTROL_PLANE, Plane::reduce),
            Surrounding::new::<Pod>(Place::Cluster, PART_OF_STACK, Reduced::reduce),
            Surrounding::new::<Node>(Place::Cluster, "", node::Node::reduce),
            Surrounding::new::<Server>(Place::Served, "", Policy::reduce),
            Surrounding::new::<AuthorizationPolicy>(Place::Served, "", Policy::reduce),
            Surrounding::new::<MeshTLSAuthentication>(Place::Served, "", Policy::reduce),
            Surrounding::new::<NetworkAuthentication>(Place::Served, "", Policy::reduce),
            Surrounding::new::<HTTPRoute>(Place::Served, "", Policy::reduce),
        ],
        touched: components.into_iter().chain([ApiResource::erase::<Namespace>(&())]).collect(),
        ..Watches::default()
    }
}

/// Gathers the observed state.
pub(crate) async fn observe(
    object: &Mesh,
    world: &World<'_>,
    defaults: &Defaults,
    scraper: &Scraper,
) -> Result<Observed, ReadError> {
    let components = components(world);
    // A Mesh that does not count reads nothing of the pods.
    let reads = object.spec.traffic.is_on() && world.siblings.elder.is_none();
    let traffic = if reads { Some(traffic::observe(object, world, &components, scraper).await) } else { None };
    Ok(Observed {
        now: Timestamp::now(),
        siblings: world.siblings.clone(),
        linkerd: installation::observe(world, &defaults.linkerd_namespace).await?,
        namespace: namespace(world).await?,
        controllers: controllers::observe(world, defaults.home.namespace()),
        nodes: nodes(world),
        policies: policies(object, world),
        components,
        strangers: strangers(world).await?,
        traffic,
        released: world.memo::<Released>().all(),
    })
}

fn nodes(world: &World<'_>) -> Option<BTreeSet<IpAddr>> {
    let Around::Known(nodes) = world.around::<Node>(Place::Cluster) else { return None };
    Some(nodes.iter().filter_map(|object| node::Node::kept(object)).flat_map(|node| node.addresses).collect())
}

/// The policies of the namespace.
fn policies(object: &Mesh, world: &World<'_>) -> Policies {
    let mut policies = Policies::default();
    add::<Server>(&mut policies, object, world);
    add::<AuthorizationPolicy>(&mut policies, object, world);
    add::<MeshTLSAuthentication>(&mut policies, object, world);
    add::<NetworkAuthentication>(&mut policies, object, world);
    add::<HTTPRoute>(&mut policies, object, world);
    policies
}

fn add<K: Resource<DynamicType = ()>>(policies: &mut Policies, object: &Mesh, world: &World<'_>) {
    let kind = K::kind(&());
    let around = world.around::<K>(Place::Served);
    policies.is_hidden |= around == Around::Refused;
    for found in around.objects() {
        let Some(policy) = Policy::kept(&kind, found) else { continue };
        if policy.owner.is_none() || policy.owner != object.metadata.uid {
            policies.foreign.push(policy);
            continue;
        }
        policies.is_enforced |= policy.object["spec"]["accessPolicy"] == "deny";
        policies.own.push(policy);
    }
}

/// The namespace of the object.
pub(crate) async fn namespace(world: &World<'_>) -> Result<Elsewhere<namespace::Namespace>, ReadError> {
    match world.around::<Namespace>(Place::Namespaces) {
        Around::Known(found) => {
            let kept = found.first().and_then(|found| namespace::Namespace::kept(found));
            Ok(kept.map_or(Elsewhere::Missing, Elsewhere::There))
        }
        // With a Role it may be read by name.
        Around::Refused | Around::Absent => {
            let found = world.read_namespace(|found| namespace::Namespace::of(&found)).await;
            found.map_err(|source| ReadError { what: "Namespace".to_owned(), source })
        }
    }
}

/// Running pods that no component owns and that have no proxy.
async fn strangers(world: &World<'_>) -> Result<Vec<String>, ReadError> {
    let labels = format!("!{PROXIED},app.kubernetes.io/managed-by!=temporal-stack");
    let found = world.names_of::<Pod>(&labels, "status.phase=Running", MOST_STRANGERS).await;
    found.map_err(|source| ReadError { what: "pods".to_owned(), source })
}

//! The traffic of the pods with proxies.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::Service,
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::Mesh,
    surroundings::{Around, Place},
    world::World,
};

use crate::{
    linkerd::{pod::Proxy, workload::Workload},
    names::ADMIN,
    observed::Component,
    traffic::{self, Memory, Names, Report, Scraper, Target},
};

/// The traffic of these components: read now, if the last time is long enough ago.
pub(super) async fn observe(
    object: &Mesh,
    world: &World<'_>,
    components: &[Component],
    scraper: &Scraper,
) -> Arc<Report> {
    let memory = world.memo::<Memory>();
    let names = names(world, components);
    scraper.refresh(&memory, (world.namespace(), &object.name_any()), &targets(components), &names).await
}

fn targets(components: &[Component]) -> Vec<Target> {
    let mut targets = Vec::new();
    for component in components {
        let reference: traffic::Component = Arc::new(component.reference.clone());
        for pod in component.pods.iter().filter(|pod| pod.proxy != Proxy::None) {
            let Some(address) = pod.addresses.first().and_then(|address| address.parse::<IpAddr>().ok()) else {
                continue;
            };
            targets.push(Target {
                uid: pod.uid.clone(),
                name: pod.name.clone(),
                address: SocketAddr::new(address, ADMIN),
                component: reference.clone(),
            });
        }
    }
    targets
}

/// How the labels of metrics lead to components: by the names of their Services, workloads and `ServiceAccounts`.
fn names(world: &World<'_>, components: &[Component]) -> Names {
    let by_uid: HashMap<&str, traffic::Component> = components
        .iter()
        .map(|component| (component.target.uid.as_str(), Arc::new(component.reference.clone())))
        .collect();
    let owned = |kinds: &[Around]| -> BTreeMap<String, traffic::Component> {
        let objects = kinds.iter().flat_map(Around::objects);
        let owned = objects.filter_map(|object| {
            let owner = Workload::kept(object)?.owner?;
            Some((object.name_any(), by_uid.get(owner.as_str())?.clone()))
        });
        owned.collect()
    };
    let mut accounts = BTreeMap::new();
    for component in components {
        let reference: traffic::Component = Arc::new(component.reference.clone());
        let parts = component.shape.iter().flat_map(|shape| &shape.parts).map(|part| &part.account);
        let running = component.pods.iter().map(|pod| &pod.account);
        for account in parts.chain(running) {
            accounts.entry(account.clone()).or_insert_with(|| reference.clone());
        }
    }
    Names {
        namespace: world.namespace().to_owned(),
        services: owned(&[world.around::<Service>(Place::Served)]),
        workloads: owned(&[
            world.around::<StatefulSet>(Place::Served),
            world.around::<Deployment>(Place::Served),
            world.around::<Job>(Place::Served),
        ]),
        accounts,
    }
}

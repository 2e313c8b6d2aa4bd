//! The pods of the stack's controllers, which usually have no proxy and are admitted by their addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::api::core::v1;
use temporal_stack_common::{
    api::{ComponentKind, label},
    surroundings::{Around, Place},
    world::World,
};

use crate::{
    linkerd::pod::{Pod, Proxy},
    stack::{Account, Controller},
};

/// The controllers that have pods; `None` if their pods may not be listed.
pub(super) fn observe(world: &World<'_>, home: &str) -> Option<Vec<Controller>> {
    let Around::Known(pods) = world.around::<v1::Pod>(Place::Cluster) else { return None };
    let at_home = pods.iter().filter(|object| object.metadata.namespace.as_deref() == Some(home));
    let pods: Vec<Pod> = at_home.filter_map(|object| Pod::kept(object)).filter(|pod| !pod.has_ended).collect();
    let controller = |kind| {
        let of_kind = || pods.iter().filter(move |pod| kind_of(pod) == Some(kind));
        let (plain, meshed): (Vec<&Pod>, Vec<&Pod>) = of_kind().partition(|pod| pod.proxy == Proxy::None);
        // From the moment that it has an address: before it is ready, it must already be able to connect.
        let addresses = plain.iter().flat_map(|pod| &pod.addresses).filter_map(|address| address.parse().ok());
        let account = |pod: &&Pod| Account { namespace: home.to_owned(), name: pod.account.clone() };
        let addresses: BTreeSet<IpAddr> = addresses.collect();
        let accounts: BTreeSet<Account> = meshed.iter().map(account).collect();
        Controller { kind, addresses, leaving: BTreeMap::new(), accounts }
    };
    let all = ComponentKind::ALL.into_iter().map(controller);
    Some(all.filter(|controller| !controller.addresses.is_empty() || !controller.accounts.is_empty()).collect())
}

fn kind_of(pod: &Pod) -> Option<ComponentKind> {
    let component = pod.labels.get(label::NAME)?.strip_suffix("-controller")?;
    ComponentKind::ALL.into_iter().find(|kind| kind.component() == component)
}

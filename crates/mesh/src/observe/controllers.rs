//! The pods of the stack's controllers, which usually have no proxy and are admitted by their addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1;
use temporal_stack_common::{
    api::{ComponentKind, label},
    surroundings::{Around, Place},
    world::World,
};
use tokio::time::Instant;

use crate::{
    linkerd::pod::{Pod, Proxy},
    stack::{Account, Controller},
};

/// How long the address of a pod is admitted after the pod has gone: its last calls, and a watch that is behind.
const LINGERING: Duration = Duration::from_secs(60);

/// The addresses of controllers' pods, and when they were seen last.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<BTreeMap<(ComponentKind, IpAddr), Instant>>);

/// The controllers that have pods, or had some a moment ago; `None` if their pods may not be listed.
pub(super) fn observe(world: &World<'_>, home: &str) -> Option<Vec<Controller>> {
    let Around::Known(pods) = world.around::<v1::Pod>(Place::Cluster) else { return None };
    let at_home = pods.iter().filter(|object| object.metadata.namespace.as_deref() == Some(home));
    let pods: Vec<Pod> = at_home.filter_map(|object| Pod::kept(object)).filter(|pod| !pod.has_ended).collect();
    let memory = world.memo::<Addresses>();
    let mut seen = memory.0.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let mut accounts: BTreeMap<ComponentKind, BTreeSet<Account>> = BTreeMap::new();
    for (kind, pod) in pods.iter().filter_map(|pod| Some((kind_of(pod)?, pod))) {
        if pod.proxy == Proxy::None {
            // From the moment that it has an address: before it is ready, it must already be able to connect.
            for address in pod.addresses.iter().filter_map(|address| address.parse().ok()) {
                seen.insert((kind, address), now);
            }
        } else {
            let account = Account { namespace: home.to_owned(), name: pod.account.clone() };
            accounts.entry(kind).or_default().insert(account);
        }
    }
    seen.retain(|_, at| now.duration_since(*at) < LINGERING);
    let controller = |kind| Controller {
        kind,
        addresses: seen.keys().filter(|(of, _)| *of == kind).map(|(_, address)| *address).collect(),
        accounts: accounts.get(&kind).cloned().unwrap_or_default(),
    };
    let all = ComponentKind::ALL.into_iter().map(controller);
    Some(all.filter(|controller| !controller.addresses.is_empty() || !controller.accounts.is_empty()).collect())
}

fn kind_of(pod: &Pod) -> Option<ComponentKind> {
    let component = pod.labels.get(label::NAME)?.strip_suffix("-controller")?;
    ComponentKind::ALL.into_iter().find(|kind| kind.component() == component)
}

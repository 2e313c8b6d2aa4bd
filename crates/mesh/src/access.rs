//! Where the proxies are.

use std::net::IpAddr;

use crate::{decide::view::View, linkerd::pod::Proxy};

/// The most proxies that are asked in one verification.
const MOST: usize = 100;

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The name of its pod.
    pub(crate) pod: String,
    /// The address of its pod.
    pub(crate) address: IpAddr,
}

/// The proxies of the pods that should have one and have an address.
pub(crate) fn proxies(view: &View<'_>) -> Vec<Endpoint> {
    let pods = view.members.iter().flat_map(|member| &member.pods);
    let proxied = pods.filter(|(pod, _)| pod.proxy != Proxy::None && pod.is_ready);
    let endpoints = proxied.filter_map(|(pod, _)| {
        let address = pod.addresses.first()?.parse().ok()?;
        Some(Endpoint { pod: pod.name.clone(), address })
    });
    endpoints.take(MOST).collect()
}

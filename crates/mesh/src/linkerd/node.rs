//! The addresses from which kubelets and clients of node ports arrive at pods.

use std::{collections::BTreeSet, net::IpAddr};

use kube::api::DynamicObject;
use serde::{Deserialize, Serialize};

use super::{keep, kept};
use crate::stack::Network;

/// What is read of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// Its own addresses in the cluster, and the first of each of its pod networks, which is usually its bridge.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

impl Node {
    /// Reduces a node.
    pub(crate) fn reduce(object: &mut DynamicObject) {
        let addresses = object.data["status"]["addresses"].as_array().into_iter().flatten();
        let own = addresses.filter(|address| address["type"] == "InternalIP").map(|address| &address["address"]);
        let own = own.filter_map(|address| address.as_str()?.parse().ok());
        let networks = object.data["spec"]["podCIDRs"].as_array().into_iter().flatten();
        let bridges = networks.filter_map(|network| bridge(&network.as_str()?.parse().ok()?));
        let read = Self { addresses: own.chain(bridges).take(8).collect() };
        keep(object, &read);
    }

    /// The reduced node.
    pub(crate) fn kept(object: &DynamicObject) -> Option<Self> {
        kept(object)
    }
}

/// The first address of a network that a machine may have.
fn bridge(network: &Network) -> Option<IpAddr> {
    match network.first() {
        IpAddr::V4(address) => Some(IpAddr::V4(address.to_bits().checked_add(1)?.into())),
        IpAddr::V6(address) => Some(IpAddr::V6(address.to_bits().checked_add(1)?.into())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn node_has_its_own_address_and_that_of_its_bridge() {
        let mut object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "n"},
            "spec": {"podCIDRs": ["10.244.0.0/24", "fd00:1::/64", "nonsense"]},
            "status": {"addresses": [
                {"type": "InternalIP", "address": "192.168.0.7"}, {"type": "Hostname", "address": "n"},
            ]},
        }))
        .unwrap();
        Node::reduce(&mut object);
        let addresses = Node::kept(&object).unwrap().addresses;
        let expected = ["10.244.0.1", "192.168.0.7", "fd00:1::1"].map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(addresses.into_iter().collect::<Vec<_>>(), expected);
    }
}

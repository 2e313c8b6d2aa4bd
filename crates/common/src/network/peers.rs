//! The errors in the peers that a user has listed: the API server would refuse the policy in each pass.

use std::net::IpAddr;

use k8s_openapi::{api::networking::v1::NetworkPolicyPeer, apimachinery::pkg::apis::meta::v1::LabelSelector};

use crate::api::Access;

/// The error in `spec.access`, if any.
pub fn wrong_with_access(access: &Access) -> Option<String> {
    wrong_with_peers([
        ("spec.access.clients", access.clients.as_deref().unwrap_or_default()),
        ("spec.access.operators", &access.operators),
        ("spec.access.metrics", &access.metrics),
    ])
}

/// The error in the peers that a user has listed, if any: the API server would refuse the policy in each pass.
pub fn wrong_with_peers<'a>(lists: impl IntoIterator<Item = (&'a str, &'a [NetworkPolicyPeer])>) -> Option<String> {
    lists.into_iter().find_map(|(field, peers)| {
        let (index, wrong) =
            peers.iter().enumerate().find_map(|(index, peer)| Some((index, wrong_with_peer(peer)?)))?;
        Some(format!("{field}[{index}] {wrong}"))
    })
}

fn wrong_with_peer(peer: &NetworkPolicyPeer) -> Option<String> {
    let selectors = [&peer.namespace_selector, &peer.pod_selector];
    let has_selector = selectors.iter().any(|selector| selector.is_some());
    match &peer.ip_block {
        None if !has_selector => {
            Some("is empty: it selects nothing; set podSelector, namespaceSelector or ipBlock".to_owned())
        }
        None => selectors.into_iter().flatten().find_map(wrong_with_selector),
        Some(_) if has_selector => Some(
            "has both ipBlock and a selector: a peer can have only one of them; split it into two peers".to_owned(),
        ),
        Some(block) => {
            std::iter::once(&block.cidr).chain(block.except.iter().flatten()).find(|cidr| !is_cidr(cidr)).map(|cidr| {
                format!("has the ipBlock {cidr:?}, which is not an address range; write it as 10.0.0.0/8 or fd00::/8")
            })
        }
    }
}

fn wrong_with_selector(selector: &LabelSelector) -> Option<String> {
    selector.match_expressions.iter().flatten().find_map(|expression| {
        let has_values = expression.values.as_ref().is_some_and(|values| !values.is_empty());
        match (expression.operator.as_str(), has_values) {
            ("In" | "NotIn", true) | ("Exists" | "DoesNotExist", false) => None,
            ("In" | "NotIn", false) => {
                Some(format!("has the operator {} without values; add them", expression.operator))
            }
            ("Exists" | "DoesNotExist", true) => {
                Some(format!("has the operator {} with values; remove them", expression.operator))
            }
            (other, _) => Some(format!("has the unknown operator {other:?}; use In, NotIn, Exists or DoesNotExist")),
        }
    })
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

//! What all peers share: the cluster secret, and the swarm key of a private network.
//!
//! Both are taken from the user or drawn when the cluster is made. Peers with another secret, or in another network, cannot
//! speak with the rest, so a later change takes a full stop and start.

use std::collections::BTreeMap;

use kube::ResourceExt;
use temporal_stack_common::{
    api::{IpfsCluster, Network, annotation::FULL_RESTART},
    cache::Children,
    manifest::{Draw, hex},
    published::Credential,
    shared::{self, Decision, Next, Shared},
};

use crate::{names, settings::CONFIG};

/// The key of the secret without which no peer of IPFS Cluster speaks with another.
const CLUSTER_SECRET: &str = "cluster-secret";
/// The key of the secret without which no Kubo of a private network speaks with another.
const SWARM_KEY: &str = "swarm-key";
/// Annotation of the Secret: the network that it was made for.
const NETWORK: &str = "temporal-stack.dev/network";

/// The secrets in use, with the commands that replace them.
pub(crate) fn credentials<'a>(object: &IpfsCluster, shared: &'a Shared) -> Vec<Credential<'a>> {
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let config = object.spec.config.config_map.as_deref().unwrap_or(CONFIG);
    let current = shared.current();
    let credential = |key: &str| {
        let value = current.and_then(|made| made.text(key))?;
        let remedy = format!(
            "remove CLUSTER_SECRET from ConfigMap/{config}, so that one is generated, and permit the exchange: kubectl annotate ipfscluster {name} -n {namespace} {FULL_RESTART}=\"$(date +%s)\" --overwrite"
        );
        Some(Credential { place: format!("the {key} of the peers"), value, remedy })
    };
    [CLUSTER_SECRET, SWARM_KEY].into_iter().filter_map(credential).collect()
}

/// What came of the user's wishes.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The row.
    pub(crate) shared: Shared,
    /// The network that the peers are in.
    pub(crate) network: Network,
    /// What is not applied, because it takes a full stop that the user has not permitted.
    pub(crate) refused: Vec<String>,
    /// Why nothing can be made, if it is the user's to mend.
    pub(crate) unusable: Option<String>,
}

/// Decides by what was made, the number of the one that peers have, the user's wishes, and their newest permission for a full
/// stop.
pub(crate) fn decide(
    object: &IpfsCluster,
    children: &Children,
    in_use: Option<u32>,
    secret: Option<&str>,
    network: Network,
    permission: Option<&str>,
) -> Outcome {
    let name = |number| names::shared(object, number);
    let notes = [(NETWORK, name_of(network))];
    let made = shared::row(children, name, &[CLUSTER_SECRET, SWARM_KEY], permission, &notes);
    let newest = made.last();
    let has = newest.and_then(|newest| newest.annotation(NETWORK)).map(parse);
    let other_secret = newest.is_some_and(|newest| {
        // Digits are the same in both cases.
        secret.is_some_and(|secret| !newest.text(CLUSTER_SECRET).is_some_and(|has| has.eq_ignore_ascii_case(secret)))
    });
    let other_network = has.is_some_and(|has| has != network);
    let mut outcome =
        Outcome { shared: Shared::default(), network: has.unwrap_or(network), refused: Vec::new(), unusable: None };
    match shared::decide(&made, in_use, permission, |_| other_secret || other_network) {
        Decision::Keep => {}
        Decision::Make(next) => {
            let kept = |key: &str| newest.and_then(|newest| newest.text(key)).map(str::to_owned);
            let secret = secret.map(str::to_owned).or_else(|| kept(CLUSTER_SECRET));
            outcome.shared.next = Some(fill(next, secret, kept(SWARM_KEY), network));
        }
        Decision::Refused => {
            let how = format!(
                "peers with another one cannot speak with the rest; permit one full stop and start by a new value of the annotation {FULL_RESTART} on this object"
            );
            outcome
                .refused
                .extend(other_secret.then(|| format!("CLUSTER_SECRET is not the one in use and not applied: {how}")));
            outcome
                .refused
                .extend(other_network.then(|| format!("spec.network is not the one in use and not applied: {how}")));
        }
        Decision::Lost(number) => {
            outcome.unusable = Some(format!(
                "Secret/{} has gone or lacks a key, and the peers that run have its values; restore it, or permit one full stop and start with others by a new value of the annotation {FULL_RESTART} on this object",
                names::shared(object, number)
            ));
        }
    }
    outcome.shared.made = made;
    if outcome.shared.current().is_none() {
        outcome.network = network;
    }
    outcome
}

fn fill(next: Next, secret: Option<String>, swarm_key: Option<String>, network: Network) -> Next {
    let values = [(CLUSTER_SECRET, secret), (SWARM_KEY, swarm_key)];
    let drawn =
        values.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| Draw::Bytes(key, |random| hex(random)));
    let drawn = drawn.collect();
    let given = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let annotations = BTreeMap::from([(NETWORK.to_owned(), name_of(network).to_owned())]);
    Next { given, drawn, annotations, ..next }
}

fn name_of(network: Network) -> &'static str {
    match network {
        Network::Public => "public",
        Network::Private => "private",
    }
}

fn parse(network: &str) -> Network {
    if network == "private" { Network::Private } else { Network::Public }
}

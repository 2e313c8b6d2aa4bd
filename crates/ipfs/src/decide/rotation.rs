//! The rotation of the secrets that all peers share: the cluster secret, and the swarm key of a private network.
//!
//! Both come from the user or are drawn when the cluster is created. Peers with different secrets or networks cannot communicate,
//! so a later change requires a full stop and start: when is in `crates/common/src/shared.rs`, the stop itself in `scale.rs`, `plan`.

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::{Network, annotation::FULL_RESTART},
    component::Stalled,
    manifest::{Draw, hex},
    published::Credential,
    shared::{self, Decision, Made, NextSecret, Shared},
};

use crate::{
    names::{self, CLUSTER_SECRET, NETWORK, Names, SWARM_KEY, network_name},
    observed::Objects,
    reason,
};

/// The user's request.
pub(super) struct Request<'a> {
    /// The cluster secret.
    pub(super) secret: Option<&'a str>,
    /// The network.
    pub(super) network: Network,
    /// The newest permission for a full stop.
    pub(super) permission: Option<&'a str>,
}

/// The secrets that all peers share.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// The secrets that exist, and the next one.
    pub(crate) shared: Shared,
    /// The network that the peers are in.
    pub(crate) network: Network,
    /// Changes that are not applied, because they require a full stop that the user has not permitted.
    pub(super) refused: Vec<String>,
    /// Why the peers cannot continue.
    pub(super) lost: Option<Stalled>,
}

/// Decides by the secrets that exist, the one that pods have, and what the user asks for.
pub(super) fn rotation(objects: &Objects, names: &Names, request: &Request<'_>) -> Secrets {
    let newest = objects.shared.last();
    let current = newest.and_then(|newest| newest.annotation(NETWORK)).map(parse_network);
    let is_other_secret = newest.is_some_and(|newest| has_other_secret(newest, request.secret));
    let is_other_network = current.is_some_and(|current| current != request.network);
    let mut secrets = Secrets {
        shared: Shared { made: objects.shared.clone(), next: None },
        network: current.unwrap_or(request.network),
        refused: Vec::new(),
        lost: None,
    };
    let permit = shared::permit("new values");
    let differs = |_: &Made| is_other_secret || is_other_network;
    match shared::decide(&objects.shared, objects.shared_in_use, request.permission, differs) {
        Decision::Keep => {}
        Decision::Make(next) => secrets.shared.next = Some(fill(next, newest, request)),
        Decision::Refused => {
            let refused = [(is_other_secret, "CLUSTER_SECRET"), (is_other_network, "spec.network")];
            let refused = refused.into_iter().filter(|(is_other, _)| *is_other);
            secrets.refused = refused
                .map(|(_, what)| {
                    format!("{what} is not applied: peers with different values cannot communicate; {permit}")
                })
                .collect();
        }
        Decision::Lost(number) => {
            let message = format!(
                "Secret/{} is missing or incomplete: the running peers use its values; restore it, or {permit}",
                names::shared(names, number)
            );
            secrets.lost = Some(Stalled::new(reason::SECRET_INCOMPLETE, message));
        }
    }
    secrets
}

/// Hexadecimal digits are case-insensitive.
fn has_other_secret(newest: &Made, secret: Option<&str>) -> bool {
    secret.is_some_and(|secret| !newest.text(CLUSTER_SECRET).is_some_and(|has| has.eq_ignore_ascii_case(secret)))
}

/// The user's values first, then those of the newest secret; others are drawn.
fn fill(next: NextSecret, newest: Option<&Made>, request: &Request<'_>) -> NextSecret {
    let kept = |key: &str| newest.and_then(|newest| newest.text(key)).map(str::to_owned);
    let secret = request.secret.map(str::to_owned).or_else(|| kept(CLUSTER_SECRET));
    let values = [(CLUSTER_SECRET, secret), (SWARM_KEY, kept(SWARM_KEY))];
    let drawn = values.iter().filter(|(_, value)| value.is_none());
    let drawn = drawn.map(|(key, _)| Draw::Bytes(key, |random| hex(random))).collect();
    let given = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let annotations = BTreeMap::from([(NETWORK.to_owned(), network_name(request.network).to_owned())]);
    NextSecret { given, drawn, annotations, ..next }
}

fn parse_network(name: &str) -> Network {
    if name == network_name(Network::Private) { Network::Private } else { Network::Public }
}

impl Secrets {
    /// The secrets in use, with the commands that replace them. `config_map` may hold the cluster secret.
    pub(crate) fn credentials(&self, names: &Names, config_map: &str) -> Vec<Credential<'_>> {
        let (object, namespace) = (&names.object, &names.namespace);
        let current = self.shared.current();
        let credential = |key: &str| {
            let value = current.and_then(|made| made.text(key))?;
            let remedy = format!(
                "remove CLUSTER_SECRET from ConfigMap/{config_map}, so that one is generated, and permit a full restart: kubectl annotate ipfscluster {object} -n {namespace} {FULL_RESTART}=\"$(date +%s)\" --overwrite"
            );
            Some(Credential { name: format!("the {key} of the peers"), value, remedy })
        };
        [CLUSTER_SECRET, SWARM_KEY].into_iter().filter_map(credential).collect()
    }
}

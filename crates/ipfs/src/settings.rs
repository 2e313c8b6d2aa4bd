//! What the user set of IPFS Cluster: the spec first, then the ConfigMap, then the defaults.

mod table;
mod value;

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::{IpfsCluster, Replication},
    condition::{CONFIG_HONOURED, Statement, reason},
    config::{self, Reading},
};

/// The default name of the user's ConfigMap.
pub(crate) const CONFIG: &str = "ipfs-cluster-config";
/// The key of the peers' names.
const PEERNAME: &str = "CLUSTER_PEERNAME";
/// The key of the secret that all peers share.
const SECRET: &str = "CLUSTER_SECRET";
/// The key of the fewest copies.
const REPLICATION_MIN: &str = "CLUSTER_REPLICATIONFACTORMIN";
/// The key of the most copies.
const REPLICATION_MAX: &str = "CLUSTER_REPLICATIONFACTORMAX";
/// The key of the metrics by which peers are chosen for a pin.
const ALLOCATE_BY: &str = "CLUSTER_BALANCED_ALLOCATEBY";
/// Where further settings are in the spec.
const OF_SPEC: &str = "spec.provider.kubo.clusterConfig";
/// A copy on every peer.
const EVERYWHERE: Replication = Replication { min: -1, max: -1 };

/// What IPFS Cluster is to be told. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Variables of IPFS Cluster's environment, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// What peers' names begin with.
    pub(crate) peer_name: Option<String>,
    /// The user's cluster secret.
    pub(crate) secret: Option<String>,
    /// How many copies a pin has when whoever makes it does not say.
    pub(crate) replication: Replication,
}

impl Settings {
    /// The metrics by which IPFS Cluster chooses peers for a pin.
    pub(crate) fn allocate_by(&self) -> Vec<&str> {
        match self.variables.get(ALLOCATE_BY) {
            Some(metrics) => metrics.split(',').map(str::trim).filter(|metric| !metric.is_empty()).collect(),
            None => vec!["tag:group", "freespace"],
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("replication", &self.replication).finish_non_exhaustive()
    }
}

/// What was not taken as written, by where it stands.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    adapted: Vec<String>,
    refused: Vec<String>,
}

impl Remarks {
    /// Adds what was refused, a sentence each.
    pub(crate) fn refuse(&mut self, what: Vec<String>) {
        self.refused.extend(what);
    }

    /// Adds what else was not taken as it is written.
    pub(crate) fn adapt(&mut self, what: impl IntoIterator<Item = String>) {
        self.adapted.extend(what);
    }

    fn take(&mut self, source: &str, reading: &Reading) {
        self.refuse(reading.refused.iter().map(|what| format!("{source}: {what}")).collect());
        self.adapted.extend((!reading.adapted.is_empty()).then(|| format!("{source}: {}", reading.adapted.join("; "))));
    }

    /// The condition `ConfigHonoured`; `written` says what was read.
    pub(crate) fn statement(self, written: &str) -> Statement {
        if !self.refused.is_empty() {
            let all = [self.refused, self.adapted].concat().join("; ");
            return Statement::fails(CONFIG_HONOURED, reason::REFUSED, all);
        }
        if !self.adapted.is_empty() {
            return Statement::holds(CONFIG_HONOURED, reason::ADAPTED, self.adapted.join("; "));
        }
        Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, written)
    }
}

/// The name of the ConfigMap that an object refers to.
pub(crate) fn config_map(object: &IpfsCluster) -> &str {
    object.spec.config.config_map.as_deref().unwrap_or(CONFIG)
}

/// Decides by the object and the data of its ConfigMap.
pub(crate) fn settings(object: &IpfsCluster, written: Option<&BTreeMap<String, String>>) -> (Settings, Remarks) {
    let nothing = BTreeMap::new();
    let of_spec = object.spec.provider.kubo.as_ref().map_or(&nothing, |kubo| &kubo.cluster_config);
    let source = format!("ConfigMap/{}", config_map(object));
    let mut first = config::read(of_spec, table::TABLE);
    let mut second = config::read(written.unwrap_or(&nothing), table::TABLE);
    // What the spec says beats what the ConfigMap says of the same key.
    second.values.retain(|key, _| !first.values.contains_key(key));
    let replication = object.spec.replication.unwrap_or_else(|| {
        if first.values.contains_key(REPLICATION_MIN) || first.values.contains_key(REPLICATION_MAX) {
            second.values.retain(|key, _| ![REPLICATION_MIN, REPLICATION_MAX].contains(key));
            replication(object, &mut first)
        } else {
            replication(object, &mut second)
        }
    });
    let mut remarks = Remarks::default();
    remarks.take(OF_SPEC, &first);
    remarks.take(&source, &second);
    let mut values: BTreeMap<&str, String> = second.values;
    values.extend(first.values);
    for pair in [REPLICATION_MIN, REPLICATION_MAX] {
        values.remove(pair);
    }
    let settings = Settings {
        peer_name: values.remove(PEERNAME),
        secret: values.remove(SECRET).filter(|secret| !secret.is_empty()),
        variables: values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        replication,
    };
    (settings, remarks)
}

/// The two factors are one setting: both -1, or the first not above the second. A pair that cannot start is refused as a pair.
fn replication(object: &IpfsCluster, reading: &mut Reading) -> Replication {
    let factor = |key| reading.get(key).and_then(|text| text.trim().parse::<i32>().ok());
    let (min, max) = match (factor(REPLICATION_MIN), factor(REPLICATION_MAX)) {
        (None, None | Some(-1)) => return EVERYWHERE,
        // A most alone: as many at least.
        (None, Some(max)) => (max, max),
        (Some(min), max) => (min, max.unwrap_or(-1)),
    };
    if let Some(wrong) = wrong_with_factors(Replication { min, max }) {
        reading.refused.push(format!(
            "{REPLICATION_MIN} and {REPLICATION_MAX} {wrong}; until then a pin has a copy on every peer"
        ));
        return EVERYWHERE;
    }
    if min > object.spec.replicas {
        // Not refused: the default of all pins would be another one for as long as there are fewer peers.
        reading.adapted.push(format!(
            "{REPLICATION_MIN} asks for {min} copies of {} peers, so pins that do not say otherwise fail; lower it, or set spec.replicas to {min} or more",
            object.spec.replicas
        ));
    }
    Replication { min, max }
}

/// What is wrong with a pair of factors for so many peers, and what to do.
pub(crate) fn wrong_with_replication(replication: Replication, peers: i32) -> Option<String> {
    let too_many = || {
        let min = replication.min;
        (min > peers).then(|| {
            format!(
                "ask for {min} copies of {peers} peers; set the first to {peers} or less, or spec.replicas to {min} or more"
            )
        })
    };
    wrong_with_factors(replication).or_else(too_many)
}

/// What is wrong with a pair of factors whatever the peers.
fn wrong_with_factors(replication: Replication) -> Option<String> {
    let Replication { min, max } = replication;
    if (min == -1) != (max == -1) {
        return Some(format!("are {min} and {max}: -1 is for both or for none; set both to -1, or both to at least 1"));
    }
    if min == -1 {
        return None;
    }
    if min < 1 {
        return Some(format!("are {min} and {max}: set both to -1, or both to at least 1"));
    }
    (min > max).then(|| format!("are {min} and {max}: set the first to {max} or less, or the second to {min} or more"))
}

#[cfg(test)]
mod tests;

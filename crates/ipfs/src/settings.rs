//! The settings of IPFS Cluster: from the spec first, then the ConfigMap, then the defaults.

mod table;
mod value;

use std::collections::BTreeMap;

use temporal_stack_common::{
    api::{IpfsCluster, Replication},
    condition::Statement,
    config::{self, Reading},
    message::counted,
};

pub(crate) use value::seconds;

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
/// The field of the spec with more settings.
const FIELD: &str = "spec.provider.kubo.clusterConfig";
/// A copy on every peer.
const EVERYWHERE: Replication = Replication { min: -1, max: -1 };

/// How IPFS Cluster is configured.
pub(crate) struct Settings {
    /// Variables of IPFS Cluster's environment, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// The prefix of the peers' names.
    pub(crate) peer_name: Option<String>,
    /// The user's cluster secret.
    pub(crate) secret: Option<String>,
    /// How many copies a pin has if its request sets no number.
    pub(crate) replication: Replication,
}

impl Settings {
    /// The settings by the object and the data of its ConfigMap, which is `source`, with remarks about those that are not used as
    /// written.
    pub(crate) fn read(
        object: &IpfsCluster,
        source: &str,
        config: Option<&BTreeMap<String, String>>,
    ) -> (Self, Remarks) {
        let empty = BTreeMap::new();
        let of_spec = object.spec.provider.kubo.as_ref().map_or(&empty, |kubo| &kubo.cluster_config);
        let mut first = config::read(of_spec, table::TABLE);
        let mut second = config::read(config.unwrap_or(&empty), table::TABLE);
        // The spec takes precedence over the ConfigMap, key by key.
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
        remarks.add(FIELD, &first);
        remarks.add(source, &second);
        let mut values: BTreeMap<&str, String> = second.values;
        values.extend(first.values);
        for pair in [REPLICATION_MIN, REPLICATION_MAX] {
            values.remove(pair);
        }
        let settings = Self {
            peer_name: values.remove(PEERNAME),
            secret: values.remove(SECRET).filter(|secret| !secret.is_empty()),
            variables: values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            replication,
        };
        (settings, remarks)
    }

    /// The metrics by which IPFS Cluster chooses peers for a pin.
    pub(crate) fn allocate_by(&self) -> Vec<&str> {
        match self.variables.get(ALLOCATE_BY) {
            Some(metrics) => metrics.split(',').map(str::trim).filter(|metric| !metric.is_empty()).collect(),
            None => vec!["tag:group", "freespace"],
        }
    }
}

/// Settings that are not used as written, a sentence each with its place.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// Settings that were changed or ignored.
    pub(crate) adapted: Vec<String>,
    /// Settings that the user must correct.
    pub(crate) refused: Vec<String>,
}

impl Remarks {
    fn add(&mut self, source: &str, reading: &Reading) {
        self.refused.extend(reading.refused.iter().map(|refused| format!("{source}: {refused}")));
        self.adapted.extend((!reading.adapted.is_empty()).then(|| format!("{source}: {}", reading.adapted.join("; "))));
    }

    /// The condition `ConfigHonoured`, with this message where everything was taken as it is written.
    pub(crate) fn statement(&self, as_written: impl Into<String>) -> Statement {
        Statement::honoured("", &self.refused, &self.adapted, as_written.into())
    }
}

/// The two factors are one setting: both -1, or the first not above the second. An impossible pair is refused as a pair.
fn replication(object: &IpfsCluster, reading: &mut Reading) -> Replication {
    let factor = |key| reading.get(key).and_then(|text| text.trim().parse::<i32>().ok());
    let (min, max) = match (factor(REPLICATION_MIN), factor(REPLICATION_MAX)) {
        (None, None | Some(-1)) => return EVERYWHERE,
        // A maximum alone is the minimum, too.
        (None, Some(max)) => (max, max),
        (Some(min), max) => (min, max.unwrap_or(-1)),
    };
    if let Some(wrong) = wrong_with_factors(Replication { min, max }) {
        reading.refused.push(format!(
            "{REPLICATION_MIN} and {REPLICATION_MAX} {wrong}; until then every peer has a copy of each pin"
        ));
        return EVERYWHERE;
    }
    if min > object.spec.replicas {
        // Not refused: otherwise the default of all pins would change while fewer peers exist.
        reading.adapted.push(format!(
            "{REPLICATION_MIN} is {min}, and spec.replicas is {}: pins without their own factors fail; lower it, or set spec.replicas to {min} or more",
            object.spec.replicas
        ));
    }
    Replication { min, max }
}

/// The error in a pair of factors for this number of peers, with the remedy.
pub(crate) fn wrong_with_replication(replication: Replication, peers: i32) -> Option<String> {
    let min = replication.min;
    let too_many = || {
        format!(
            "ask for {}, but spec.replicas is {peers}; set the first to {peers} or less, or spec.replicas to {min} or more",
            counted(min, "copy")
        )
    };
    wrong_with_factors(replication).or_else(|| (min > peers).then(too_many))
}

/// The error in a pair of factors, for any number of peers.
fn wrong_with_factors(Replication { min, max }: Replication) -> Option<String> {
    match (min, max) {
        (-1, -1) => None,
        (..1, _) | (_, -1) => Some(format!("are {min} and {max}; set both to -1, or both to at least 1")),
        _ if min > max => {
            Some(format!("are {min} and {max}; set the first to {max} or less, or the second to {min} or more"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

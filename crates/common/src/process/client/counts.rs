//! Counts of requests: of a client in this process, or of another process by its `/metrics`.

use std::{collections::BTreeMap, fmt};

use super::{Call, Verb};

/// How many requests of each kind were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<Call, u64>);

impl Counts {
    /// Reads the family that [`Requests`](super::Requests) writes from the text of `/metrics`.
    pub fn read(text: &str) -> Self {
        Self(text.lines().filter_map(series).collect())
    }

    /// Without the requests that a controller sends in any case: the Lease, and restarted watches.
    #[must_use]
    pub fn of_passes(&self) -> Self {
        self.filter(|call| {
            let is_upkeep = call.resource == "leases"
                || call.verb == Verb::Watch
                // StorageClasses are read by lists, which look like the list that starts a watch.
                || (call.verb == Verb::List && call.resource != "storageclasses");
            !is_upkeep
        })
    }

    /// Those that may have changed the cluster, without the Lease.
    #[must_use]
    pub fn writes(&self) -> Self {
        self.of_passes().filter(|call| call.verb.is_write())
    }

    /// Those that came after `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let new = |(call, count): (&Call, &u64)| {
            let new = count.saturating_sub(before.0.get(call).copied().unwrap_or_default());
            (new > 0).then(|| (call.clone(), new))
        };
        Self(self.0.iter().filter_map(new).collect())
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn filter(&self, wanted: impl Fn(&Call) -> bool) -> Self {
        Self(self.0.iter().filter(|(call, _)| wanted(call)).map(|(call, count)| (call.clone(), *count)).collect())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(call, count)| writeln!(f, "{count:6} {call}"))
    }
}

/// A line such as `temporal_stack_kubernetes_client_requests_total{verb="get",group="",resource="pods"} 1`.
fn series(line: &str) -> Option<(Call, u64)> {
    let (labels, count) = line.strip_prefix("temporal_stack_kubernetes_client_requests_total{")?.split_once("} ")?;
    let label = |name: &str| {
        let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    let call = Call { verb: Verb::named(&label("verb")?)?, group: label("group")?, resource: label("resource")? };
    Some((call, count.trim().parse().ok()?))
}

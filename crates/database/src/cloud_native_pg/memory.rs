//! What is remembered of a cluster between passes. All of it may be lost.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use tokio::time::Instant;

use super::kinds::Cluster;

/// How long a change of the operator is remembered: an update of CloudNativePG is one change, two operators change for ever.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many changes are remembered.
const MOST: usize = 8;

/// What is remembered of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// UID and generation, and since when they are known.
    version: Option<(Option<String>, Option<i64>, Instant)>,
    /// The programs that have written the status.
    operators: VecDeque<(Instant, String)>,
}

impl Memory {
    /// Remembers a cluster. Returns for how long its generation has been known, and the programs that have written its status during
    /// the last minutes.
    pub(crate) fn look(&self, cluster: &Cluster) -> (Duration, Vec<String>) {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (uid, generation) = (cluster.uid(), cluster.metadata.generation);
        let since = match &seen.version {
            Some((known, before, since)) if (known, before) == (&uid, &generation) => *since,
            _ => now,
        };
        seen.version = Some((uid, generation, since));
        let operator = cluster.status.as_ref().map(|status| status.operator.clone()).unwrap_or_default();
        if !operator.is_empty() && seen.operators.back().is_none_or(|(_, last)| *last != operator) {
            seen.operators.push_back((now, operator));
        }
        // The last one stays: it is the present one.
        while seen.operators.len() > 1 && seen.operators.get(1).is_some_and(|(at, _)| now - *at > REMEMBERED) {
            seen.operators.pop_front();
        }
        while seen.operators.len() > MOST {
            seen.operators.pop_front();
        }
        (now - since, seen.operators.iter().map(|(_, operator)| operator.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(generation: i64, operator: &str) -> Cluster {
        serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "c", "uid": "u", "generation": generation}, "spec": {},
            "status": {"cloudNativePGOperatorHash": operator},
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn generation_is_known_since_it_was_seen_first() {
        let memory = Memory::default();
        assert_eq!(memory.look(&cluster(1, "a")).0, Duration::ZERO);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(memory.look(&cluster(1, "a")).0, Duration::from_secs(7));
        assert_eq!(memory.look(&cluster(2, "a")).0, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_the_operator_are_forgotten_after_minutes() {
        let memory = Memory::default();
        for operator in ["a", "a", "b", "a"] {
            memory.look(&cluster(1, operator));
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(memory.look(&cluster(1, "a")).1, ["a", "b", "a"]);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(memory.look(&cluster(1, "a")).1, ["a"]);
    }
}

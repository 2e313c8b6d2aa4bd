//! The number of nodes, and the one that leaves next.
//!
//! A node must leave by itself while it runs: only then nothing of it remains, in the cluster or on its volume.
//!
//! ```text
//!   its members of quorum queues are removed ─▶ its classic queues are moved ─▶ the broker notes that it must leave
//!     ─▶ the set has one node less ─▶ when it stops, it reads the note and leaves (leave.sh) ─▶ the next one
//! ```
//!
//! A node that failed to leave is still a member, so the set gets it back, and the process starts again.

use temporal_stack_common::{component::Waiting, message::listed};

use super::leave::blocker;
use crate::{
    names::{self, LISTED, Names},
    observed::{Embedded, Known},
    reason,
};

/// The number of nodes, and the one that leaves next. All but `replicas` is empty while the broker does not answer.
#[derive(Debug, Default)]
pub(crate) struct Scale {
    /// The current replicas of the set.
    pub(crate) replicas: i32,
    /// Members that do not run.
    pub(crate) down: Vec<String>,
    /// Desired nodes that are not members yet.
    pub(crate) missing: Vec<String>,
    /// The member that leaves next.
    pub(crate) leaver: Option<String>,
    /// The queues that keep members from leaving until the user acts, each with the remedy. A cluster must not stop half-way,
    /// with two nodes that are both needed, so those of all leavers count.
    pub(crate) blockers: Vec<String>,
    /// The members that must be recorded as leaving.
    pub(crate) leaving: Vec<String>,
}

impl Scale {
    /// Decides for a cluster of `wanted` nodes.
    pub(crate) fn new(names: &Names, wanted: i32, must_stop: bool, observed: &Embedded) -> Self {
        let scale = match observed.broker.known() {
            Some(known) => Self::of_cluster(names, wanted, observed, known),
            None => Self { replicas: replicas_without_answer(names, wanted, observed), ..Self::default() },
        };
        if must_stop { Self { replicas: 0, ..scale } } else { scale }
    }

    fn of_cluster(names: &Names, wanted: i32, observed: &Embedded, known: &Known) -> Self {
        let nodes = || known.nodes.iter().map(|node| node.name.as_str());
        let down: Vec<String> = known.nodes.iter().filter(|node| !node.running).map(|node| node.name.clone()).collect();
        let missing =
            (0..wanted).map(|ordinal| names::node(names, ordinal)).filter(|name| !nodes().any(|node| node == name));
        let missing = missing.collect();
        let leavers = names::leavers(names, nodes(), wanted);
        let bound = known.queues.iter().filter(|queue| leavers.iter().any(|leaver| queue.is_bound_to(leaver)));
        let blockers: Vec<String> = bound
            .filter_map(|queue| Some(format!("{} queue {} {}", queue.kind, queue.title(), blocker(queue)?)))
            .collect();
        let leaver = leavers.into_iter().next();
        let ordinal = leaver.as_deref().and_then(|leaver| names::ordinal(names, leaver));
        // It must leave while it runs, and once it is stopping it leaves in any case.
        let is_stopping = ordinal.zip(observed.replicas).is_some_and(|(ordinal, replicas)| ordinal >= replicas);
        let cleared = leaver.as_ref().filter(|leaver| is_clear(known, leaver));
        let leaving = cleared.filter(|_| is_stopping || (down.is_empty() && blockers.is_empty()));
        let has_pod = ordinal.is_some_and(|ordinal| observed.has_pod(&names.pod(ordinal)));
        // If it left while another is down, a majority could be lost.
        let may_go = has_pod && (down.is_empty() || is_stopping);
        let gone = cleared.filter(|leaver| may_go && known.notes.leaving.contains(leaver));
        let stays = |node: &&str| gone.is_none_or(|gone| gone != node);
        Self {
            replicas: wanted.max(replicas_for(names, nodes().filter(stays))),
            leaving: leaving.cloned().into_iter().collect(),
            down,
            missing,
            leaver,
            blockers,
        }
    }

    /// The member that leaves next, if nothing blocks it.
    pub(crate) fn free_leaver(&self) -> Option<&str> {
        self.leaver.as_deref().filter(|_| self.down.is_empty() && self.blockers.is_empty())
    }

    /// What the object waits for.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let Some(leaver) = &self.leaver else {
            let message = || format!("scaling up: waiting for {} to join the cluster", listed(&self.missing, LISTED));
            return (!self.missing.is_empty()).then(|| Waiting::new(reason::SCALING, message()));
        };
        if !self.blockers.is_empty() {
            let message = format!("scale-down blocked: {leaver} cannot leave: {}", listed(&self.blockers, LISTED));
            return Some(Waiting::new(reason::SCALE_DOWN_BLOCKED, message));
        }
        Some(Waiting::new(
            reason::SCALING,
            match &self.down[..] {
                [] => format!("scaling down: {leaver} is leaving the cluster"),
                down => {
                    format!("scaling down: {leaver} leaves when all members run; not running: {}", listed(down, LISTED))
                }
            },
        ))
    }
}

/// Surplus members are needed, too, if the rest has no majority without them: after a full stop, or if one was killed while
/// leaving. A member that is still stopping is not started again.
fn replicas_without_answer(names: &Names, wanted: i32, observed: &Embedded) -> i32 {
    let has = observed.replicas.unwrap_or(0);
    let members = replicas_for(names, observed.members.iter().flatten().map(String::as_str));
    let is_stopping = (has..members).any(|ordinal| observed.has_pod(&names.pod(ordinal)));
    wanted.max(has).max(if is_stopping { 0 } else { members })
}

/// How many replicas a set needs to have pods for all of these nodes.
fn replicas_for<'a>(names: &Names, nodes: impl Iterator<Item = &'a str>) -> i32 {
    nodes.filter_map(|node| names::ordinal(names, node)).max().map_or(0, |last| last + 1)
}

/// Whether no queue is on a node, or being moved off it.
fn is_clear(known: &Known, node: &str) -> bool {
    !known.queues.iter().any(|queue| queue.is_bound_to(node)) && known.notes.moves.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{classic_queue, healthy, known, names, node, pod, quorum_queue, sized},
        observed::{Broker, BrokerPod},
    };

    fn scale(wanted: i32, embedded: &Embedded) -> Scale {
        Scale::new(&names(), wanted, false, embedded)
    }

    fn replicas(wanted: i32, embedded: &Embedded) -> i32 {
        scale(wanted, embedded).replicas
    }

    #[test]
    fn more_nodes_are_added_at_once() {
        assert_eq!(replicas(3, &healthy(&sized(3), 1)), 3);
        assert_eq!(replicas(5, &Embedded::default()), 5);
    }

    #[test]
    fn leaver_stays_until_it_is_noted_and_without_queues() {
        let mut embedded = healthy(&sized(1), 3);
        assert_eq!(scale(1, &embedded).leaver, Some(node(2)));
        assert_eq!(replicas(1, &embedded), 3);
        known(&mut embedded).notes.leaving = vec![node(2)];
        assert_eq!(replicas(1, &embedded), 2);
        for queue in [quorum_queue("q", &[0, 1, 2]), classic_queue("c", 2)] {
            known(&mut embedded).queues = vec![queue];
            assert_eq!(replicas(1, &embedded), 3);
        }
    }

    #[test]
    fn queue_without_a_url_is_named_as_a_blocker() {
        for queue in [quorum_queue("..", &[0, 1, 2]), classic_queue(".", 2)] {
            let mut embedded = healthy(&sized(1), 3);
            known(&mut embedded).queues = vec![queue];
            let scale = scale(1, &embedded);
            assert!(scale.blockers[0].contains("on virtual host temporal"), "{scale:?}");
            assert_eq!(scale.waiting().unwrap().reason, reason::SCALE_DOWN_BLOCKED);
        }
    }

    #[test]
    fn nodes_leave_one_after_the_other() {
        let mut embedded = healthy(&sized(1), 3);
        known(&mut embedded).notes.leaving = vec![node(2), node(1)];
        assert_eq!(replicas(1, &embedded), 2);
    }

    #[test]
    fn node_that_stopped_without_leaving_is_brought_back() {
        let mut embedded = healthy(&sized(1), 3);
        known(&mut embedded).notes.leaving = vec![node(2)];
        embedded.replicas = Some(2);
        embedded.surplus = embedded.pods.split_off(2);
        assert_eq!(replicas(1, &embedded), 2, "it is still stopping");
        embedded.surplus.clear();
        assert_eq!(replicas(1, &embedded), 3);
    }

    #[test]
    fn cookie_of_a_surplus_pod_counts_only_in_a_full_stop() {
        let numbers = |embedded: &Embedded| embedded.pod_cookies().collect::<Vec<_>>();
        let adopted = || BrokerPod { cookie: Some(7), ..pod(1) };
        let embedded = Embedded { surplus: vec![adopted()], ..healthy(&sized(1), 1) };
        assert_eq!(numbers(&embedded), [Some(1)]);
        let stopping =
            Embedded { replicas: Some(0), pods: Vec::new(), surplus: vec![pod(0), adopted()], ..Embedded::default() };
        assert_eq!(numbers(&stopping), [Some(1), Some(7)]);
    }

    #[test]
    fn leaver_is_noted_when_all_run_and_no_queue_needs_it() {
        let mut embedded = healthy(&sized(1), 3);
        assert_eq!(scale(1, &embedded).leaving, [node(2)]);
        known(&mut embedded).nodes[0].running = false;
        assert!(scale(1, &embedded).leaving.is_empty());
        known(&mut embedded).nodes[0].running = true;
        known(&mut embedded).queues = vec![quorum_queue("q", &[0, 2])];
        assert!(scale(1, &embedded).leaving.is_empty());
    }

    #[test]
    fn silent_broker_loses_no_node_and_regains_members() {
        let silent = |has: i32, pods: i32| Embedded {
            broker: Broker::Absent,
            replicas: Some(has),
            pods: (0..pods.min(has)).map(pod).collect(),
            surplus: (has..pods).map(pod).collect(),
            ..healthy(&sized(1), 3)
        };
        assert_eq!(replicas(1, &silent(3, 3)), 3);
        assert_eq!(replicas(1, &silent(0, 0)), 3, "after a full stop");
        assert_eq!(replicas(1, &silent(2, 3)), 2, "the third is stopping");
        assert_eq!(replicas(1, &silent(2, 2)), 3, "the third is a member, and gone");
    }
}

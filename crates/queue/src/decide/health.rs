//! Why a broker cannot serve: nodes that wait for others, alarms, queues without a majority.

use temporal_stack_common::{
    component::Waiting,
    message::{listed, logs},
};

use crate::{
    names::{self, LISTED, Names, PREPARE},
    observed::{BrokerPod, Embedded, Known},
    rabbit::{Alarm, Node, Queue},
    reason,
};

/// How long a node may take to prepare its start if it need not wait for others, in seconds.
const PREPARED_WITHIN: i64 = 20;

/// The state if no node is ready.
pub(super) fn starting(names: &Names, observed: &Embedded) -> Waiting {
    let has_others = observed.members.as_ref().is_some_and(|members| members.len() > 1);
    let is_blank = |pod: &&BrokerPod| pod.preparing.is_some_and(|seconds| seconds > PREPARED_WITHIN);
    let (blank, rest): (Vec<_>, Vec<_>) = observed.pods.iter().partition(is_blank);
    let Some(first) = blank.first().filter(|_| has_others) else {
        return Waiting::new(reason::CHILDREN_NOT_READY, "the nodes are starting");
    };
    let log = logs(&names.namespace, &first.name, PREPARE);
    let last_resort = format!(
        "To give up the data and start a new cluster instead, delete the StatefulSet, all of its volume claims, and ConfigMap/{}",
        names::members(names)
    );
    let message = if rest.is_empty() {
        format!(
            "no member running: every node waits for a member that has data; restore its volume, see {log}. {last_resort}"
        )
    } else {
        let rest: Vec<String> = rest.iter().map(|pod| pod.name.clone()).collect();
        format!(
            "no majority running: {} of {} nodes have no data and wait for a member, and the others cannot start without them: {}; restore one of the lost volumes, see {log}. {last_resort}",
            blank.len(),
            observed.pods.len(),
            listed(&rest, LISTED)
        )
    };
    Waiting::new(reason::NO_RUNNING_MEMBER, message)
}

/// The state if a node has an alarm, which blocks publishers on all nodes.
pub(super) fn alarm(known: &Known) -> Option<Waiting> {
    let alarmed = |is_memory: bool| {
        let has_alarm = |node: &&Node| {
            let listed = if is_memory { node.mem_alarm } else { node.disk_free_alarm };
            let is_meant = |alarm: &Alarm| alarm.node == node.name && (alarm.resource == "memory") == is_memory;
            listed || known.alarms.iter().any(is_meant)
        };
        let names: Vec<String> = known.nodes.iter().filter(has_alarm).map(|node| node.name.clone()).collect();
        (!names.is_empty()).then(|| listed(&names, LISTED))
    };
    let blocked = |cause, remedy| format!("publishers are blocked: {cause}; consume messages, or raise {remedy}");
    let memory = alarmed(true).map(|nodes| {
        let cause = format!("memory is above the high watermark on {nodes}");
        Waiting::new(reason::MEMORY_ALARM, blocked(cause, "spec.provider.rabbitmq.resources.limits.memory"))
    });
    memory.or_else(|| {
        let cause = format!("the volume is nearly full on {}", alarmed(false)?);
        Some(Waiting::new(reason::DISK_ALARM, blocked(cause, "spec.provider.rabbitmq.storage.size")))
    })
}

/// The state if quorum queues have no running majority.
pub(super) fn unavailable(known: &Known) -> Option<Waiting> {
    let queues = known.queues.iter().filter(|queue| {
        queue.kind == "quorum" && !queue.members.is_empty() && queue.online.len() * 2 <= queue.members.len()
    });
    let queues: Vec<String> = queues.map(Queue::title).collect();
    let message = || {
        format!(
            "queues unavailable: no majority of members is running for {}; start the nodes that are down",
            listed(&queues, LISTED)
        )
    };
    (!queues.is_empty()).then(|| Waiting::new(reason::QUEUES_UNAVAILABLE, message()))
}

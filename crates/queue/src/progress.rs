//! How far the message queue has come, and whether it does what it is for.

use kube::ResourceExt;
use temporal_stack_common::{
    api::{MessageQueue, annotation::FULL_RESTART},
    component::{Progress, Verdict},
    condition::{Reason, Statement, reason},
    dns, login,
    message::{kubectl, logs},
    network,
    published::{self, Credential},
    workload::wrong_with_name,
};

use crate::{
    actions::still_used,
    additional,
    amqp::{Access, ECHO, Failure, Session},
    cookie::{COOKIE, SOURCE},
    desire::decided,
    names::{self, ADMINISTRATOR, MOST_NODES},
    observe::{Broker, Embedded, Known, Observed, Source},
    quorum,
    rabbit::{self, Node, Queue},
    scale,
};

/// The broker runs and cannot be asked.
const BROKER_SILENT: Reason = Reason::new("BrokerSilent");
/// Nodes wait for one of the cluster that has data.
const NO_MEMBER_RUNS: Reason = Reason::new("NoMemberRuns");
/// Publishers are blocked, because a node uses too much memory.
const MEMORY_ALARM: Reason = Reason::new("MemoryAlarm");
/// Publishers are blocked, because a volume is nearly full.
const DISK_ALARM: Reason = Reason::new("DiskAlarm");
/// Nodes are joining or leaving.
const SCALING: Reason = Reason::new("Scaling");
/// A node cannot leave before the user has done something about a queue.
const QUEUES_IN_THE_WAY: Reason = Reason::new("QueuesInTheWay");
/// Queues have no majority.
const QUEUES_UNAVAILABLE: Reason = Reason::new("QueuesUnavailable");
/// The virtual host of the binding is not there, or closed to the login.
const VIRTUAL_HOST_REFUSED: Reason = Reason::new("VirtualHostRefused");
/// Nobody answers at the address.
const UNREACHABLE: Reason = Reason::new("Unreachable");
/// A queue has a name that the management API cannot be asked for.
const NAME_WITHOUT_URL: Reason = Reason::new("NameWithoutUrl");
/// An older virtual host has another default.
const NOT_QUORUM: Reason = Reason::new("NotQuorum");

/// What is declared without a type is replicated.
const QUEUES_REPLICATED: &str = "QueuesReplicated";

/// The longest name that Services and pods can be made from.
const LONGEST_NAME: usize = 35;
/// How many names a message lists.
const LISTED: usize = 5;

/// Whether there is anything to wait for, or to ask of the user.
pub(crate) fn progress(object: &MessageQueue, observed: &Observed) -> Progress {
    if let Some(message) = invalid(object) {
        return Progress::Stalled { reason: reason::INVALID_SPEC, message };
    }
    if let Some(obstacle) = &observed.obstacle {
        return obstacle.clone();
    }
    let Source::Embedded(embedded) = &observed.source else { return Progress::Settled };
    let waiting = |reason, message: String| Progress::Waiting { reason, message };
    if embedded.is_stopping() {
        return waiting(reason::FULL_RESTART, "all nodes stop, and start with the other cookie".to_owned());
    }
    let known = match &embedded.broker {
        Broker::Known(known) => known,
        Broker::Absent => return starting(object, embedded),
        Broker::Silent(rabbit::Failure::Refused { .. }) => {
            return Progress::Stalled {
                reason: reason::ADMINISTRATOR_REFUSED,
                message: format!(
                    "the broker refuses the controller's administrator: its volumes were made with another password than Secret/{} has; restore that Secret, or set the broker's to the Secret's: {}",
                    names::administrator(object),
                    kubectl(
                        &object.namespace().unwrap_or_default(),
                        &format!(
                            "exec {} -c rabbitmq -- rabbitmqctl change_password {ADMINISTRATOR} '…'",
                            names::pod(object, 0)
                        )
                    )
                ),
            };
        }
        Broker::Silent(failure) => {
            return waiting(BROKER_SILENT, format!("a node is ready and cannot be asked: {failure}"));
        }
    };
    if let Some((reason, message)) = alarm(known).or_else(|| scaling(object, embedded, known)) {
        return waiting(reason, message);
    }
    if observed.active_login().is_none() || observed.bound.is_none() {
        return waiting(reason::PREPARING, "the virtual host and its login are being made".to_owned());
    }
    let unavailable = unavailable(known);
    if !unavailable.is_empty() {
        let message = format!("no majority of their members runs: {}; bring the nodes back", list(&unavailable));
        return waiting(QUEUES_UNAVAILABLE, message);
    }
    Progress::Settled
}

/// What the CRD's validation refuses too, and what it cannot see.
fn invalid(object: &MessageQueue) -> Option<String> {
    if let Some(wrong) = wrong_with_name(&object.name_any(), LONGEST_NAME) {
        return Some(wrong);
    }
    let provider = &object.spec.provider;
    if provider.rabbitmq.is_some() && provider.external.is_some() {
        return Some("spec.provider has both rabbitmq and external: name one of them".to_owned());
    }
    if let Some(wrong) = network::wrong_with_access(&object.spec.access) {
        return Some(wrong);
    }
    if let Some(name) = &object.spec.virtual_host
        && (["/", ".", ".."].contains(&name.as_str())
            || !(1..=100).contains(&name.len())
            || !name.chars().all(|c| c.is_ascii_graphic()))
    {
        return Some(format!(
            "spec.virtualHost {name:?} must have 1 to 100 characters of ASCII without spaces, and be neither /, which is RabbitMQ's own, nor . or .., which have no URL; give another name"
        ));
    }
    if provider.external.is_none()
        && let Some(wrong) = dns::wrong_with_host(object, &names::host(object, MOST_NODES - 1))
    {
        return Some(wrong);
    }
    let rabbitmq = provider.rabbitmq.as_ref()?;
    if ![1, 3, 5].contains(&rabbitmq.replicas) {
        return Some(format!(
            "spec.provider.rabbitmq.replicas is {}: a cluster needs a majority, so it must be 1, 3 or 5",
            rabbitmq.replicas
        ));
    }
    additional::wrong(&rabbitmq.additional_config, &decided(object))
        .map(|wrong| format!("spec.provider.rabbitmq.additionalConfig: {wrong}"))
}

/// No node is ready: what that may mean.
fn starting(object: &MessageQueue, embedded: &Embedded) -> Progress {
    let waiting = |reason, message| Progress::Waiting { reason, message };
    let has_others = embedded.members.as_ref().is_some_and(|members| members.len() > 1);
    let (preparing, rest): (Vec<_>, Vec<_>) = embedded.pods.iter().partition(|pod| pod.preparing);
    if !has_others || preparing.is_empty() {
        return waiting(reason::CHILDREN_NOT_READY, "the nodes are starting".to_owned());
    }
    let see = format!("see {}", logs(&object.namespace().unwrap_or_default(), &preparing[0].name, "prepare"));
    let anew = format!(
        "if it is lost, delete the StatefulSet, all of its volume claims, and ConfigMap/{}, and a new cluster is founded",
        names::members(object)
    );
    let message = if rest.is_empty() {
        format!("all nodes wait for one that has data, {see}; {anew}")
    } else {
        let rest: Vec<String> = rest.iter().map(|pod| pod.name.clone()).collect();
        format!(
            "{} of {} nodes have no data and wait for a member of the cluster, {see}; those that have data, {}, lack the majority without them. Bring one of the lost volumes back; {anew}",
            preparing.len(),
            embedded.pods.len(),
            list(&rest)
        )
    };
    waiting(NO_MEMBER_RUNS, message)
}

/// Publishers are blocked everywhere when one node has an alarm.
fn alarm(known: &Known) -> Option<(Reason, String)> {
    let named = |has: fn(&Node) -> bool| {
        let names: Vec<String> = known.nodes.iter().filter(|node| has(node)).map(|node| node.name.clone()).collect();
        (!names.is_empty()).then(|| list(&names))
    };
    if let Some(names) = named(|node| node.mem_alarm) {
        let message = format!(
            "publishers are blocked, because memory is above the high watermark on {names}; consume what is in the queues, or raise spec.provider.rabbitmq.resources.limits.memory"
        );
        return Some((MEMORY_ALARM, message));
    }
    named(|node| node.disk_free_alarm).map(|names| {
        let message = format!(
            "publishers are blocked, because the volume is nearly full on {names}; consume what is in the queues, or raise spec.provider.rabbitmq.storage.size"
        );
        (DISK_ALARM, message)
    })
}

fn scaling(object: &MessageQueue, embedded: &Embedded, known: &Known) -> Option<(Reason, String)> {
    if let Some(leaver) = scale::leaver(object, &embedded.provider, known) {
        let in_the_way = scale::in_the_way(object, &embedded.provider, known);
        if !in_the_way.is_empty() {
            let message = format!("{leaver} cannot leave the cluster yet: {}", list(&in_the_way));
            return Some((QUEUES_IN_THE_WAY, message));
        }
        if !scale::all_run(known) {
            let down: Vec<String> =
                known.nodes.iter().filter(|node| !node.running).map(|node| node.name.clone()).collect();
            let message = format!("{leaver} leaves the cluster when all members run; these do not: {}", list(&down));
            return Some((SCALING, message));
        }
        return Some((SCALING, format!("{leaver} is leaving the cluster")));
    }
    let missing = scale::missing(object, &embedded.provider, known);
    (!missing.is_empty()).then(|| (SCALING, format!("joining the cluster: {}", list(&missing))))
}

/// Quorum queues of which no majority runs.
fn unavailable(known: &Known) -> Vec<String> {
    let down = known.queues.iter().filter(|queue| {
        queue.kind == "quorum" && !queue.members.is_empty() && queue.online.len() * 2 <= queue.members.len()
    });
    down.map(Queue::title).collect()
}

fn list(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > LISTED { format!("{shown}, and others") } else { shown }
}

/// Whether a rotation waits for applications to leave the login whose turn it is.
pub(crate) fn rotation_waits(observed: &Observed) -> bool {
    let Source::Embedded(embedded) = &observed.source else { return false };
    embedded.newest().is_some_and(|newest| still_used(observed, newest).is_some())
}

/// Conditions beside those of the driver.
pub(crate) fn statements(object: &MessageQueue, observed: &Observed) -> Vec<Statement> {
    let mut statements = vec![observed.honoured.clone()];
    let Source::Embedded(embedded) = &observed.source else { return statements };
    statements.push(quorum::statement(object, embedded));
    statements.push(published::statement(cookie(object, embedded)));
    let waiting = embedded.newest().filter(|_| rotation_waits(observed));
    statements.extend(waiting.map(login::rotation_pending));
    let unnamed: Vec<String> = embedded
        .known()
        .iter()
        .flat_map(|known| &known.queues)
        .filter(|queue| queue.kind == "quorum" && !queue.has_url())
        .map(Queue::title)
        .collect();
    if !unnamed.is_empty() {
        let message = format!(
            "members of these queues are not managed: {}; the names have no URL in the management API, declare the queues under other names",
            list(&unnamed)
        );
        statements.push(Statement::fails(QUEUES_REPLICATED, NAME_WITHOUT_URL, message));
    } else if let Some(kind) = embedded.known().and_then(|known| known.default_queue_type.as_deref())
        && kind != "quorum"
    {
        let message = format!(
            "virtual host {} was made by somebody else, and what is declared there without a type has one copy; name another one in spec.virtualHost, and the controller makes it",
            observed.virtual_host
        );
        statements.push(Statement::fails(QUEUES_REPLICATED, NOT_QUORUM, message));
    }
    statements
}

/// The cookie in use, with the commands that replace it.
fn cookie<'a>(object: &MessageQueue, embedded: &'a Embedded) -> Option<Credential<'a>> {
    let value = embedded.cookies.current()?.text(COOKIE)?;
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let remedy = format!(
        "kubectl create secret generic {SOURCE} -n {namespace} --from-literal={COOKIE}=\"$(openssl rand -hex 20)\" --dry-run=client -o yaml | kubectl apply -f - && kubectl annotate messagequeue {name} -n {namespace} {FULL_RESTART}=\"$(date +%s)\" --overwrite"
    );
    Some(Credential { place: format!("the Erlang cookie, key {COOKIE} of Secret/{SOURCE},"), value, remedy })
}

/// Publishes and consumes as an application would: the binding's login, virtual host and address.
pub(crate) async fn verify(observed: &Observed) -> Verdict {
    let Some(access) = observed.application() else {
        let message = "the virtual host and its login are being made".to_owned();
        return Verdict::Failed { reason: reason::PREPARING, message };
    };
    match echo(&access).await {
        Ok(()) => Verdict::Verified(format!("a message of {} on {} came back", access.username, access.virtual_host)),
        Err(failure) => judge(&failure, matches!(observed.source, Source::External(_))),
    }
}

/// Connects as an application would, and publishes nothing.
pub(crate) async fn inspect(observed: &Observed) -> Verdict {
    let Some(access) = observed.application() else {
        let message = "the virtual host and its login do not exist yet".to_owned();
        return Verdict::Failed { reason: reason::PREPARING, message };
    };
    match Session::open(&access, ECHO).await {
        Ok(_) => Verdict::Verified(format!("accepts {} on {}", access.username, access.virtual_host)),
        Err(failure) => judge(&failure, matches!(observed.source, Source::External(_))),
    }
}

async fn echo(access: &Access) -> Result<(), Failure> {
    Session::open(access, ECHO).await?.echo().await
}

/// What the user of somebody else's broker must mend is theirs to mend; on brokers of our own it is on its way.
fn judge(failure: &Failure, is_external: bool) -> Verdict {
    if !is_external {
        return Verdict::Failed {
            reason: reason::VERIFICATION_FAILED,
            message: format!("{failure}; it is tried again"),
        };
    }
    let failed = |reason, remedy: &str| Verdict::Failed { reason, message: format!("{failure}; {remedy}") };
    let stalled = |reason, remedy: &str| Verdict::Stalled { reason, message: format!("{failure}; {remedy}") };
    match failure {
        Failure::Refused { .. } => {
            stalled(reason::LOGIN_REFUSED, "correct the login in the Secret that spec.provider.external names")
        }
        Failure::NoVirtualHost { .. } => {
            stalled(VIRTUAL_HOST_REFUSED, "make the virtual host and permit the login to use it, or correct the Secret")
        }
        Failure::Unreachable { .. } | Failure::Slow { .. } => failed(
            UNREACHABLE,
            "correct the address in the Secret, or look at the broker and at what is between it and the controller",
        ),
        _ => failed(reason::VERIFICATION_FAILED, "look at the broker"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use temporal_stack_common::component::Progress;

    use super::*;
    use crate::fixture::{self, classic_queue, known, of_size, quorum_queue, unmade, well};

    fn told(object: &MessageQueue, embedded: Embedded) -> (String, String) {
        match progress(object, &fixture::observed(embedded)) {
            Progress::Settled => ("Settled".to_owned(), String::new()),
            Progress::Waiting { reason, message } | Progress::Stalled { reason, message } => {
                (reason.to_string(), message)
            }
        }
    }

    #[test]
    fn a_published_cookie_in_use_is_told_with_the_commands() {
        let object = of_size(1);
        let stated = |cookie: &str| {
            let mut embedded = well(&object, 1);
            embedded.cookies.made = vec![crate::cookie::made_with(1, cookie, None)];
            let statements = statements(&object, &fixture::observed(embedded));
            let statement = statements.iter().find(|statement| statement.kind() == published::CREDENTIALS_PRIVATE);
            format!("{:?}", statement.unwrap())
        };
        let told = stated("c-is-for-cookie-thats-good-enough-for-me");
        assert!(told.contains("holds: false") && told.contains("PublishedCredential"), "{told}");
        assert!(told.contains("kubectl create secret generic rabbitmq-config -n default"), "{told}");
        assert!(
            told.contains("kubectl annotate messagequeue temporal -n default temporal-stack.dev/full-restart="),
            "{told}"
        );
        assert!(!told.contains("c-is-for-cookie"), "{told}");
        assert!(stated("drawn").contains("holds: true"));
    }

    #[test]
    fn a_name_that_dns_cannot_hold_is_refused() {
        let mut object = of_size(1);
        object.metadata.name = Some("a".repeat(35));
        object.metadata.namespace = Some("n".repeat(63));
        assert!(invalid(&object).unwrap().contains("at most 34 characters"));
        object.metadata.name = Some("a".repeat(34));
        assert_eq!(invalid(&object), None);
        object.metadata.name = Some("a".repeat(35));
        object.metadata.namespace = Some("n".repeat(62));
        assert_eq!(invalid(&object), None);
    }

    #[test]
    fn a_cluster_that_is_well_is_settled() {
        let object = of_size(3);
        assert_eq!(told(&object, well(&object, 3)).0, "Settled");
    }

    #[test]
    fn an_alarm_names_the_node_and_what_to_raise() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        known(&mut embedded).nodes[1].mem_alarm = true;
        let (reason, message) = told(&object, embedded);
        assert_eq!(reason, "MemoryAlarm");
        assert!(message.contains(&fixture::node(1)) && message.contains("limits.memory"), "{message}");
        let mut embedded = well(&object, 3);
        known(&mut embedded).nodes[2].disk_free_alarm = true;
        assert_eq!(told(&object, embedded).0, "DiskAlarm");
    }

    #[test]
    fn a_queue_in_the_way_is_named_with_what_to_do() {
        let object = of_size(1);
        let mut embedded = well(&object, 3);
        known(&mut embedded).queues = vec![Queue { consumers: 2, ..classic_queue("orders", 2) }];
        let (reason, message) = told(&object, embedded);
        assert_eq!(reason, "QueuesInTheWay");
        assert!(message.contains("orders on virtual host temporal has consumers; stop them"), "{message}");
    }

    #[test]
    fn a_queue_without_a_majority_is_named() {
        let object = of_size(3);
        let mut embedded = well(&object, 3);
        let queue = Queue { online: vec![fixture::node(0)], ..quorum_queue("orders", &[0, 1, 2]) };
        known(&mut embedded).queues = vec![queue];
        let (reason, message) = told(&object, embedded);
        assert_eq!(reason, "QueuesUnavailable");
        assert!(message.contains("orders"), "{message}");
    }

    #[test]
    fn nodes_that_wait_for_lost_volumes_say_how_to_begin_anew() {
        let object = of_size(3);
        let pods = (0..3).map(|ordinal| {
            let pod = fixture::pod(&object, ordinal);
            crate::observe::BrokerPod { ready: false, preparing: true, ..pod }
        });
        let embedded = Embedded { broker: Broker::Absent, pods: pods.collect(), ..well(&object, 3) };
        assert!(told(&object, embedded).1.contains("ConfigMap/temporal-messagequeue-members"));
    }

    #[test]
    fn what_the_schema_refuses_is_refused_here_too() {
        for (spec, part) in [
            (json!({"provider": {"rabbitmq": {"replicas": 2}}}), "replicas is 2"),
            (json!({"provider": {"rabbitmq": {}, "external": {"secretName": "s"}}}), "both rabbitmq and external"),
            (json!({"virtualHost": "/"}), "spec.virtualHost"),
            (json!({"virtualHost": "."}), "spec.virtualHost"),
            (json!({"virtualHost": ".."}), "spec.virtualHost"),
            (json!({"provider": {"rabbitmq": {"additionalConfig": "a b"}}}), "line 1: has no ="),
        ] {
            let object = fixture::object(&spec);
            let (reason, message) = told(&object, unmade(&object));
            assert_eq!(reason, "InvalidSpec");
            assert!(message.contains(part), "{message}");
        }
    }
}

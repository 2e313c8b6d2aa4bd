//! How the observed state of a pass is gathered. Reads only.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    jiff::Timestamp,
};
use kube::{Resource, ResourceExt};
use temporal_stack_common::{
    address::Endpoint,
    api::{MessageQueue, annotation},
    http::Client,
    login::{self, Bound, Login},
    number,
    provider::{External, Provider},
    readiness, shared, volume,
    watches::{Child, Configuration, Relation, Sources, Watches},
    workload,
    world::{ReadError, World},
};

use crate::{
    access::administrator,
    names::{self, AMQP, CONFIG, MEMBERS, MOST_NODES, Names, PREPARE, VIRTUAL_HOST, node_count},
    observed::{Broker, BrokerPod, Embedded, Known, Observed},
    rabbit::{Failure, Management, Queue, QueueName, User},
    settings::{COOKIE, virtual_host},
};

/// The watches besides those of the objects themselves.
pub(crate) fn watches() -> Watches<MessageQueue> {
    Watches {
        children: vec![
            Child::owned::<Secret>(),
            Child::owned::<ConfigMap>(),
            Child::owned::<Service>(),
            Child::owned::<ServiceAccount>(),
            Child::owned::<NetworkPolicy>(),
            Child::owned::<PodDisruptionBudget>(),
            Child::owned::<StatefulSet>(),
            Child::new::<PersistentVolumeClaim>(Relation::Adjusted { deleted: true }),
            Child::new::<Pod>(Relation::Restarted { labelled: false }),
        ],
        sources: Sources { config_maps: &[], secrets: &[CONFIG] },
        configuration: |object| Configuration::new(object.spec.provider.external.is_some(), None),
        ..Watches::default()
    }
}

/// Gathers the observed state.
pub(crate) async fn observe(object: &MessageQueue, world: &World<'_>, client: &Client) -> Result<Observed, ReadError> {
    let names = Names::new(object);
    let bound = Bound::read(world.children, &names.binding, VIRTUAL_HOST);
    let (config, provider) = if let Some(external) = &object.spec.provider.external {
        (None, Provider::External(External::observe(external, world).await?))
    } else {
        let config = world.secret(CONFIG).await?;
        (config, Provider::Embedded(Box::new(embedded(object, &names, bound.as_ref(), world, client).await?)))
    };
    Ok(Observed { config, default_source: world.default_source.clone(), bound, provider })
}

async fn embedded(
    object: &MessageQueue,
    names: &Names,
    bound: Option<&Bound>,
    world: &World<'_>,
    client: &Client,
) -> Result<Embedded, ReadError> {
    let children = world.children;
    let annotation = |key: &str| object.annotations().get(key).map(String::as_str);
    let provider = object.spec.provider.rabbitmq.clone().unwrap_or_default();
    let volumes: Vec<Option<PersistentVolumeClaim>> =
        (0..MOST_NODES).map(|ordinal| children.find(&names.volume(ordinal))).collect();
    let needed = volumes.get(..node_count(provider.replicas)).unwrap_or_default();
    let offer = volume::observe(&provider.storage, needed, world).await?;
    let logins = login::read_all(children, object.meta(), &names.base, bound);
    let pods: Vec<BrokerPod> = children.pods_of(&names.base, MOST_NODES).iter().map(broker_pod).collect();
    let surplus = children.surplus_of(&names.base, MOST_NODES).iter().map(broker_pod).collect();
    let password = login::administrator_password(children, &names::administrator(names));
    let inquiry = Inquiry { object, names, replicas: provider.replicas, logins: &logins, pods: &pods };
    let broker = match &password {
        Some(password) => inquiry.ask(&|host| Management::new(client, &administrator(host, password))).await,
        None => Broker::Absent,
    };
    let permission = annotation(annotation::FULL_RESTART);
    let set: Option<StatefulSet> = children.find(&names.base);
    let service = workload::service_ip(children, &names.base);
    let members: Option<ConfigMap> = children.find(&names::members(names));
    let lines = |map: ConfigMap| map.data.and_then(|mut data| data.remove(MEMBERS)).unwrap_or_default();
    Ok(Embedded {
        cookies: shared::series(children, |number| names::cookie(names, number), &[COOKIE], permission, &[]),
        cookie_in_use: shared::in_use(children, &names.base),
        administrator: password,
        restart: workload::restart_asked(object, children, &names.base),
        replicas: set.and_then(|set| set.spec?.replicas).map(|replicas| number::replicas(replicas, MOST_NODES)),
        members: members.map(|map| lines(map).lines().map(str::to_owned).collect()),
        service: service.map(|host| Endpoint { host, port: AMQP }),
        broker,
        logins,
        offer,
        pods,
        surplus,
        volumes,
    })
}

/// The subject of a query to the broker.
struct Inquiry<'a> {
    object: &'a MessageQueue,
    names: &'a Names,
    replicas: i32,
    logins: &'a [Login],
    pods: &'a [BrokerPod],
}

impl Inquiry<'_> {
    /// Reads from the first node that answers, by the address of its pod, because the Service has no endpoints until one is ready.
    async fn ask(&self, management: &(impl Fn(&str) -> Management + Sync)) -> Broker {
        let mut silence = None;
        for (_, host) in self.hosts() {
            match self.ask_node(management, host).await {
                Ok(known) => return Ok(known).into(),
                Err(failure) => silence = Some(failure),
            }
        }
        silence.map_or(Broker::Absent, Broker::Silent)
    }

    /// The pods that are ready, and their addresses.
    fn hosts(&self) -> impl Iterator<Item = (&str, &str)> {
        let ready = self.pods.iter().filter(|pod| pod.is_ready);
        ready.filter_map(|pod| Some((pod.name.as_str(), pod.ip.as_deref()?)))
    }

    async fn ask_node(&self, management: &(impl Fn(&str) -> Management + Sync), host: &str) -> Result<Known, Failure> {
        let (node, virtual_host) = (management(host), virtual_host(self.object));
        // Queues first: a member on a node that joins between the two requests must not look like one on a lost node.
        let queues = node.queues().await?;
        let mut nodes = node.nodes().await?;
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        let alarms = node.alarms().await?;
        let mut at_minimum = BTreeMap::new();
        if nodes.len() > 1 {
            // Each node reports only its own state.
            for (pod, host) in self.hosts() {
                at_minimum.insert(pod.to_owned(), management(host).queues_at_minimum().await.ok());
            }
        }
        let mut users: Vec<User> = Vec::new();
        for login in self.logins {
            if !users.iter().any(|user| user.name == login.username) {
                users.extend(node.user(&login.username, &virtual_host).await?);
            }
        }
        let connections_of_newest = match self.logins.last() {
            Some(newest) => node.connections(&newest.username).await?,
            None => 0,
        };
        let notes = node.notes().await?;
        let version = node.version().await?;
        let default_queue_type = node.default_queue_type(&virtual_host).await?;
        let features = node.disabled_features().await?;
        let leavers = names::leavers(self.names, nodes.iter().map(|node| node.name.as_str()), self.replicas);
        Ok(Known {
            host: host.to_owned(),
            queues: detailed(queues, &leavers, &node).await?,
            version,
            nodes,
            alarms,
            at_minimum,
            default_queue_type,
            users,
            connections_of_newest,
            notes,
            features,
        })
    }
}

/// The queues, with details for those that must be moved off leavers. Quorum queues need none.
async fn detailed(queues: Vec<Queue>, leavers: &[String], management: &Management) -> Result<Vec<Queue>, Failure> {
    let mut detailed = Vec::with_capacity(queues.len());
    for queue in queues {
        let is_asked = queue.kind != "quorum" && queue.has_url() && leavers.iter().any(|node| queue.is_bound_to(node));
        let QueueName { virtual_host, name } = queue.id();
        let details = if is_asked { management.queue(&virtual_host, &name).await? } else { None };
        detailed.push(Queue { details, ..queue });
    }
    Ok(detailed)
}

fn broker_pod(pod: &Pod) -> BrokerPod {
    let status = pod.status.as_ref();
    let mut containers = status.and_then(|status| status.init_container_statuses.as_ref()).into_iter().flatten();
    // Not any other: a sidecar is an init container, too, and never ends.
    let prepare = containers.find(|container| container.name == PREPARE);
    let began = prepare.and_then(|container| container.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    BrokerPod {
        name: pod.name_any(),
        is_ready: readiness::is_ready(pod),
        preparing: began.map(|began| Timestamp::now().duration_since(began.0).as_secs()),
        cookie: shared::of_pod(pod),
        ip: status.and_then(|status| status.pod_ip.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(init: &str) -> BrokerPod {
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let container = json!({
            "name": init, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": running,
        });
        let pod = json!({"metadata": {"name": "temporal-0"}, "status": {"initContainerStatuses": [container]}});
        broker_pod(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn sidecar_that_runs_is_no_preparation() {
        assert!(pod("prepare").preparing.is_some_and(|seconds| seconds > 0));
        assert_eq!(pod("linkerd-proxy").preparing, None);
    }
}

//! What a pass knows: gathered here, reads only.

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::{MessageQueue, RabbitmqProvider, annotation},
    binding,
    component::Progress,
    condition::{Statement, reason},
    driver,
    http::Client,
    login::{self, Bound, Login, PASSWORD},
    number,
    shared::{self, Shared},
    volume, workload,
    world::World,
};

use crate::{
    Error,
    amqp::Access,
    cookie,
    desire::members_of,
    external::{self, VIRTUAL_HOST},
    moving::Move,
    names::{self, ADMINISTRATOR, AMQP, MOST_NODES},
    rabbit::{self, Failure, Management, Node, Queue, QueueName, User},
    scale,
};

/// Where the storage is in the spec.
const STORAGE: &str = "spec.provider.rabbitmq.storage";

/// What the broker calls the process that coordinates streams, among queues that would lose their majority.
const STREAM_COORDINATOR: &str = "rabbit_stream_coordinator";

/// How long a node may take to prepare its start when it has nobody to wait for, in seconds.
const PREPARED_WITHIN: i64 = 20;

/// What a pass knows.
#[derive(Debug)]
pub struct Observed {
    /// The application's virtual host.
    pub(crate) virtual_host: String,
    /// What became of the user's configuration.
    pub(crate) honoured: Statement,
    /// Something that the user must mend first.
    pub(crate) obstacle: Option<Progress>,
    /// What the provider is about.
    pub(crate) source: Source,
    /// What the binding says now.
    pub(crate) bound: Option<Bound>,
}

/// What the provider is about.
#[derive(Debug)]
pub(crate) enum Source {
    /// A cluster of the controller's own.
    Embedded(Box<Embedded>),
    /// Somebody else's; absent while its Secret is not usable.
    External(Option<Access>),
}

/// A cluster of the controller's own.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// The spec of the provider.
    pub(crate) provider: RabbitmqProvider,
    /// The Erlang cookies.
    pub(crate) cookies: Shared,
    /// The logins that have been made, oldest first.
    pub(crate) logins: Vec<Login>,
    /// The user's newest request for rotation.
    pub(crate) rotation: Option<String>,
    /// The user's newest request for a restart.
    pub(crate) restart: Option<String>,
    /// How many nodes the set is to have now; absent: it has not been made.
    pub(crate) replicas: Option<i32>,
    /// The pods that are there.
    pub(crate) pods: Vec<BrokerPod>,
    /// The ordinals of the nodes that have a volume.
    pub(crate) volumes: Vec<i32>,
    /// The members of the cluster as they were seen last.
    pub(crate) members: Option<Vec<String>>,
    /// The address of the Service for clients.
    pub(crate) service: Option<String>,
    /// The cluster itself.
    pub(crate) broker: Broker,
}

/// A pod that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerPod {
    /// Its name.
    pub(crate) name: String,
    /// Whether it takes clients.
    pub(crate) ready: bool,
    /// Whether it waits, before it starts, for a member to join.
    pub(crate) preparing: bool,
    /// Which cookie it has.
    pub(crate) cookie: Option<u32>,
    /// Its address.
    pub(crate) ip: Option<String>,
}

/// What the cluster said.
#[derive(Debug)]
pub(crate) enum Broker {
    /// No pod is ready.
    Absent,
    /// No node could be asked.
    Silent(Failure),
    /// A node answered.
    Known(Box<Known>),
}

/// A cluster that answered the administrator.
#[derive(Debug)]
pub(crate) struct Known {
    /// The node that answered.
    pub(crate) management: Management,
    /// Its version.
    pub(crate) version: String,
    /// The members, by name.
    pub(crate) nodes: Vec<Node>,
    /// Nodes without which queues would lose their majority.
    pub(crate) critical: Vec<String>,
    /// The queues of all virtual hosts.
    pub(crate) queues: Vec<Queue>,
    /// The default queue type of the application's virtual host, if that is there.
    pub(crate) default_queue_type: Option<String>,
    /// The logins that are there, of those that have been made.
    pub(crate) users: Vec<User>,
    /// How many connections the newest login has.
    pub(crate) connections: usize,
    /// The nodes that are to leave the cluster when they stop.
    pub(crate) leaving: Vec<String>,
    /// Queues that are being moved.
    pub(crate) moves: Vec<Move>,
    /// Features that wait to be enabled.
    pub(crate) features: Vec<String>,
}

impl Embedded {
    /// The login that was made last.
    pub(crate) fn newest(&self) -> Option<&Login> {
        self.logins.last()
    }

    /// What the cluster said, if it could be asked.
    pub(crate) fn known(&self) -> Option<&Known> {
        match &self.broker {
            Broker::Known(known) => Some(known),
            Broker::Absent | Broker::Silent(_) => None,
        }
    }

    /// Whether all pods must end before one may start: they have a cookie that is no longer the one.
    pub(crate) fn must_stop(&self) -> bool {
        self.cookies.must_stop(self.pods.iter().map(|pod| pod.cookie))
    }

    /// Whether they are about to, or have not all ended.
    pub(crate) fn is_stopping(&self) -> bool {
        self.cookies.is_stopping(self.replicas, self.pods.iter().map(|pod| pod.cookie))
    }
}

impl Known {
    /// Whether a login can be used: it has its password and no tag, and may do all in the virtual host.
    pub(crate) fn has(&self, login: &Login) -> bool {
        self.users.iter().any(|user| {
            user.name == login.username
                && rabbit::is_hash_of(&user.password_hash, &login.password)
                && user.tags.is_empty()
                && user.permission.as_ref().is_some_and(rabbit::Permission::is_all)
        })
    }
}

impl Observed {
    /// The login that the binding is to hold: the newest that the broker has; while it cannot be asked, the one that it holds.
    pub(crate) fn active_login(&self) -> Option<&Login> {
        let Source::Embedded(embedded) = &self.source else { return None };
        let has = embedded.known().map(|known| |login: &Login| known.has(login));
        login::active(&embedded.logins, self.bound.as_ref(), has)
    }

    /// The virtual host that the binding is to lead to: the one that is wanted once it is there.
    pub(crate) fn active_virtual_host(&self) -> Option<&str> {
        let Source::Embedded(embedded) = &self.source else { return None };
        // The login may have to wait for the one before, and until then it is good for the other virtual host only.
        match embedded.known() {
            Some(known) if embedded.logins.iter().any(|login| known.has(login)) => Some(&self.virtual_host),
            _ => self.bound.as_ref().map(|bound| bound.place.as_str()),
        }
    }

    /// How the controller uses the broker as the application: by address, so that no name server is in the way.
    pub(crate) fn application(&self) -> Option<Access> {
        match &self.source {
            Source::External(access) => access.clone(),
            Source::Embedded(embedded) => {
                let login = self.active_login()?;
                Some(Access {
                    host: embedded.service.clone()?,
                    port: AMQP,
                    username: login.username.clone(),
                    password: login.password.clone(),
                    virtual_host: self.active_virtual_host()?.to_owned(),
                })
            }
        }
    }
}

/// Gathers what a pass needs to know.
pub(crate) async fn observe(object: &MessageQueue, world: &World<'_>, client: &Client) -> Result<Observed, Error> {
    let binding = world.children.find(&names::binding(object));
    let bound = binding.and_then(|binding| Bound::read(&binding, VIRTUAL_HOST));
    if let Some(external) = &object.spec.provider.external {
        let name = &external.secret_name;
        let read = |source| Error::Read { what: format!("Secret/{name}"), source };
        let secret = world.secret(name).await.map_err(read)?;
        let unused: &[&str] = if object.spec.virtual_host.is_some() { &["spec.virtualHost"] } else { &[] };
        let (access, obstacle, honoured) = external::access(name, secret.as_ref()).into_parts(name, unused);
        let virtual_host = access.as_ref().map(|access| access.virtual_host.clone()).unwrap_or_default();
        return Ok(Observed { virtual_host, honoured, obstacle, source: Source::External(access), bound });
    }

    let virtual_host = object.spec.virtual_host.clone().unwrap_or_else(|| object.name_any());
    let source = world.secret(cookie::SOURCE).await;
    let source = source.map_err(|source| Error::Read { what: format!("Secret/{}", cookie::SOURCE), source })?;
    let permission = object.annotations().get(annotation::FULL_RESTART).map(String::as_str);
    let set: Option<StatefulSet> = world.children.find(&names::set(object));
    let pods: Vec<BrokerPod> = world.children.all::<Pod>().iter().map(broker_pod).collect();
    let in_use = shared::in_use(world.children, &names::set(object));
    let name = |number| names::cookie(object, number);
    let made = shared::row(world.children, name, &[cookie::COOKIE], permission, &[]);
    let mut cookie = cookie::decide(made, in_use, source.as_ref(), permission);
    cookie.claimed(&world.claim);
    let unusable = cookie.unusable.map(|message| Progress::Stalled { reason: reason::SECRET_INCOMPLETE, message });
    let provider = object.spec.provider.rabbitmq.clone().unwrap_or_default();
    let claims: Vec<Option<PersistentVolumeClaim>> =
        (0..MOST_NODES).map(|ordinal| world.children.find(&names::volume(object, ordinal))).collect();
    let obstacle = if unusable.is_some() {
        unusable
    } else {
        let wanted = usize::try_from(provider.replicas).unwrap_or_default().clamp(1, claims.len());
        let read = |source| Error::Read { what: "StorageClasses".to_owned(), source };
        volume::obstacle_to_any(STORAGE, &provider.storage, &claims[..wanted], world).await.map_err(read)?
    };
    let rotation = object.annotations().get(annotation::ROTATE).cloned();
    let mut embedded = Embedded {
        provider,
        cookies: cookie.cookies,
        logins: login::row(world.children, &names::set(object), rotation.as_deref()),
        rotation,
        restart: workload::restart_asked(object, world.children, &names::set(object)),
        replicas: set.and_then(|set| set.spec?.replicas).map(|replicas| number::replicas(replicas, MOST_NODES)),
        pods,
        volumes: (0..)
            .zip(&claims)
            .filter_map(|(ordinal, claim)| volume::is_bound(claim.as_ref()?).then_some(ordinal))
            .collect(),
        members: world.children.find::<ConfigMap>(&names::members(object)).as_ref().map(members_of),
        service: world.children.find::<Service>(&names::set(object)).as_ref().and_then(workload::service_ip),
        broker: Broker::Absent,
    };
    let administrator: Option<Secret> = world.children.find(&names::administrator(object));
    if let Some(password) = administrator.as_ref().and_then(|secret| binding::text(secret, PASSWORD)) {
        embedded.broker = ask(object, &embedded, client, password, &virtual_host).await;
    }
    let source = Source::Embedded(Box::new(embedded));
    Ok(Observed { virtual_host, honoured: cookie.honoured, obstacle, source, bound })
}

/// Asks the first node that answers. Pods are asked by their own address, because the Service leads nowhere until one is ready.
async fn ask(
    object: &MessageQueue,
    embedded: &Embedded,
    client: &Client,
    password: &str,
    virtual_host: &str,
) -> Broker {
    let mut silence = None;
    for pod in embedded.pods.iter().filter(|pod| pod.ready) {
        let Some(ip) = &pod.ip else { continue };
        let management = Management::new(client, ip, ADMINISTRATOR, password);
        match known(object, embedded, client, management, virtual_host).await {
            Ok(known) => return Broker::Known(Box::new(known)),
            Err(failure) => silence = Some(failure),
        }
    }
    silence.map_or(Broker::Absent, Broker::Silent)
}

async fn known(
    object: &MessageQueue,
    embedded: &Embedded,
    client: &Client,
    management: Management,
    virtual_host: &str,
) -> Result<Known, Failure> {
    // Queues first: a member on a node that joins between the two questions is not one on a node that has gone.
    let queues = management.queues().await?;
    let mut nodes = management.nodes().await?;
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    for alarm in management.alarms().await? {
        let nodes = nodes.iter_mut().filter(|node| node.name == alarm.node);
        nodes.for_each(|node| match alarm.resource.as_str() {
            "memory" => node.mem_alarm = true,
            _ => node.disk_free_alarm = true,
        });
    }
    let mut critical = Vec::new();
    // Each node answers for itself alone.
    for pod in embedded.pods.iter().filter(|pod| pod.ready) {
        let Some(ip) = &pod.ip else { continue };
        let (username, password) = management.login();
        let node = Management::new(client, ip, username, password);
        // What was declared with less than three members has no majority to spare at any time.
        let spares = |name: &QueueName| {
            let queue = queues.iter().find(|queue| queue.name == name.name && queue.vhost == name.virtual_host);
            match queue {
                Some(queue) => queue.kind == "stream" || queue.members.len() > 2,
                // Once there was a stream there is a coordinator, which nobody needs when there is none any more.
                None => name.name != STREAM_COORDINATOR || queues.iter().any(|queue| queue.kind == "stream"),
            }
        };
        // One that does not answer may be going already.
        let at_minimum =
            nodes.len() > 1 && node.queues_at_minimum().await.map_or(true, |queues| queues.iter().any(spares));
        if at_minimum {
            critical.push(pod.name.clone());
        }
    }
    let mut users = Vec::new();
    for login in &embedded.logins {
        if !users.iter().any(|user: &User| user.name == login.username) {
            users.extend(management.user(&login.username, virtual_host).await?);
        }
    }
    let connections = match embedded.newest() {
        Some(newest) => management.connections(&newest.username).await?,
        None => 0,
    };
    let notes = management.notes().await?;
    let mut known = Known {
        version: management.version().await?,
        queues,
        default_queue_type: management.default_queue_type(virtual_host).await?,
        leaving: notes.leaving,
        moves: notes.moves.iter().filter_map(Move::of_note).collect(),
        features: management.disabled_features().await?,
        management,
        nodes,
        critical,
        users,
        connections,
    };
    let leavers = scale::leavers(object, &embedded.provider, &known);
    // Quorum queues are moved without a question; of the others there is more to know.
    let others = known.queues.iter_mut().filter(|queue| queue.kind != "quorum");
    let others = others.filter(|queue| queue.has_url());
    for queue in others.filter(|queue| leavers.iter().any(|leaver| queue.is_bound_to(leaver))) {
        if let Some(details) = known.management.queue(&queue.vhost, &queue.name).await? {
            queue.bytes_per_message = details.bytes_per_message();
            queue.consumers = details.consumers.len();
            queue.members = details.members;
            queue.policy = details.policy;
        }
    }
    Ok(known)
}

fn broker_pod(pod: &Pod) -> BrokerPod {
    let status = pod.status.as_ref();
    let preparing = status.and_then(|status| status.init_container_statuses.as_ref()).into_iter().flatten();
    BrokerPod {
        name: pod.name_any(),
        ready: driver::pod_is_ready(pod),
        preparing: preparing
            .filter_map(|one| one.state.as_ref()?.running.as_ref()?.started_at.as_ref())
            .any(is_long_ago),
        cookie: shared::of_pod(pod),
        ip: status.and_then(|status| status.pod_ip.clone()),
    }
}

fn is_long_ago(time: &Time) -> bool {
    Timestamp::now().duration_since(time.0).as_secs() > PREPARED_WITHIN
}

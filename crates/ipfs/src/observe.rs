//! What a pass knows: gathered here, reads only.

mod peers;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::{IpfsCluster, KuboProvider, Network, annotation},
    cache::Children,
    component::Progress,
    condition::{Statement, reason},
    driver,
    failure::chain,
    given,
    http::Client,
    number,
    shared::{self, Shared},
    volume, workload,
    world::World,
};

#[cfg(test)]
pub(crate) use peers::Errored;
pub(crate) use peers::{MOST_ATTEMPTS, Peer, Seen, Tried, Troubles, is_full};

use crate::{
    Error,
    desire::SERVES,
    external::{self, Access},
    identity::{self, Identity},
    ipfs_cluster::Cluster,
    kubo_config,
    names::{self, REST},
    scale, secrets,
    settings::{self, Remarks, Settings},
    survey::{self, Member, Survey},
    surveys::Surveys,
};

/// Label of volume claims: whether the peer has left as it should.
pub(crate) const LEFT: &str = "temporal-stack.dev/left";
/// Where the storage is in the spec.
const STORAGE: &str = "spec.provider.kubo.storage";

/// What a pass knows.
#[derive(Debug)]
pub struct Observed {
    /// What became of the user's configuration.
    pub(crate) honoured: Statement,
    /// Something that the user must mend first.
    pub(crate) obstacle: Option<Progress>,
    /// What the provider is about.
    pub(crate) source: Source,
    /// Whether the binding is there.
    pub(crate) bound: bool,
}

/// What the provider is about.
#[derive(Debug)]
pub(crate) enum Source {
    /// Peers of the controller's own.
    Embedded(Box<Embedded>),
    /// Somebody else's; absent while their Secret is not usable.
    External(Option<Access>),
}

/// Peers of the controller's own.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// The spec of the provider.
    pub(crate) provider: KuboProvider,
    /// What IPFS Cluster is to be told.
    pub(crate) settings: Settings,
    /// What all peers share.
    pub(crate) shared: Shared,
    /// The network that the peers are in.
    pub(crate) network: Network,
    /// The identities that have been made.
    pub(crate) identities: Vec<Identity>,
    /// The user's newest request for a restart.
    pub(crate) restart: Option<String>,
    /// How many peers the set is to have now; absent: it has not been made.
    pub(crate) replicas: Option<i32>,
    /// How many peers the Secret lists that tells them of each other.
    pub(crate) listed: i32,
    /// The address of the Service for clients.
    pub(crate) service: Option<String>,
    /// The volume claims that are there.
    pub(crate) claims: Vec<Claim>,
    /// The pods that are there, by ordinal.
    pub(crate) pods: Vec<PeerPod>,
    /// What those said that could be asked, by ordinal.
    pub(crate) peers: Vec<Peer>,
    /// What is known of the pins; absent: nothing could be found out.
    pub(crate) survey: Surveyed,
}

/// What is known of the pins.
#[derive(Debug)]
pub(crate) enum Surveyed {
    /// Nothing: the peers could not be asked.
    Not(String),
    /// What was found in this pass.
    Now(Survey),
    /// What was found some time ago, and is good enough for a status.
    Before(Survey),
}

impl Surveyed {
    /// What was found in this pass; else why nothing may be decided by it.
    pub(crate) fn now(&self) -> Result<&Survey, String> {
        match self {
            Self::Now(survey) => Ok(survey),
            Self::Before(_) => Err("the pins are looked through".to_owned()),
            Self::Not(why) => Err(why.clone()),
        }
    }

    /// What was found, however old.
    pub(crate) fn any(&self) -> Option<&Survey> {
        match self {
            Self::Now(survey) | Self::Before(survey) => Some(survey),
            Self::Not(_) => None,
        }
    }
}

/// The volume claim of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The ordinal of the peer.
    pub(crate) ordinal: i32,
    /// Whether there is a volume.
    pub(crate) is_bound: bool,
    /// Whether it is on its way out.
    pub(crate) is_going: bool,
    /// Whether its peer has left as it should: nothing is on it that the others have not.
    pub(crate) has_left: Option<bool>,
}

/// A pod that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerPod {
    /// Its ordinal.
    pub(crate) ordinal: i32,
    /// Whether it is ready.
    pub(crate) ready: bool,
    /// Whether clients are sent to it.
    pub(crate) serves: bool,
    /// Whether it runs another template than the newest.
    pub(crate) outdated: bool,
    /// Which secret it has of those that all share.
    pub(crate) shared: Option<u32>,
    /// Its address.
    pub(crate) ip: Option<String>,
    /// Its UID, and how often its containers were started: what it remembers is gone when these change.
    pub(crate) life: String,
}

impl Embedded {
    /// Whether all pods must end before one may start: they have a secret that is no longer the one.
    pub(crate) fn must_stop(&self) -> bool {
        self.shared.must_stop(self.pods.iter().map(|pod| pod.shared))
    }

    /// The claim of the peer with this ordinal.
    pub(crate) fn claim(&self, ordinal: i32) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.ordinal == ordinal)
    }

    /// How many peers have a volume that may have what no other has.
    pub(crate) fn claimed(&self) -> i32 {
        let claims = self.claims.iter().filter(|claim| claim.has_left != Some(true) && !claim.is_going);
        claims.map(|claim| claim.ordinal.saturating_add(1)).max().unwrap_or_default()
    }

    /// Whether a peer matters to the others: one that is too many and never had a volume may just go.
    fn counts(&self, object: &IpfsCluster, ordinal: i32) -> bool {
        ordinal < object.spec.replicas || self.claim(ordinal).is_some_and(|claim| claim.is_bound)
    }

    /// The ordinals of the peers that there are to be now, without those that may just go.
    pub(crate) fn members(&self, object: &IpfsCluster) -> impl Iterator<Item = i32> {
        let wanted = object.spec.replicas;
        let there = self
            .replicas
            .unwrap_or_default()
            .min(scale::told_of(wanted, self.listed))
            .max(wanted)
            .min(names::MOST_PEERS);
        (0..there).filter(|ordinal| self.counts(object, *ordinal))
    }

    /// The address of the peer with this ordinal.
    pub(crate) fn ip(&self, ordinal: i32) -> Option<&str> {
        self.pods.iter().find(|pod| pod.ordinal == ordinal)?.ip.as_deref()
    }

    /// The REST API of the peer with this ordinal.
    pub(crate) fn cluster(&self, client: &Client, ordinal: i32) -> Option<Cluster> {
        Some(Cluster::new(client, self.ip(ordinal)?, REST))
    }

    /// The identity of the peer with this ordinal.
    pub(crate) fn identity(&self, ordinal: i32) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.ordinal == ordinal)
    }

    /// The peers that answered, with what they said.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (i32, &Seen)> {
        self.peers.iter().filter_map(|peer| Some((peer.ordinal, peer.seen.as_ref().ok()?)))
    }
}

/// Gathers what a pass needs to know.
pub(crate) async fn observe(
    object: &IpfsCluster,
    world: &World<'_>,
    client: &Client,
    surveys: &Surveys,
) -> Result<Observed, Error> {
    let bound = world.children.find::<Secret>(&names::binding(object)).is_some_and(|binding| binding.data.is_some());
    let config_map = settings::config_map(object);
    let written = world
        .config_map(config_map)
        .await
        .map_err(|source| Error::Read { what: format!("ConfigMap/{config_map}"), source })?;
    if let Some(external) = &object.spec.provider.external {
        let name = &external.secret_name;
        let read = |source| Error::Read { what: format!("Secret/{name}"), source };
        let secret = world.secret(name).await.map_err(read)?;
        let unused = written.is_some().then(|| format!("ConfigMap/{config_map}"));
        let unused: Vec<&str> = unused.iter().map(String::as_str).collect();
        let (access, obstacle, honoured) = external::access(name, secret.as_ref()).into_parts(name, &unused);
        return Ok(Observed { honoured, obstacle, source: Source::External(access), bound });
    }

    let provider = object.spec.provider.kubo.clone().unwrap_or_default();
    let written = written.map(given::texts_of_map);
    let (settings, mut remarks) = settings::settings(object, written.as_ref());
    let remedy = "to use a ConfigMap here, name it in spec.config.configMap";
    remarks.adapt(world.claim.remark(&format!("ConfigMap/{config_map}"), remedy));
    let set: Option<StatefulSet> = world.children.find(&names::set(object));
    let pods = pods(object, world.children, set.as_ref());
    let in_use = shared::in_use(world.children, &names::set(object));
    let permission = object.annotations().get(annotation::FULL_RESTART).map(String::as_str);
    let outcome =
        secrets::decide(object, world.children, in_use, settings.secret.as_deref(), object.spec.network, permission);
    remarks.refuse(outcome.refused);
    remarks.refuse(kubo_config::refused(&provider, outcome.network));
    remarks.adapt(kubo_config::ignored(&provider, outcome.network));
    let (identities, wrong) = identity::row(object, world.children);
    let replicas = set.and_then(|set| set.spec?.replicas).map(|replicas| number::replicas(replicas, names::MOST_PEERS));
    let listed = world.children.find(&names::peers(object)).as_ref().map_or(0, listed);
    let last = pods.last().map_or(0, |pod| pod.ordinal + 1);
    let most = scale::told_of(object.spec.replicas, listed);
    let there = object.spec.replicas.max(listed).max(replicas.unwrap_or_default().max(last).min(most));
    let there = there.min(names::MOST_PEERS);
    let lost = outcome.unusable.map(|message| Progress::Stalled { reason: reason::SECRET_INCOMPLETE, message });
    let volumes: Vec<Option<PersistentVolumeClaim>> =
        (0..names::MOST_PEERS).map(|ordinal| world.children.find(&names::volume(object, ordinal))).collect();
    let claims: Vec<Claim> =
        (0..).zip(&volumes).filter_map(|(ordinal, volume)| Some(claim(ordinal, volume.as_ref()?))).collect();
    let lost = lost.or(wrong).or_else(|| identity_lost(object, &claims, &identities, there));
    let obstacle = if lost.is_some() {
        lost
    } else {
        let wanted = usize::try_from(object.spec.replicas).unwrap_or_default().clamp(1, volumes.len());
        let read = |source| Error::Read { what: "StorageClasses".to_owned(), source };
        volume::obstacle_to_any(STORAGE, &provider.storage, &volumes[..wanted], world).await.map_err(read)?
    };
    let uid = object.uid().unwrap_or_default();
    let doubt = surveys.is_in_doubt(&uid);
    let tried = |ordinal: i32, cid: &str| surveys.tried(&uid, ordinal, cid);
    let peers = peers::ask(client, &pods, &settings.allocate_by(), doubt, &tried).await;
    let mut embedded = Embedded {
        provider,
        settings,
        shared: outcome.shared,
        network: outcome.network,
        identities,
        restart: workload::restart_asked(object, world.children, &names::set(object)),
        replicas,
        listed,
        service: world.children.find::<Service>(&names::set(object)).as_ref().and_then(workload::service_ip),
        claims,
        peers,
        pods,
        survey: Surveyed::Not("no peer could be asked".to_owned()),
    };
    embedded.survey = look_through(object, &embedded, client, surveys).await;
    let honoured = honoured(remarks, config_map, written.is_some());
    Ok(Observed { honoured, obstacle, source: Source::Embedded(Box::new(embedded)), bound })
}

fn honoured(remarks: Remarks, config_map: &str, is_there: bool) -> Statement {
    remarks.statement(&if is_there {
        format!("ConfigMap/{config_map} was taken as it is written")
    } else {
        format!("there is no ConfigMap/{config_map}; the spec and the defaults are taken")
    })
}

fn pods(object: &IpfsCluster, children: &Children, set: Option<&StatefulSet>) -> Vec<PeerPod> {
    let newest = set.and_then(|set| set.status.as_ref()?.update_revision.clone());
    let set = names::set(object);
    let pod = |pod: Pod| {
        let ordinal = number::ordinal(&pod.name_any(), &set, names::MOST_PEERS)?;
        let status = pod.status.clone().unwrap_or_default();
        let starts: i32 = status
            .container_statuses
            .iter()
            .flatten()
            .map(|container| container.restart_count)
            .fold(0, i32::saturating_add);
        Some(PeerPod {
            ordinal,
            ready: driver::pod_is_ready(&pod),
            serves: pod.labels().get(SERVES).is_some_and(|serves| serves == "true"),
            outdated: newest.is_some() && pod.labels().get("controller-revision-hash") != newest.as_ref(),
            shared: shared::of_pod(&pod),
            ip: status.pod_ip,
            life: format!("{} {starts}", pod.uid().unwrap_or_default()),
        })
    };
    let mut pods: Vec<PeerPod> = children.all::<Pod>().into_iter().filter_map(pod).collect();
    pods.sort_by_key(|pod| pod.ordinal);
    pods
}

fn claim(ordinal: i32, claim: &PersistentVolumeClaim) -> Claim {
    Claim {
        ordinal,
        is_bound: claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound")),
        is_going: claim.metadata.deletion_timestamp.is_some(),
        has_left: claim.labels().get(LEFT).map(|left| left == "true"),
    }
}

/// How many peers a Secret lists: there is one configuration of Kubo for each.
fn listed(secret: &Secret) -> i32 {
    let kubos = secret.data.iter().flatten().filter(|(key, _)| key.ends_with(".kubo.json"));
    i32::try_from(kubos.count()).unwrap_or(names::MOST_PEERS).min(names::MOST_PEERS)
}

/// A peer whose volume was made with another identity is a stranger to its own state, and to whoever knows it.
fn identity_lost(object: &IpfsCluster, claims: &[Claim], identities: &[Identity], there: i32) -> Option<Progress> {
    let has_volume = |ordinal: &i32| claims.iter().any(|claim| claim.ordinal == *ordinal && !claim.is_going);
    let has_identity = |ordinal: &i32| identities.iter().any(|identity| identity.ordinal == *ordinal);
    let lost = (0..there).find(|ordinal| has_volume(ordinal) && !has_identity(ordinal))?;
    let (secret, volume) = (names::identity(object, lost), names::volume(object, lost));
    Some(Progress::Stalled {
        reason: reason::SECRET_MISSING,
        message: format!(
            "Secret/{secret} has gone, and PersistentVolumeClaim/{volume} was made with the keys in it; restore the Secret. To start the peer with a new identity and an empty volume, delete StatefulSet/{} with --cascade=orphan, the pod and the claim",
            names::set(object)
        ),
    })
}

/// Looks through the pins: anew where a decision hangs on it, else now and then.
async fn look_through(object: &IpfsCluster, embedded: &Embedded, client: &Client, surveys: &Surveys) -> Surveyed {
    let Some(uid) = object.uid() else { return Surveyed::Not("the object has no UID".to_owned()) };
    let silent = embedded.members(object).find(|ordinal| !embedded.seen().any(|(seen, _)| seen == *ordinal));
    if let Some(ordinal) = silent {
        return Surveyed::Not(format!("{} does not answer", names::pod(object, ordinal)));
    }
    let is_due = scale::is_leaving(object, embedded) || embedded.pods.iter().any(|pod| pod.outdated);
    let lives: Vec<&str> = embedded.pods.iter().map(|pod| pod.life.as_str()).collect();
    let lives = lives.join(",");
    if !is_due && let Some(survey) = surveys.recent(&uid, &lives).filter(|survey| survey.to_restore == 0) {
        return Surveyed::Before(survey);
    }
    let member = |(ordinal, seen): (i32, &Seen)| {
        let cluster = embedded.cluster(client, ordinal)?;
        Some(Member { id: seen.id.clone(), cluster, stays: ordinal < object.spec.replicas })
    };
    let members: Vec<Member> = embedded.seen().filter_map(member).collect();
    // Peers of somebody else's that have joined with the cluster secret.
    let is_ours = |id: &String| embedded.identities.iter().any(|identity| identity.cluster.id == *id);
    let others = embedded.seen().flat_map(|(_, seen)| &seen.sees).filter(|id| !is_ours(id));
    let others: Vec<String> = others.cloned().collect();
    let begun = tokio::time::Instant::now();
    match survey::survey(&members, &others).await {
        Ok(survey) => {
            surveys.keep(&uid, lives, &survey, begun.elapsed());
            Surveyed::Now(survey)
        }
        Err(failure) => Surveyed::Not(chain(&failure)),
    }
}

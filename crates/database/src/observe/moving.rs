//! How the state of a move is gathered. Reads only.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{ContainerStatus, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use temporal_stack_common::{
    api::annotation,
    cache::Children,
    login::{self, Access},
    names::Names,
    provider::Answer,
    readiness::{is_owned_by, job_trouble},
    world::{ReadError, World},
};

use super::{cloud_native_pg::primary, ready_pod};
use crate::{
    access,
    cloud_native_pg::Cluster,
    moving::{EmbeddedParts, Mark, Move, Observed, Part, ProviderName, Record, Run, Source, Step, Target, read_access},
    names::{ADMINISTRATOR, COMPARE, COPY, PROGRAMS, SUPERUSER, administrator, cluster_administrator, move_name},
    observed::{Administered, Runner},
    postgres::{self, Failure, Reach},
};

/// The record of the move, if there is one.
pub(super) fn record(names: &Names, children: &Children) -> Option<Record> {
    Record::read(&children.find::<Secret>(&move_name(names))?)
}

/// Gathers it. `wanted` is the provider of the spec, with the database that it needs, and its server if it is administered.
pub(super) async fn observe(
    (names, uid): (&Names, Option<&str>),
    way: Move,
    record: Option<Record>,
    wanted: (ProviderName, &str, Option<&Administered>),
    world: &World<'_>,
) -> Result<Observed, ReadError> {
    let (wanted, database, server) = wanted;
    let children = world.children;
    let binding = children.find::<Secret>(&names.binding).as_ref().and_then(read_access);
    let cluster: Option<Cluster> = children.find(&names.base);
    // While the spec names the source, what follows from the spec observes and opens it.
    let is_observed = wanted == way.from && way.from != ProviderName::External;
    let access = if is_observed {
        None
    } else {
        let database = binding.as_ref().map_or(database, |binding| binding.scope.as_str());
        source_access(names, way.from, record.as_ref(), binding.as_ref(), (database, cluster.as_ref()), world).await?
    };
    let source: Answer<Source, Failure> = match &access {
        Some(access) => ask_source(access, reach(way.from)).await.into(),
        None => Answer::Absent,
    };
    let extensions = source.known().map(|source| source.extensions.clone()).unwrap_or_default();
    let target = match server.filter(|_| wanted == way.to).and_then(|server| target_access(server, database)) {
        Some(access) => ask_target(&access, &extensions).await.into(),
        None => Answer::Absent,
    };
    let job = match children.find::<Job>(&move_name(names)) {
        Some(job) => Some(run(&job, world).await),
        None => None,
    };
    let existing = [
        references::<StatefulSet>(children),
        references::<Service>(children),
        references::<ServiceAccount>(children),
        references::<NetworkPolicy>(children),
    ];
    let secret: Option<Secret> = children.find(&move_name(names));
    let marks = Marks { children, uid, record: secret.and_then(|secret| secret.metadata.creation_timestamp) };
    Ok(Observed {
        record,
        record_mark: marks.find::<Secret>(&move_name(names)).map(|part| part.mark),
        binding,
        access,
        source,
        target,
        job,
        embedded: marks.embedded(names),
        cluster_part: marks.find::<Cluster>(&names.base),
        cluster_administrator: marks.find::<Secret>(&cluster_administrator(names)),
        cluster,
        existing: existing.into_iter().flatten().collect(),
    })
}

/// Whose login reaches the server of a provider.
fn reach(provider: ProviderName) -> Reach {
    match provider {
        ProviderName::Postgres | ProviderName::CloudNativePg => Reach::Administrator,
        ProviderName::External => Reach::Application,
    }
}

async fn source_access(
    names: &Names,
    from: ProviderName,
    record: Option<&Record>,
    binding: Option<&Access>,
    (database, cluster): (&str, Option<&Cluster>),
    world: &World<'_>,
) -> Result<Option<Access>, ReadError> {
    let children = world.children;
    let (endpoint, user, secret) = match from {
        ProviderName::External => return Ok(record.and_then(|record| record.theirs.as_ref()).or(binding).cloned()),
        ProviderName::Postgres => (ready_pod(&children.pods_of(&names.base, 1)), ADMINISTRATOR, administrator(names)),
        ProviderName::CloudNativePg => (primary(names, cluster, world).await?, SUPERUSER, cluster_administrator(names)),
    };
    let password = login::administrator_password(children, &secret);
    let access = endpoint.zip(password).map(|(endpoint, password)| access::administrator(&endpoint, user, &password));
    Ok(access.map(|access| Access { scope: database.to_owned(), ..access }))
}

/// The administrator's access to the database on the target, once that exists.
fn target_access(server: &Administered, database: &str) -> Option<Access> {
    let known = server.server.known().filter(|known| known.database_owner.is_some())?;
    let user = match server.runner {
        Runner::Embedded(_) => ADMINISTRATOR,
        Runner::CloudNativePg(_) => SUPERUSER,
    };
    let access = access::administrator(&known.endpoint, user, server.administrator.as_ref()?);
    Some(Access { scope: database.to_owned(), ..access })
}

async fn ask_source(access: &Access, reach: Reach) -> Result<Source, Failure> {
    postgres::reach(access, reach).await?.source(reach).await
}

async fn ask_target(access: &Access, extensions: &[String]) -> Result<Target, Failure> {
    postgres::administer(access).await?.target(extensions).await
}

async fn run(job: &Job, world: &World<'_>) -> Run {
    let pod = world.children.all::<Pod>().into_iter().find(|pod| is_owned_by(pod, job));
    let step = step(job, pod.as_ref());
    let trouble = if step == Step::Done { None } else { job_trouble(job, world, PROGRAMS).await };
    Run { step, trouble, has_ended: has_ended(job) }
}

/// Whether a Job has succeeded or failed.
pub(super) fn has_ended(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        matches!(&*condition.type_, "Complete" | "Failed" | "FailureTarget") && condition.status == "True"
    })
}

/// How far a Job is, by its status and that of its pod.
fn step(job: &Job, pod: Option<&Pod>) -> Step {
    let status = job.status.as_ref();
    let containers = pod.and_then(|pod| pod.status.as_ref()?.init_container_statuses.clone()).unwrap_or_default();
    let find = |name: &str| containers.iter().find(|container| container.name == name);
    let conditions = status.and_then(|status| status.conditions.clone()).unwrap_or_default();
    let is_complete = conditions.iter().any(|condition| condition.type_ == "Complete" && condition.status == "True");
    if is_complete || find(COMPARE).is_some_and(has_succeeded) {
        return Step::Done;
    }
    let has_failed = has_ended(job) || status.and_then(|status| status.failed).unwrap_or_default() > 0;
    // The Job waits for the end of its pod, which an unreachable machine never reports.
    if has_failed || pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_some()) {
        return Step::Failed;
    }
    match find(COPY) {
        Some(copy) if has_succeeded(copy) => Step::Comparing,
        // Only a container that runs will copy: one that waits for a Secret must not keep the source closed.
        Some(ContainerStatus { state: Some(state), .. }) if state.running.is_some() || state.terminated.is_some() => {
            Step::Copying
        }
        _ => Step::Rehearsing,
    }
}

fn has_succeeded(container: &ContainerStatus) -> bool {
    let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.is_some_and(|ended| ended.exit_code == 0)
}

/// Whose data exist, and since when.
struct Marks<'a> {
    children: &'a Children,
    uid: Option<&'a str>,
    /// When the record was created.
    record: Option<Time>,
}

impl Marks<'_> {
    fn find<K: Resource<DynamicType = ()> + DeserializeOwned>(&self, name: &str) -> Option<Part> {
        let found: K = self.children.find(name)?;
        let is_own = found.annotations().get(annotation::OWNER).map(String::as_str) == self.uid;
        let mark = if is_own { Mark::Own } else { Mark::Other };
        Some(Part { mark, is_older: is_older(found.meta().creation_timestamp.as_ref(), self.record.as_ref()) })
    }

    fn embedded(&self, names: &Names) -> EmbeddedParts {
        EmbeddedParts {
            set: self.children.find::<StatefulSet>(&names.base).is_some(),
            pod: !self.children.pods_of(&names.base, 1).is_empty(),
            claim: self.find::<PersistentVolumeClaim>(&names.volume(0)),
            administrator: self.find::<Secret>(&administrator(names)),
        }
    }
}

/// Whether something was created before the record. What nobody knows of is not of this move.
fn is_older(part: Option<&Time>, record: Option<&Time>) -> bool {
    part.zip(record).is_none_or(|(part, record)| part.0 < record.0)
}

fn references<K: Resource<DynamicType = ()> + DeserializeOwned>(children: &Children) -> Vec<String> {
    children.all::<K>().iter().map(|child| format!("{}/{}", K::kind(&()), child.name_any())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::names::REHEARSE;

    fn step_of(status: &Value, states: &[Value]) -> Step {
        let job: Job = serde_json::from_value(json!({"status": status})).unwrap();
        step(&job, Some(&pod(states)))
    }

    /// A pod with these states of the containers that rehearse, copy and compare.
    fn pod(states: &[Value]) -> Pod {
        let containers = [REHEARSE, COPY, COMPARE].iter().zip(states).map(|(name, state)| {
            json!({"name": name, "state": state, "ready": false, "restartCount": 0, "image": "", "imageID": ""})
        });
        let containers: Vec<Value> = containers.collect();
        serde_json::from_value(json!({"status": {"initContainerStatuses": containers}})).unwrap()
    }

    #[test]
    fn step_is_that_of_the_running_container() {
        let (waits, ended) = (json!({"waiting": {}}), json!({"terminated": {"exitCode": 0}}));
        let (runs, broken) = (json!({"running": {}}), json!({"terminated": {"exitCode": 1}}));
        let active = json!({"active": 1});
        assert_eq!(step_of(&active, &[runs.clone(), waits.clone()]), Step::Rehearsing);
        assert_eq!(step_of(&active, &[ended.clone(), waits]), Step::Rehearsing, "it does not run yet");
        assert_eq!(step_of(&active, &[ended.clone(), runs]), Step::Copying);
        assert_eq!(step_of(&active, &[ended.clone(), broken]), Step::Copying);
        assert_eq!(step_of(&active, &[ended.clone(), ended.clone()]), Step::Comparing);
        let compared = [ended.clone(), ended.clone(), ended];
        assert_eq!(step_of(&active, &compared), Step::Done);
        assert_eq!(step_of(&json!({"failed": 1}), &compared), Step::Done, "it was analysing");
        let condition = |kind| json!({"conditions": [{"type": kind, "status": "True"}]});
        assert_eq!(step_of(&condition("Complete"), &[]), Step::Done);
        assert_eq!(step_of(&condition("Failed"), &[]), Step::Failed);
        assert_eq!(step_of(&json!({"failed": 1}), &[]), Step::Failed);
        assert_eq!(step(&Job::default(), None), Step::Rehearsing);
    }

    #[test]
    fn pod_that_is_being_deleted_has_failed() {
        let mut pod = pod(&[json!({"terminated": {"exitCode": 0}}), json!({"running": {}})]);
        pod.metadata.deletion_timestamp = Some(Time("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(step(&Job::default(), Some(&pod)), Step::Failed);
    }

    #[test]
    fn data_are_older_by_the_clock_of_the_api_server() {
        let at = |second: u8| Some(Time(format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()));
        let older = |part: Option<Time>, record: Option<Time>| is_older(part.as_ref(), record.as_ref());
        assert!(older(at(1), at(2)));
        assert!(!older(at(2), at(2)) && !older(at(3), at(2)));
        assert!(older(None, at(2)) && older(at(2), None), "nothing shows that they are of this move");
    }
}

//! What Jobs report about the version of an image, and what the server runs. Reads only.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{ContainerState, Pod, PodTemplateSpec},
};
use kube::ResourceExt;
use temporal_stack_common::{
    api::annotation,
    names::Names,
    readiness::{is_owned_by, job_trouble},
    world::World,
};

use super::moving::has_ended;
use crate::{
    names::{PROGRAMS, VERSION, version_prefix},
    observed::{Report, Template},
};

/// How many Jobs count: one for each image that was wanted lately.
const MOST: usize = 8;

/// The pod template that was applied last: another writer, such as a webhook, may have changed the image in the live one.
pub(crate) fn template_of_set(set: &StatefulSet) -> Option<Template> {
    let applied = set.annotations().get(annotation::APPLIED);
    let applied: Option<PodTemplateSpec> = applied.and_then(|applied| serde_json::from_str(applied).ok());
    let template = applied.or_else(|| set.spec.clone().map(|spec| spec.template))?;
    let annotations = template.metadata.unwrap_or_default().annotations.unwrap_or_default();
    let containers = template.spec?.containers;
    Some(Template {
        image: containers.into_iter().next()?.image?,
        roll: annotations.get(annotation::ROLL).cloned(),
        restart: annotations.get(annotation::RESTART).cloned(),
    })
}

/// The template by which a pod was created.
pub(super) fn template_of_pod(pod: &Pod) -> Option<Template> {
    let note = |key: &str| pod.annotations().get(key).cloned();
    let image = pod.spec.as_ref()?.containers.first()?.image.clone()?;
    Some(Template { image, roll: note(annotation::ROLL), restart: note(annotation::RESTART) })
}

/// Whether a container of the pod cannot start: then nothing is lost by another image.
pub(super) fn has_failed(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let of_init = status.and_then(|status| status.init_container_statuses.clone()).unwrap_or_default();
    let containers = status.and_then(|status| status.container_statuses.clone()).unwrap_or_default();
    let cannot_start = |state: ContainerState| {
        let waits = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
        let is_refused = waits.ends_with("BackOff") || waits.contains("Err") || waits == "InvalidImageName";
        is_refused || state.terminated.is_some_and(|ended| ended.exit_code != 0)
    };
    of_init.into_iter().chain(containers).filter_map(|container| container.state).any(cannot_start)
}

/// What the Jobs of an object report.
pub(super) async fn reports(names: &Names, uid: Option<&str>, world: &World<'_>) -> Vec<Report> {
    let prefix = version_prefix(names);
    let is_own = |job: &Job| {
        job.name_any().starts_with(&prefix)
            && job.owner_references().iter().any(|owner| Some(owner.uid.as_str()) == uid)
    };
    let mut reports = Vec::new();
    for job in world.children.all::<Job>().into_iter().filter(is_own).take(MOST) {
        let pod = world.children.all::<Pod>().into_iter().find(|pod| is_owned_by(pod, &job));
        let version = pod.as_ref().and_then(version);
        let is_lost = pod.is_none() && has_ended(&job);
        let trouble = if version.is_some() || is_lost { None } else { job_trouble(&job, world, PROGRAMS).await };
        reports.push(Report { job: job.name_any(), version, trouble, is_lost });
    }
    reports
}

/// The last words of the container.
fn version(pod: &Pod) -> Option<String> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let container = containers.iter().find(|container| container.name == VERSION)?;
    let ended = container.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code == 0)?;
    Some(ended.message.as_deref().unwrap_or_default().trim().to_owned())
}

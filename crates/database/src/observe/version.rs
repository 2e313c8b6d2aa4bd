//! What Jobs report about the version of an image. Reads only.

use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use temporal_stack_common::{api::annotation, names::Names, readiness::job_trouble, world::World};

use super::moving::{has_ended, is_of_job};
use crate::{
    names::{PROGRAMS, VERSION, version_prefix},
    observed::{Report, Template},
};

/// The pod template of a server.
pub(crate) fn template(set: &StatefulSet) -> Option<Template> {
    let template = &set.spec.as_ref()?.template;
    let notes = template.metadata.as_ref().and_then(|meta| meta.annotations.as_ref());
    let note = |key: &str| notes.and_then(|notes| notes.get(key)).cloned();
    Some(Template {
        image: template.spec.as_ref()?.containers.first()?.image.clone()?,
        roll: note(annotation::ROLL),
        restart: note(annotation::RESTART),
    })
}

/// What the Jobs of an object report.
pub(super) async fn reports(names: &Names, world: &World<'_>) -> Vec<Report> {
    let mut reports = Vec::new();
    let prefix = version_prefix(names);
    for job in world.children.all::<Job>().into_iter().filter(|job| job.name_any().starts_with(&prefix)) {
        let image = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()?.containers.first()?.image.clone());
        let Some(image) = image else { continue };
        let version = world.children.all::<Pod>().iter().filter(|pod| is_of_job(pod, &job)).find_map(version);
        let trouble = if version.is_some() { None } else { job_trouble(&job, world, PROGRAMS).await };
        reports.push(Report { image, version, trouble, has_ended: has_ended(&job) });
    }
    reports
}

/// The last words of the container.
fn version(pod: &Pod) -> Option<String> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let container = containers.iter().find(|container| container.name == VERSION)?;
    let ended = container.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code == 0)?;
    ended.message.as_ref().map(|message| message.trim().to_owned()).filter(|message| !message.is_empty())
}

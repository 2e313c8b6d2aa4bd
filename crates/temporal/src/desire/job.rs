//! Jobs: the migration, once for each image, and the accounts in the spec.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::workload;

use super::pod;
use crate::{
    decide::{accounts::Admin, view::View},
    names::{ACCOUNT, MIGRATION},
    role::DEFAULT_RESOURCES,
};

/// The servers of the stack use no TLS within the cluster; these commands of the program do not detect that by themselves.
const FLAGS: &[&str] = &["-db.no_ssl"];
/// It is retried until it succeeds: the database may be unavailable for a while.
const RETRIES: i32 = i32::MAX;

/// Creates the tables.
pub(super) fn migration(view: &View<'_>) -> Job {
    run(view, view.migration.clone(), MIGRATION, &["migrate"])
}

/// Creates an account. The Job reads its Secret by itself.
pub(super) fn account(view: &View<'_>, admin: &Admin<'_>) -> Job {
    let words = ["user", "$(ACCOUNT_USERNAME)", "$(ACCOUNT_PASSWORD)", "$(ACCOUNT_EMAIL)"];
    let mut job = run(view, admin.job.clone(), ACCOUNT, &words);
    let pod = job.spec.as_mut().and_then(|spec| spec.template.spec.as_mut());
    if let Some(container) = pod.and_then(|pod| pod.containers.first_mut()) {
        let variables =
            [("ACCOUNT_USERNAME", "username"), ("ACCOUNT_PASSWORD", "password"), ("ACCOUNT_EMAIL", "email")];
        container.env = Some(variables.map(|(name, key)| workload::of_secret(name, admin.secret, key)).to_vec());
    }
    job
}

fn run(view: &View<'_>, name: String, role: &str, command: &[&str]) -> Job {
    // It has no separate field, and runs the same program as the API.
    let resources = &view.spec.api.resources;
    let command = [FLAGS, command].concat();
    let container = pod::temporal(view, role, &command, &view.names.environment, (resources, DEFAULT_RESOURCES));
    let pods = pod::pods(view, role);
    let mut spec = pod::spec(&pods, vec![container]);
    spec.restart_policy = Some("OnFailure".to_owned());
    spec.init_containers = Some(vec![pod::wait_container(view, &pod::database_target(view), resources)]);
    Job {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            template: PodTemplateSpec {
                metadata: Some(pods.meta(view.names.pods(role), BTreeMap::new())),
                spec: Some(spec),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

//! Runs of the program that end: the migration, once for each image, and the accounts that the spec wants.

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::json;
use temporal_stack_common::{api::Temporal, manifest::hash, workload::Usual};

use super::pod;
use crate::{
    Defaults,
    access::Database,
    names,
    observe::{Admin, Observed},
};

/// What a run gets.
const USUAL: Usual = Usual { cpu: "5m", memory: "32Mi", memory_limit: "256Mi" };
/// The servers of the stack speak without TLS within the cluster; of the program's commands, these do not find that out by
/// themselves.
const FLAGS: [&str; 1] = ["-db.no_ssl"];
/// It is run again until it ends well: the database may be away for a while.
const AGAIN_AND_AGAIN: i32 = i32::MAX;

/// The Job that makes the tables for an image, in a database. Another request for a restart runs it again.
pub(crate) fn migration_name(
    object: &Temporal,
    image: &str,
    database: Option<&Database>,
    restart: Option<&str>,
) -> String {
    let place = database.map(|database| (&database.host, database.port));
    names::child(object, &format!("migrate-{}", &hash(&json!([image, place, restart]))[..10]))
}

/// Whether a Job makes an account.
pub(super) fn is_account(object: &Temporal, name: &str) -> bool {
    name.starts_with(&names::child(object, "account-"))
}

/// The Job that makes the account which a Secret describes.
pub(crate) fn account_name(object: &Temporal, secret: &str) -> String {
    names::child(object, &format!("account-{}", &hash(&json!(secret))[..10]))
}

/// Makes the tables.
pub(super) fn migration(object: &Temporal, observed: &Observed, defaults: &Defaults) -> Job {
    let database = observed.database.access.as_ref();
    let name = migration_name(object, &observed.image, database, observed.restart.as_deref());
    run(name, "migrate", &["migrate"], object, observed, defaults)
}

/// Makes the accounts that are not there yet. Each stays until it has ended and its account has the rights that are due to it:
/// it is how the controller knows that it made it.
pub(super) fn accounts(object: &Temporal, observed: &Observed, defaults: &Defaults) -> Vec<Job> {
    let Ok(found) = &observed.tables else { return Vec::new() };
    let is_due = |admin: &&Admin| {
        admin
            .username
            .as_ref()
            .is_ok_and(|name| !found.accounts.contains(name) || (admin.run.is_some() && !found.admins.contains(name)))
    };
    let missing = observed.admins.iter().filter(is_due);
    missing
        .map(|admin| {
            let name = account_name(object, &admin.secret);
            let words = ["user", "$(ACCOUNT_USERNAME)", "$(ACCOUNT_PASSWORD)", "$(ACCOUNT_EMAIL)"];
            let mut job = run(name, "account", &words, object, observed, defaults);
            let pod = job.spec.as_mut().and_then(|spec| spec.template.spec.as_mut());
            if let Some(container) = pod.and_then(|pod| pod.containers.first_mut()) {
                let of_secret = |name: &str, key: &str| pod::of_secret(name, &admin.secret, key);
                container.env = Some(vec![
                    of_secret("ACCOUNT_USERNAME", "username"),
                    of_secret("ACCOUNT_PASSWORD", "password"),
                    of_secret("ACCOUNT_EMAIL", "email"),
                ]);
            }
            job
        })
        .collect()
}

fn run(name: String, role: &str, command: &[&str], object: &Temporal, observed: &Observed, defaults: &Defaults) -> Job {
    // It has no field of its own, and is the program that the API is.
    let limits = (&object.spec.api.resources, USUAL);
    let container = pod::temporal(role, observed, &FLAGS, command, names::environment(object), limits);
    let mut spec = pod::spec(object, role, vec![container]);
    spec.restart_policy = Some("OnFailure".to_owned());
    let database = pod::targets(object, observed, false, false).into_iter().take(1).collect::<Vec<_>>();
    spec.init_containers = Some(vec![pod::wait(defaults, &database, &object.spec.api.resources)]);
    let labels = pod::selector(object, role);
    Job {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        spec: Some(JobSpec {
            backoff_limit: Some(AGAIN_AND_AGAIN),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(pod::mesh()),
                    ..ObjectMeta::default()
                }),
                spec: Some(spec),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

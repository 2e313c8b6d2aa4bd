//! The Job that reports the version of an image, before the server restarts with it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::json;
use temporal_stack_common::{
    manifest::hash,
    workload::{DefaultResources, Pods, container, helper_resources, resources},
};

use super::stateful_set::POSTGRES;
use crate::{
    decide::view::{EmbeddedView, View},
    names::{VERSION, version_prefix, version_selector},
};

/// How long the pod may take to end, in seconds.
const GRACE: i64 = 10;
/// It is repeated until it succeeds: a registry may be unavailable for a while.
const RETRIES: i32 = i32::MAX;
/// How many characters of the hash tell Jobs apart.
const HASH: usize = 6;
const DEFAULT_RESOURCES: DefaultResources = DefaultResources { cpu: "10m", memory: "32Mi", memory_limit: "64Mi" };

/// The Job. Its pods cannot change, so it has a name of its own for each image, and for each change of how they run.
pub(super) fn job(view: &View<'_>, embedded: &EmbeddedView<'_>, image: &str) -> Job {
    let names = &view.names;
    let pods = Pods::new(embedded.account.clone(), version_selector(names), &view.object.spec.pods);
    let container = Container {
        command: Some(["sh", "-c", include_str!("version.sh")].map(str::to_owned).to_vec()),
        ..container(VERSION, image, resources(&helper_resources(&embedded.provider.resources), DEFAULT_RESOURCES))
    };
    let template = PodTemplateSpec {
        metadata: Some(pods.meta(version_selector(names), BTreeMap::new())),
        spec: Some(PodSpec {
            restart_policy: Some("OnFailure".to_owned()),
            containers: vec![container],
            ..pods.spec(POSTGRES, GRACE)
        }),
    };
    let hash: String = hash(&json!(template)).chars().take(HASH).collect();
    Job {
        metadata: ObjectMeta { name: Some(format!("{}{hash}", version_prefix(names))), ..ObjectMeta::default() },
        spec: Some(JobSpec { backoff_limit: Some(RETRIES), template, ..JobSpec::default() }),
        ..Job::default()
    }
}

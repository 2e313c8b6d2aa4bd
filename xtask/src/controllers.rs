//! The controllers of the workspace: what is generated from each, and how it is called.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use kube::api::ApiResource;
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, MessageQueue, PostgresDatabase};
use temporal_stack_common::component::{Child, Component};
use temporal_stack_common::driver;
use temporal_stack_database::Database;
use temporal_stack_ipfs::Ipfs;
use temporal_stack_queue::Queue;

/// The namespace that the controllers live in.
pub const NAMESPACE: &str = "temporal-stack-system";

/// One controller.
#[derive(Debug, Clone, Copy)]
pub struct Controller {
    /// Its component's name: the folder of its manifests.
    pub name: &'static str,
    /// What its image, its Deployment and its ServiceAccount are called.
    pub program: &'static str,
    /// The kind that it owns.
    pub crd: fn() -> CustomResourceDefinition,
    /// What it must be permitted.
    pub rules: fn() -> Vec<PolicyRule>,
    /// Images that it gives to pods, by the variable that names the default.
    pub images: &'static [(&'static str, &'static str)],
    /// The spec of an object to measure it with.
    pub sample: fn() -> Value,
    /// The kind of child that it is there for.
    pub workload: fn() -> ApiResource,
    /// The kinds that it makes.
    pub kept: fn() -> Vec<ApiResource>,
}

/// All controllers.
pub const ALL: &[Controller] = &[
    Controller {
        name: "database",
        program: "database-controller",
        crd: PostgresDatabase::crd,
        rules: driver::rules::<Database>,
        images: &[("RELATED_IMAGE_POSTGRES", "postgres")],
        sample: || json!({}),
        workload: || ApiResource::erase::<StatefulSet>(&()),
        kept: kept::<Database>,
    },
    Controller {
        name: "queue",
        program: "queue-controller",
        crd: MessageQueue::crd,
        rules: driver::rules::<Queue>,
        images: &[("RELATED_IMAGE_RABBITMQ", "rabbitmq")],
        sample: || json!({}),
        workload: || ApiResource::erase::<StatefulSet>(&()),
        kept: kept::<Queue>,
    },
    Controller {
        name: "ipfs",
        program: "ipfs-controller",
        crd: IpfsCluster::crd,
        rules: driver::rules::<Ipfs>,
        images: &[("RELATED_IMAGE_KUBO", "kubo"), ("RELATED_IMAGE_IPFS_CLUSTER", "ipfs-cluster")],
        sample: || json!({}),
        workload: || ApiResource::erase::<StatefulSet>(&()),
        kept: kept::<Ipfs>,
    },
];

fn kept<C: Component>() -> Vec<ApiResource> {
    C::children().into_iter().filter(Child::is_kept).map(|child| child.resource).collect()
}

/// The controllers of these names, or all when there are none.
pub fn named(names: &[String]) -> anyhow::Result<Vec<&'static Controller>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        let known = || ALL.iter().map(|controller| controller.name).collect::<Vec<_>>().join(", ");
        let found = ALL.iter().find(|controller| controller.name == name || controller.program == name);
        found.ok_or_else(|| anyhow::anyhow!("there is no controller {name}; there are: {}", known()))
    };
    names.iter().map(find).collect()
}

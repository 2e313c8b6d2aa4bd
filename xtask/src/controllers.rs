//! The controllers of the workspace: what is generated from each, and its names.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use kube::api::ApiResource;
use serde_json::{Value, json};
use temporal_stack_common::api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};
use temporal_stack_common::component::Component;
use temporal_stack_common::driver;
use temporal_stack_common::watches::Child;
use temporal_stack_database::Database;
use temporal_stack_ipfs::Ipfs;
use temporal_stack_mesh::LinkerdMesh;
use temporal_stack_queue::Queue;
use temporal_stack_storage::Storage;
use temporal_stack_temporal::Application;

/// The namespace of the controllers.
pub const NAMESPACE: &str = "temporal-stack-system";

/// One controller.
#[derive(Debug, Clone, Copy)]
pub struct Controller {
    /// Its component's name: the folder of its manifests.
    pub name: &'static str,
    /// The name of its image, its Deployment and its ServiceAccount.
    pub program: &'static str,
    /// The kind that it owns.
    pub crd: fn() -> CustomResourceDefinition,
    /// The permissions that it needs.
    pub rules: fn() -> Vec<PolicyRule>,
    /// Images that it gives to pods, by the variable that names the default.
    pub images: &'static [(&'static str, &'static str)],
    /// Those of them that are built only when an object has the provider of that name; the first is the default provider.
    pub on_demand: &'static [&'static str],
    /// The spec of an object to measure it with.
    pub sample: fn() -> Value,
    /// The kind of its main child.
    pub workload: fn() -> ApiResource,
    /// The kinds that it creates.
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
        on_demand: &[],
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
        on_demand: &[],
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
        on_demand: &[],
        sample: || json!({}),
        workload: || ApiResource::erase::<StatefulSet>(&()),
        kept: kept::<Ipfs>,
    },
    Controller {
        name: "storage",
        program: "storage-controller",
        crd: ObjectStorage::crd,
        rules: driver::rules::<Storage>,
        images: &[("RELATED_IMAGE_MINIO", "minio"), ("RELATED_IMAGE_VERSITY", "versity")],
        on_demand: &["minio", "versity"],
        sample: || json!({"buckets": [{"name": "bench"}]}),
        workload: || ApiResource::erase::<StatefulSet>(&()),
        kept: kept::<Storage>,
    },
    Controller {
        name: "mesh",
        program: "mesh-controller",
        crd: Mesh::crd,
        rules: driver::rules::<LinkerdMesh>,
        images: &[],
        on_demand: &[],
        sample: || json!({}),
        // Without Linkerd it creates nothing.
        workload: || ApiResource::erase::<Mesh>(&()),
        kept: kept::<LinkerdMesh>,
    },
    Controller {
        name: "temporal",
        program: "temporal-controller",
        crd: Temporal::crd,
        rules: driver::rules::<Application>,
        images: &[("RELATED_IMAGE_TEMPORAL", "temporal-stand-in"), ("RELATED_IMAGE_BRIDGE", "bridge")],
        on_demand: &[],
        sample: || json!({}),
        // Its workloads come after its dependencies; this is created at once.
        workload: || ApiResource::erase::<NetworkPolicy>(&()),
        kept: kept::<Application>,
    },
];

fn kept<C: Component>() -> Vec<ApiResource> {
    C::watches().children.into_iter().filter(Child::is_owned).map(|child| child.resource).collect()
}

/// The controllers of these names, or all if none is given.
pub fn named(names: &[String]) -> anyhow::Result<Vec<&'static Controller>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        let known = || ALL.iter().map(|controller| controller.name).collect::<Vec<_>>().join(", ");
        let found = ALL.iter().find(|controller| controller.name == name || controller.program == name);
        found.ok_or_else(|| anyhow::anyhow!("unknown controller {name}; use one of: {}", known()))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::manifest;

    use super::*;
    use crate::place;

    /// The containers of the controllers' Deployments.
    fn containers() -> Vec<(&'static Controller, Value)> {
        let container = |controller: &'static Controller| {
            let folder = place::workspace().join("deploy/controllers").join(controller.name);
            let text = std::fs::read_to_string(folder.join("deployment.yaml")).unwrap();
            let deployment: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(deployment["spec"]["replicas"], 1, "{}", controller.name);
            (controller, deployment["spec"]["template"]["spec"]["containers"][0].clone())
        };
        ALL.iter().map(container).collect()
    }

    #[test]
    fn deployment_names_the_images_of_its_controllers_pods() {
        for (controller, container) in containers() {
            let variables =
                container["env"].as_array().unwrap().iter().filter_map(|variable| variable["name"].as_str());
            let named: Vec<&str> = variables.filter(|name| name.starts_with("RELATED_IMAGE_")).collect();
            let given: Vec<&str> = controller.images.iter().map(|(variable, _)| *variable).collect();
            assert_eq!(named, given, "{}", controller.name);
        }
    }

    /// The whole stack is to fit into one processor and 4 GiB: what takes care of it must be a small part of that.
    #[test]
    fn all_controllers_request_100m_cpu_and_256_mebibytes() {
        let (mut processor, mut memory) = (0, 0);
        for (_, container) in containers() {
            let requests = &container["resources"]["requests"];
            let millis = requests["cpu"].as_str().and_then(|cpu| cpu.strip_suffix('m')).unwrap();
            processor += millis.parse::<u64>().unwrap();
            memory += manifest::bytes(requests["memory"].as_str().unwrap()).unwrap();
        }
        assert!(processor <= 100, "{processor}m");
        assert!(memory <= 256 << 20, "{memory} bytes");
    }
}

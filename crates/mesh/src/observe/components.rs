//! The components of the namespace, and their pods.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
    core::v1,
};
use kube::{ResourceExt, api::ApiResource};
use temporal_stack_common::{
    api::{
        ComponentKind, ComponentReference, IpfsCluster, Kind, MessageQueue, ObjectStorage, PodSettings,
        PostgresDatabase, Status, Temporal, annotation,
    },
    condition,
    hand::Target,
    surroundings::{Around, Place},
    world::World,
};

use crate::{
    linkerd::{pod::Pod, workload::Workload},
    names::{INJECT, SETTINGS},
    observed::Component,
    stack::Component as Shape,
};

/// The most components of a namespace that are looked at.
const MOST: usize = 64;
/// How many workloads may be between a pod and its component: a `ReplicaSet` and its Deployment.
const LONGEST_CHAIN: usize = 3;

/// The components with their pods, in the order in which they are restarted.
pub(crate) fn observe(world: &World<'_>) -> Vec<Component> {
    let mut components = Vec::new();
    add::<PostgresDatabase>(
        &mut components,
        world,
        ComponentKind::PostgresDatabase,
        |object| &object.spec.pods,
        Shape::database,
    );
    add::<MessageQueue>(&mut components, world, ComponentKind::MessageQueue, |object| &object.spec.pods, Shape::queue);
    add::<IpfsCluster>(&mut components, world, ComponentKind::IpfsCluster, |object| &object.spec.pods, Shape::ipfs);
    add::<ObjectStorage>(
        &mut components,
        world,
        ComponentKind::ObjectStorage,
        |object| &object.spec.pods,
        Shape::storage,
    );
    add::<Temporal>(
        &mut components,
        world,
        ComponentKind::Temporal,
        |object| &object.spec.pods,
        |object| Some(Shape::temporal(object)),
    );
    components.truncate(MOST);
    let owners = owners(world);
    let by_uid: HashMap<String, usize> =
        components.iter().enumerate().map(|(index, component)| (component.target.uid.clone(), index)).collect();
    let pods = world.around::<v1::Pod>(Place::Served);
    for pod in pods.objects().iter().filter_map(|object| Pod::kept(object)).filter(|pod| !pod.has_ended) {
        if let Some(index) = root(&pod, &owners, &by_uid) {
            components[index].pods.push(pod);
        }
    }
    components
}

/// Adds the objects of a kind, with the field that has the settings of their pods, and their parts and ports.
fn add<K: Kind>(
    components: &mut Vec<Component>,
    world: &World<'_>,
    kind: ComponentKind,
    pods: fn(&K) -> &PodSettings,
    shape: fn(&K) -> Option<Shape>,
) {
    for object in world.neighbours::<K>().unwrap_or_default() {
        let is_ours = |key: &&String| key.as_str() == INJECT || SETTINGS.contains(&key.as_str());
        let annotations = pods(&object).annotations.iter().filter(|(key, _)| is_ours(key));
        let annotations: BTreeMap<String, String> =
            annotations.map(|(key, value)| (key.clone(), value.clone())).collect();
        let conditions = object.status().map(|status| status.conditions().to_vec()).unwrap_or_default();
        components.push(Component {
            reference: ComponentReference { kind, name: object.name_any() },
            target: Target {
                resource: ApiResource::erase::<K>(&()),
                namespace: object.namespace(),
                name: object.name_any(),
                uid: object.uid().unwrap_or_default(),
            },
            is_ready: condition::is_ready(&conditions, object.meta().generation),
            is_leaving: object.meta().deletion_timestamp.is_some(),
            restart: object.annotations().get(annotation::RESTART).cloned(),
            annotations,
            shape: shape(&object),
            pods: Vec::new(),
        });
    }
}

/// The UID of the controller of each workload, by its own UID.
fn owners(world: &World<'_>) -> HashMap<String, String> {
    let kinds = [
        world.around::<StatefulSet>(Place::Served),
        world.around::<Deployment>(Place::Served),
        world.around::<ReplicaSet>(Place::Served),
        world.around::<Job>(Place::Served),
    ];
    let workloads = kinds.iter().flat_map(Around::objects).filter_map(|object| Workload::kept(object));
    workloads.filter_map(|workload| Some((workload.uid, workload.owner?))).collect()
}

/// The component to which the owners of a pod lead. Labels prove nothing.
fn root(pod: &Pod, owners: &HashMap<String, String>, components: &HashMap<String, usize>) -> Option<usize> {
    let mut owner = pod.owner.as_ref()?;
    for _ in 0..LONGEST_CHAIN {
        if let Some(index) = components.get(owner) {
            return Some(*index);
        }
        owner = owners.get(owner)?;
    }
    components.get(owner).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_belongs_to_the_component_to_which_its_owners_lead() {
        let owners = [("replicas", "deployment"), ("deployment", "temporal"), ("circle", "circle")];
        let owners = owners.map(|(uid, owner)| (uid.to_owned(), owner.to_owned())).into();
        let components = HashMap::from([("temporal".to_owned(), 7)]);
        let root = |owner: Option<&str>| {
            let pod = Pod { owner: owner.map(str::to_owned), ..Pod::default() };
            root(&pod, &owners, &components)
        };
        assert_eq!(root(Some("replicas")), Some(7));
        assert_eq!(root(Some("temporal")), Some(7));
        assert_eq!(root(Some("circle")), None);
        assert_eq!(root(Some("stranger")), None);
        assert_eq!(root(None), None);
    }
}

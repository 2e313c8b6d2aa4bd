//! Each controller is of use without the kinds of the others: on an API server of the test's own, where nothing else is installed and
//! no controllers of Kubernetes run.

use anyhow::{Result, ensure};
use e2e::{
    Controller, Identity, One, Space, Subject,
    linkerd::{self, INJECT, Setup},
    plane::Plane,
    prepare::{install_kinds, install_storage_classes},
    siblings::{Bindings, ask},
    until, until_gone, with_namespace,
};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, CustomResourceExt as _, ResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, Mesh, MessageQueue, ObjectStorage, PostgresDatabase, Temporal};

/// Removes kinds, and waits until they are gone.
async fn remove_kinds(space: &Space, names: &[&str]) -> Result<()> {
    let kinds = Api::<CustomResourceDefinition>::all(space.client.clone());
    for name in names {
        kinds.delete(name, &DeleteParams::default()).await?;
        until_gone(&kinds, name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn mesh_is_verified_without_the_kinds_of_components() {
    let plane = Plane::start().await.expect("an API server of its own");
    with_namespace(&plane.cluster, async |space| {
        let components = [
            PostgresDatabase::crd_name(),
            MessageQueue::crd_name(),
            IpfsCluster::crd_name(),
            ObjectStorage::crd_name(),
            Temporal::crd_name(),
        ];
        remove_kinds(space, &components).await?;
        let identity = Identity::of_cluster::<Mesh>(space).await?;
        let controller = Controller::start_as(space, &identity).await?;
        controller.leads().await?;
        let mesh: One<'_, Mesh> = space.one();
        mesh.create(&json!({"policy": "Audit"})).await?;
        mesh.condition("MeshInstalled", "False", "NotInstalled").await?;

        linkerd::bare(&space.client).install_bare(&Setup::recorded()).await?;
        mesh.condition("MeshInstalled", "True", "AsExpected").await?;
        mesh.condition("Injected", "True", "AsExpected").await?;
        mesh.ready().await?;
        let namespaces = Api::<Namespace>::all(space.client.clone());
        ensure!(namespaces.get(&space.name).await?.annotations().contains_key(INJECT), "no annotation");

        // Components that come later have policies without a restart of the controller.
        install_kinds(&space.client).await?;
        space.one::<PostgresDatabase>().create(&json!({})).await?;
        e2e::turns("the database has a policy", async || Ok(!super::policies::found(space).await?.is_empty())).await
    })
    .await;
}

/// Starts a controller, and waits until it has made what it makes first.
async fn makes_a_set<K: Subject>(space: &Space) -> Result<()> {
    let _controller = Controller::start::<K>(space).await?;
    space.one::<K>().create(&K::embedded()).await?;
    until(&space.api::<StatefulSet>(), &K::set(), "been made", |_| true).await.map(drop)
}

#[tokio::test]
async fn components_are_made_without_the_kinds_of_linkerd_and_mesh() {
    let plane = Plane::start().await.expect("an API server of its own");
    with_namespace(&plane.cluster, async |space| {
        install_storage_classes(&space.client).await?;
        remove_kinds(space, &[Mesh::crd_name()]).await?;
        makes_a_set::<PostgresDatabase>(space).await?;
        makes_a_set::<MessageQueue>(space).await?;
        makes_a_set::<IpfsCluster>(space).await?;
        makes_a_set::<ObjectStorage>(space).await?;
        let _controller = Controller::start::<Temporal>(space).await?;
        ask(space, "alone", Bindings::to_nobody()).await?;
        let waits = |object: &Temporal| e2e::subject::says(object, "Reconciling", "True", "BrokerUnreachable");
        until(&space.api::<Temporal>(), "alone", "nothing to wait for but products", waits).await?;
        Ok(())
    })
    .await;
}

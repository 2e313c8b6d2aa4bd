//! The process ends before and after each of its writes in turn, and nobody can tell afterwards.

use anyhow::{Result, ensure};
use e2e::{
    Controller, Identity, Subject as _,
    linkerd::{self, INJECT, Shared},
    prepare::api_server,
    subject::NAME,
    with_namespace,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, Mesh, PostgresDatabase};

use super::Meshes;
use crate::crash::ended_at_each_write;

/// The policies of the namespace, by kind and name.
async fn policies(mesh: &Meshes<'_>) -> Result<Vec<String>> {
    let kinds = [
        ("v1beta3", "Server"),
        ("v1alpha1", "AuthorizationPolicy"),
        ("v1alpha1", "MeshTLSAuthentication"),
        ("v1alpha1", "NetworkAuthentication"),
    ];
    let mut all = Vec::new();
    for (version, kind) in kinds {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("policy.linkerd.io", version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(mesh.client.clone(), &mesh.name, &resource);
        let found = api.list(&ListParams::default()).await?.items;
        all.extend(found.iter().map(|object| format!("{kind}/{} {}", object.name_any(), object.data["spec"])));
    }
    Ok(all)
}

#[tokio::test]
async fn crash_around_each_write_leaves_the_same_mesh() {
    let cluster = api_server().await.expect("an API server");
    let _linkerd: Shared = linkerd::shared(&cluster).await.expect("Linkerd");
    let run = async |is_disturbed: bool| {
        let mut found = Vec::new();
        let found_here = &mut found;
        with_namespace(&cluster, async |space| {
            let identity = Identity::of_cluster::<Mesh>(space).await?;
            let mesh = space.one::<Mesh>();
            mesh.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
            mesh.one::<IpfsCluster>().create(&IpfsCluster::embedded()).await?;
            mesh.create(&json!({"policy": "Audit"})).await?;
            if is_disturbed {
                let ends = ended_at_each_write(space, &identity).await?;
                println!("making a Mesh: ended {ends} times");
                ensure!(ends > 3, "there were hardly any writes");
            }
            let controller = Controller::start_as(space, &identity).await?;
            controller.leads().await?;
            mesh.ready().await?;
            *found_here = policies(&mesh).await?;
            mesh.objects().delete(NAME, &DeleteParams::default()).await?;
            e2e::until_gone(&mesh.objects(), NAME).await?;
            let namespace = Api::<Namespace>::all(mesh.client.clone()).get(&mesh.name).await?;
            ensure!(!namespace.annotations().contains_key(INJECT), "the annotation was left");
            Ok(())
        })
        .await;
        found
    };
    let (disturbed, undisturbed) = (run(true).await, run(false).await);
    assert!(disturbed.len() > 5, "{disturbed:?}");
    assert_eq!(disturbed, undisturbed);
}

//! The chart on a real API server: installed, upgraded from an older version and uninstalled, while a controller works with the
//! rights that the chart gives it. What users have stays.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Cluster, Controller, Identity, Space, Subject as _, existing,
    helm::{chart, helm},
    plane::Plane,
    prepare::{install_storage_classes, until_established},
    until, with_namespace,
};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::Secret,
        rbac::v1::{ClusterRole, Role},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::{Value, json};
use temporal_stack_common::api::{PostgresDatabase, label};

const HOME: &str = "stack-home";
const KIND: &str = "postgresdatabases.temporal-stack.dev";

/// Helm on this cluster, with the values of a release for one namespace.
async fn release(cluster: &Cluster, arguments: &[&str], space: Option<&Space>) -> Result<String> {
    let kubeconfig = cluster.kubeconfig().to_str().context("the path is not text")?;
    let served = space.map(|space| format!("watch.namespaces={{{}}}", space.name));
    let mut all = [arguments, &["--namespace", HOME, "--kubeconfig", kubeconfig]].concat();
    if let Some(served) = &served {
        all.extend(["--create-namespace", "--set", "controllers.mesh.enabled=false", "--set", served.as_str()]);
    }
    helm(&all).await
}

/// A copy of the chart as an older version: with its number, and with a kind that lacks its columns.
fn older(folder: &Path) -> Result<PathBuf> {
    let old = folder.join("older");
    copy(&chart(), &old)?;
    let metadata = old.join("Chart.yaml");
    let text = std::fs::read_to_string(&metadata)?;
    let number = |line: &str| if line.starts_with("version:") { "version: 0.0.1".to_owned() } else { line.to_owned() };
    std::fs::write(metadata, text.lines().map(number).collect::<Vec<_>>().join("\n"))?;
    let file = old.join("files/crds/database.yaml");
    let mut kind: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file)?)?;
    kind["spec"]["versions"][0]["additionalPrinterColumns"] = json!([]);
    std::fs::write(file, kind.to_string())?;
    Ok(old)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// How many columns the kind prints.
async fn columns(space: &Space) -> Result<usize> {
    let kind = Api::<CustomResourceDefinition>::all(space.client.clone()).get(KIND).await?;
    Ok(kind.spec.versions[0].additional_printer_columns.iter().flatten().count())
}

/// The UIDs of the object and of its data.
async fn kept(space: &Space) -> Result<Vec<String>> {
    let data = ListParams::default().labels(&format!("{}=true", label::DATA));
    let secrets = space.api::<Secret>().list(&data).await?;
    ensure!(!secrets.items.is_empty(), "there are no data");
    let mut all: Vec<String> = secrets.items.iter().filter_map(Secret::uid).collect();
    all.extend(space.one::<PostgresDatabase>().get().await?.uid());
    all.sort();
    Ok(all)
}

/// Runs the installed controller until it has made what an object needs.
async fn works(space: &Space) -> Result<()> {
    let home = existing::of(&space.cluster, HOME).await?;
    let identity = Identity::installed::<PostgresDatabase>(&home).await?;
    let controller = Controller::start_as(space, &identity).await?;
    controller.leads().await?;
    until(&space.api::<StatefulSet>(), &PostgresDatabase::set(), "made by the installed controller", |_| true)
        .await
        .map(drop)
}

async fn installed_upgraded_and_uninstalled(space: &Space) -> Result<()> {
    let (old, new) = (older(&space.folder)?, chart());
    let (old, new) = (old.to_str().context("a path")?, new.to_str().context("a path")?);
    release(&space.cluster, &["install", "stack", old], Some(space)).await?;
    assert_eq!(columns(space).await?, 0);
    until_established(&Api::all(space.client.clone()), KIND).await?;
    space.one::<PostgresDatabase>().create(&PostgresDatabase::embedded()).await?;
    works(space).await?;
    let before = kept(space).await?;

    release(&space.cluster, &["upgrade", "stack", new], Some(space)).await?;
    assert!(columns(space).await? > 0, "the kind was not upgraded");
    assert_eq!(kept(space).await?, before);
    works(space).await?;

    release(&space.cluster, &["uninstall", "stack"], None).await?;
    assert_eq!(kept(space).await?, before);
    assert!(columns(space).await? > 0);
    let all = ListParams::default();
    assert!(space.api::<Role>().list(&all).await?.items.is_empty());
    assert!(Api::<Deployment>::namespaced(space.client.clone(), HOME).list(&all).await?.items.is_empty());
    let ours = all.labels("app.kubernetes.io/part-of=temporal-stack");
    assert!(Api::<ClusterRole>::all(space.client.clone()).list(&ours).await?.items.is_empty());

    // The same release finds its kinds again, and the controller the object.
    release(&space.cluster, &["install", "stack", new], Some(space)).await?;
    works(space).await?;
    assert_eq!(kept(space).await?, before);
    Ok(())
}

#[tokio::test]
async fn upgrade_and_uninstall_of_the_chart_keep_objects_and_data() -> Result<()> {
    let plane = Plane::without_kinds().await?;
    install_storage_classes(&plane.cluster.client().await?).await?;
    with_namespace(&plane.cluster, installed_upgraded_and_uninstalled).await;
    Ok(())
}

#[tokio::test]
async fn second_release_leaves_the_kinds_to_the_first() -> Result<()> {
    let plane = Plane::without_kinds().await?;
    with_namespace(&plane.cluster, async |space| {
        let chart = chart();
        let chart = chart.to_str().context("a path")?;
        release(&plane.cluster, &["install", "stack", chart], Some(space)).await?;
        let kubeconfig = plane.cluster.kubeconfig().to_str().context("a path")?;
        let second = ["install", "second", chart, "--namespace", "second-home", "--create-namespace"];
        let values = ["--set", "controllers.mesh.enabled=false", "--set", "watch.namespaces={default}"];
        let second = [&second[..], &["--kubeconfig", kubeconfig]].concat();
        let refused = helm(&[&second[..], &values].concat()).await;
        let refused = refused.err().context("two releases own the kinds")?.to_string();
        ensure!(refused.contains("cannot be imported into the current release"), "{refused}");
        let values = [&values[..], &["--set", "crds.install=false,userRoles.create=false"]].concat();
        helm(&[&second[..], &values].concat()).await?;
        Ok(())
    })
    .await;
    Ok(())
}

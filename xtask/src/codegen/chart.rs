//! The Helm chart in `deploy/chart`: values from [types](values), defaults from `deploy/controllers`, CRDs and permissions from the
//! controllers. The templates are written by hand; a test compares what they render with the manifests.

mod comments;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Serialize;
use serde_json::{Value, json};
use temporal_stack_common::driver::{self, is_cluster_wide};

use self::values::{Controllers, Crds, Image, Images, Monitoring, NetworkPolicy, UserRoles, Values, Watch};
use super::{HEADER, roles, yaml};
use crate::controllers::{self, Controller};

/// The namespace, with `/`, of the stack's own images in the manifests.
const OURS: &str = "temporal-stack/";
/// The annotation with which Helm keeps an object that is no longer in a release.
const KEEP: (&str, &str) = ("helm.sh/resource-policy", "keep");

/// What the templates must know of a controller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: &'static str,
    program: &'static str,
    group: String,
    plural: String,
    needs_the_cluster: bool,
    images: Vec<ProductImage>,
}

/// The variable with a product's image, and its key in the values.
#[derive(Serialize)]
struct ProductImage {
    variable: &'static str,
    value: String,
}

/// The rules of a controller, by where they are granted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    namespaced: Vec<PolicyRule>,
    cluster_wide: Vec<PolicyRule>,
    lease: Vec<PolicyRule>,
}

/// All generated files of the chart and their content.
pub(super) fn files(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let chart = root.join("deploy/chart");
    let values = defaults(root)?;
    let schema = comments::schema::<Values>()?;
    let mut files = BTreeMap::new();
    files.insert(chart.join("Chart.yaml"), metadata());
    files.insert(chart.join("values.yaml"), comments::values(&values, &schema)?);
    files.insert(chart.join("values.schema.json"), format!("{}\n", serde_json::to_string_pretty(&schema)?));
    let readme = chart.join("README.md");
    if let Ok(text) = std::fs::read_to_string(&readme) {
        files.insert(readme, comments::put(&text, &values, &schema)?);
    }
    files.insert(chart.join("files/controllers.yaml"), document(&json!({ "controllers": entries() }))?);
    for controller in controllers::ALL {
        let file = format!("{}.yaml", controller.name);
        files.insert(chart.join("files/crds").join(&file), crd(controller)?);
        let (cluster_wide, namespaced) = (controller.rules)().into_iter().partition(is_cluster_wide);
        let rules = Rules { namespaced, cluster_wide, lease: driver::lease_rules() };
        files.insert(chart.join("files/rbac").join(&file), document(&rules)?);
        files.insert(chart.join("files/user-roles").join(file), document(&roles::of_users(controller))?);
    }
    copy(&root.join("deploy/monitoring"), &chart.join("files/monitoring"), &mut files)?;
    Ok(files)
}

fn metadata() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{HEADER}apiVersion: v2\nname: temporal-stack\ntype: application\nversion: {version}\nappVersion: {version}\n\
         description: The controllers of PostgreSQL, RabbitMQ, IPFS, object storage, Linkerd meshes and RTradeLtd's Temporal\n\
         home: {repository}\nsources:\n  - {repository}\nkubeVersion: \">=1.33.0-0\"\n",
        repository = env!("CARGO_PKG_REPOSITORY")
    )
}

/// The values that render what `deploy/controllers` has.
fn defaults(root: &Path) -> Result<Values> {
    let mut images = Images::default();
    let mut resources = None;
    for controller in controllers::ALL {
        let file = root.join("deploy/controllers").join(controller.name).join("deployment.yaml");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let manifest: Value = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
        let container = &manifest["spec"]["template"]["spec"]["containers"][0];
        for variable in container["env"].as_array().into_iter().flatten() {
            let (name, value) = (variable["name"].as_str(), variable["value"].as_str());
            if let Some(name) = name.and_then(|name| name.strip_prefix("RELATED_IMAGE_")) {
                *image(&mut images, name)? = value.filter(|value| !value.starts_with(OURS)).unwrap_or_default().into();
            }
        }
        let of_this = container["resources"].as_object().cloned();
        if *resources.get_or_insert(of_this.clone()) != of_this {
            bail!("{} invalid: its resources differ from the others', which the chart cannot say", file.display());
        }
    }
    Ok(Values {
        controllers: Controllers::default(),
        watch: Watch::default(),
        image: Image {
            registry: String::new(),
            repository: OURS.trim_end_matches('/').to_owned(),
            tag: String::new(),
            pull_policy: values::PullPolicy::Default,
        },
        image_pull_secrets: Vec::new(),
        images,
        replicas: 1,
        resources: resources.flatten().unwrap_or_default(),
        log_level: "info".to_owned(),
        extra_arguments: Vec::new(),
        linkerd_namespace: "linkerd".to_owned(),
        node_selector: BTreeMap::new(),
        tolerations: Vec::new(),
        affinity: serde_json::Map::new(),
        pod_labels: BTreeMap::new(),
        pod_annotations: BTreeMap::new(),
        priority_class_name: String::new(),
        crds: Crds { install: true },
        user_roles: UserRoles { create: true },
        network_policy: NetworkPolicy { create: true },
        monitoring: Monitoring::default(),
        global: serde_json::Map::new(),
    })
}

/// The place of the image that a variable names, without its prefix.
fn image<'a>(images: &'a mut Images, name: &str) -> Result<&'a mut String> {
    Ok(match name {
        "POSTGRES" => &mut images.postgres,
        "RABBITMQ" => &mut images.rabbitmq,
        "KUBO" => &mut images.kubo,
        "IPFS_CLUSTER" => &mut images.ipfs_cluster,
        "MINIO" => &mut images.minio,
        "VERSITY" => &mut images.versity,
        "TEMPORAL" => &mut images.temporal,
        "BRIDGE" => &mut images.bridge,
        _ => bail!("RELATED_IMAGE_{name} unknown: the values of the chart have no such image; add it"),
    })
}

fn entries() -> Vec<Entry> {
    let entry = |controller: &Controller| {
        let crd = (controller.crd)();
        let images = controller.images.iter().map(|(variable, _)| ProductImage { variable, value: key(variable) });
        Entry {
            name: controller.name,
            program: controller.program,
            group: crd.spec.group,
            plural: crd.spec.names.plural,
            needs_the_cluster: roles::needs_the_cluster(controller),
            images: images.collect(),
        }
    };
    controllers::ALL.iter().map(entry).collect()
}

/// `ipfsCluster` for `RELATED_IMAGE_IPFS_CLUSTER`.
fn key(variable: &str) -> String {
    let words = variable.trim_start_matches("RELATED_IMAGE_").split('_').map(str::to_lowercase);
    let capital = |word: String| word[..1].to_uppercase() + &word[1..];
    words.enumerate().map(|(index, word)| if index == 0 { word } else { capital(word) }).collect()
}

/// A CRD that stays when it leaves the release, because all objects would go with it.
fn crd(controller: &Controller) -> Result<String> {
    let mut crd = (controller.crd)();
    let notes = crd.metadata.annotations.get_or_insert_default();
    notes.insert(KEEP.0.to_owned(), KEEP.1.to_owned());
    document(&crd)
}

fn document(value: &impl Serialize) -> Result<String> {
    Ok(format!("{HEADER}{}", yaml(value)?))
}

/// Copies of the rules and dashboards: Helm reads no file outside of the chart.
fn copy(from: &Path, to: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for folder in ["rules", "dashboards", "monitors"] {
        let entries = std::fs::read_dir(from.join(folder)).with_context(|| format!("cannot read {folder}"))?;
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().filter(|name| *name != "kustomization.yaml") else { continue };
            files.insert(to.join(folder).join(name), std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;

    #[test]
    fn variable_becomes_the_key_of_a_value() {
        assert_eq!(key("RELATED_IMAGE_IPFS_CLUSTER"), "ipfsCluster");
        assert_eq!(key("RELATED_IMAGE_KUBO"), "kubo");
    }

    #[test]
    fn chart_has_no_file_that_is_not_generated() {
        let root = place::workspace();
        let generated = files(root).unwrap();
        let texts = crate::source::read(root, &["deploy/chart/files"], &["json", "yaml"]).unwrap();
        assert!(texts.len() > 20, "{}", texts.len());
        for file in texts.keys() {
            assert!(generated.contains_key(&root.join(file)), "{} is a leftover; delete it", file.display());
        }
    }

    #[test]
    fn values_name_every_controller_and_every_image() {
        let values = serde_json::to_value(defaults(place::workspace()).unwrap()).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let mut names: Vec<_> = controllers::ALL.iter().map(|controller| controller.name.to_owned()).collect();
        names.sort();
        assert_eq!(keys(&values["controllers"]), names);
        let mut images: Vec<_> =
            entries().into_iter().flat_map(|entry| entry.images).map(|image| image.value).collect();
        images.sort();
        assert_eq!(keys(&values["images"]), images);
        assert_eq!(values["images"]["bridge"], "");
        assert_ne!(values["images"]["postgres"], "");
    }
}

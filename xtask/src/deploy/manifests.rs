//! A controller's manifests, with the images to use.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{How, replacement};
use crate::controllers::Controller;
use crate::images::Image;
use crate::kubectl::Kubectl;
use crate::place;
use crate::step::Step;

/// On the pod template: changes with the image, also where its tag stays.
const IMAGE_KEY: &str = "temporal-stack.dev/image";
/// The prefix of the stack's own images in the manifests, for any registry.
const OURS: &str = "temporal-stack/";

/// Images on the local node; none of them on other clusters.
#[derive(Debug, Default)]
pub(super) struct Own<'a> {
    /// Those that were built.
    pub(super) built: &'a [Image],
    /// The references of the controller's products.
    pub(super) products: Vec<String>,
}

/// The manifests of `deploy/controllers`, ready to apply.
pub(super) fn render(
    step: &Step,
    kubectl: &Kubectl,
    controller: &Controller,
    how: &How<'_>,
    own: &Own<'_>,
) -> Result<String> {
    let folder = place::workspace().join("deploy/controllers").join(controller.name);
    let text = kubectl.command(step).arg("kustomize").arg(folder).read()?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).context("kustomize output is not YAML")?;
    let mut list = Vec::new();
    for mut object in objects {
        if object["kind"] == "Deployment" {
            set_images(&mut object, controller, how, own)?;
        }
        list.push(object);
    }
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": list}).to_string())
}

fn set_images(deployment: &mut Value, controller: &Controller, how: &How<'_>, own: &Own<'_>) -> Result<()> {
    let template = &mut deployment["spec"]["template"];
    let container = &mut template["spec"]["containers"][0];
    let program = own.built.iter().find(|image| is_called(&image.reference, controller.program));
    if let Some(image) = program {
        container["image"] = json!(image.reference);
    } else {
        let Some((name, tag)) = container["image"].as_str().and_then(|image| image.rsplit_once(':')) else {
            bail!("Deployment/{} invalid: its image has no tag; add one", controller.program);
        };
        let name = how.registry.map_or(name.to_owned(), |registry| format!("{registry}/{}", controller.program));
        container["image"] = json!(format!("{name}:{}", how.tag.unwrap_or(tag)));
    }
    for variable in container["env"].as_array_mut().into_iter().flatten() {
        let Some((name, product)) = controller.images.iter().find(|(name, _)| variable["name"] == *name) else {
            continue;
        };
        if let Some(replacement) = replacement::find(how.images, name) {
            variable["value"] = json!(replacement.reference);
        } else if let Some(reference) = own.products.iter().find(|reference| is_called(reference, product)) {
            variable["value"] = json!(reference);
        } else if let Some(ours) = variable["value"].as_str().and_then(|value| value.strip_prefix(OURS)) {
            variable["value"] =
                json!(how.registry.map_or(format!("{OURS}{ours}"), |registry| format!("{registry}/{ours}")));
        }
    }
    if let Some(image) = program {
        template["metadata"]["annotations"][IMAGE_KEY] = json!(image.key);
    }
    Ok(())
}

fn is_called(reference: &str, name: &str) -> bool {
    reference.contains(&format!("/{name}:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers;

    fn deployment() -> Value {
        let env = json!([
            {"name": "RELATED_IMAGE_KUBO", "value": "ipfs/kubo:v0.42.0"},
            {"name": "RELATED_IMAGE_IPFS_CLUSTER", "value": "temporal-stack/ipfs-cluster:0.1.0"},
        ]);
        let container = json!({"image": "temporal-stack/ipfs-controller:0.1.0", "env": env});
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }

    fn images(how: &How<'_>, products: &[&str]) -> [String; 3] {
        let controller = controllers::named(&["ipfs".to_owned()]).unwrap()[0];
        let mut deployment = deployment();
        let products = products.iter().map(|name| format!("localhost/temporal-stack/{name}:1")).collect();
        set_images(&mut deployment, controller, how, &Own { built: &[], products }).unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let image = [&container["image"], &container["env"][0]["value"], &container["env"][1]["value"]];
        image.map(|image| image.as_str().unwrap().to_owned())
    }

    #[test]
    fn registry_is_for_our_own_images_only() {
        let how = How { registry: Some("registry.example.com/team"), ..How::default() };
        let [controller, kubo, ours] = images(&how, &[]);
        assert_eq!(controller, "registry.example.com/team/ipfs-controller:0.1.0");
        assert_eq!(kubo, "ipfs/kubo:v0.42.0");
        assert_eq!(ours, "registry.example.com/team/ipfs-cluster:0.1.0");
    }

    #[test]
    fn replacement_image_wins_over_the_built_one() {
        let replaced = ["kubo=team/kubo:v9".parse().unwrap()];
        let how = How { images: &replaced, ..How::default() };
        let [_, kubo, cluster] = images(&how, &["kubo", "ipfs-cluster"]);
        assert_eq!([kubo, cluster], ["team/kubo:v9", "localhost/temporal-stack/ipfs-cluster:1"]);
    }
}

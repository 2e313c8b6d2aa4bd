//! Images that take minutes to build and that few clusters need: one is built when an object has its provider.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::controllers::Controller;
use crate::kubectl::Kubectl;
use crate::step::Step;

/// Whether an image is built for these objects of its controller.
pub(super) fn is_wanted(controller: &Controller, image: &str, objects: &[Value]) -> bool {
    let Some((default, _)) = controller.on_demand.split_first() else { return true };
    if !controller.on_demand.contains(&image) {
        return true;
    }
    let kind = (controller.crd)().spec.names.kind;
    let mut providers =
        objects.iter().filter(|object| object["kind"] == kind).map(|object| &object["spec"]["provider"]);
    providers.any(|provider| {
        let mut named = provider.as_object().into_iter().flatten().filter(|(_, fields)| !fields.is_null()).peekable();
        if named.peek().is_none() { image == *default } else { named.any(|(name, _)| name == image) }
    })
}

/// The objects of a controller whose images are built on demand, in all namespaces.
pub(super) fn objects(step: &Step, kubectl: &Kubectl, controller: &Controller) -> Result<Vec<Value>> {
    let names = (controller.crd)().spec;
    let kind = format!("{}.{}", names.names.plural, names.group);
    let is_known = kubectl.command(step).args(["get", "crd", &kind, "--ignore-not-found", "--output=name"]).read()?;
    if is_known.trim().is_empty() {
        return Ok(Vec::new());
    }
    let list = kubectl.command(step).args(["get", &kind, "--all-namespaces", "--output=json"]).read()?;
    let list: Value = serde_json::from_str(&list).with_context(|| format!("the list of {kind} is not JSON"))?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers;

    fn wanted(objects: &[Value]) -> Vec<&'static str> {
        let storage = controllers::named(&["storage".to_owned()]).unwrap()[0];
        let images = storage.images.iter().map(|(_, image)| *image);
        images.filter(|image| is_wanted(storage, image, objects)).collect()
    }

    fn object(spec: &Value) -> Value {
        json!({"kind": "ObjectStorage", "spec": spec})
    }

    #[test]
    fn no_object_wants_no_image() {
        assert_eq!(wanted(&[]), Vec::<&str>::new());
        assert_eq!(wanted(&[json!({"kind": "PostgresDatabase", "spec": {}})]), Vec::<&str>::new());
    }

    #[test]
    fn object_without_a_provider_wants_the_default() {
        assert_eq!(wanted(&[object(&json!({}))]), ["minio"]);
        assert_eq!(wanted(&[object(&json!({"provider": {}}))]), ["minio"]);
        assert_eq!(wanted(&[object(&json!({"provider": {"minio": null}}))]), ["minio"]);
    }

    #[test]
    fn object_wants_the_image_of_its_provider() {
        let versity = object(&json!({"provider": {"versity": {}}}));
        assert_eq!(wanted(std::slice::from_ref(&versity)), ["versity"]);
        assert_eq!(wanted(&[object(&json!({"provider": {"external": {"secretName": "s"}}}))]), Vec::<&str>::new());
        assert_eq!(wanted(&[versity, object(&json!({"provider": {"minio": {"servers": 4}}}))]), ["minio", "versity"]);
    }

    #[test]
    fn image_on_demand_is_one_of_its_controllers() {
        for controller in controllers::ALL {
            for image in controller.on_demand {
                assert!(controller.images.iter().any(|(_, name)| name == image), "{image}");
            }
        }
    }

    #[test]
    fn image_of_another_controller_is_always_wanted() {
        let database = controllers::named(&["database".to_owned()]).unwrap()[0];
        assert!(is_wanted(database, "postgres", &[]));
    }
}

//! Single fields of objects that belong to others, set by server-side apply under the name of the component.
//!
//! # Guarantees
//!
//! * Nothing is created: the object's UID is part of the request, so an object that has gone, or that has been replaced, is left alone.
//! * Nobody's value is overwritten: a field that another writer has set to another value is a [conflict](Touched::Conflict).
//! * What is no longer in the request is removed, unless another writer has it, too.

use std::fmt;

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};

use crate::{failure::printable, metadata::Timeless};

/// Sets fields in the name of a component.
#[derive(Clone)]
pub struct Hand {
    client: Client,
    component: &'static str,
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hand").field(&self.component).finish()
    }
}

/// An object of another owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub resource: ApiResource,
    /// Its namespace; `None` for an object of the whole cluster.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// The result of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The fields are set.
    Done,
    /// Another writer has set one of them, or the object is another one.
    Conflict(String),
    /// The object has gone.
    Gone,
    /// The controller may not write it.
    Refused(String),
}

impl Hand {
    /// In the name of this component, with this client.
    pub fn new(client: Client, component: &'static str) -> Self {
        Self { client, component }
    }

    /// Makes these the fields of the object that the component has set: `fields` is a part of the object, without its identity.
    pub async fn apply(&self, target: &Target, fields: &Value) -> kube::Result<Touched> {
        let Target { resource, name, uid, .. } = target;
        let mut object = fields.clone();
        object["apiVersion"] = json!(resource.api_version);
        object["kind"] = json!(resource.kind);
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(uid);
        let params = PatchParams::apply(self.component);
        touched(self.api(target).patch(name, &params, &Patch::Apply(object)).await)
    }

    /// Sets annotations of the object, whoever has set them before: for requests to its controller.
    pub async fn annotate(&self, target: &Target, annotations: &Value) -> kube::Result<Touched> {
        let Target { name, uid, .. } = target;
        let object = json!({"metadata": {"uid": uid, "annotations": annotations}});
        let params = PatchParams { field_manager: Some(self.component.to_owned()), ..PatchParams::default() };
        touched(self.api(target).patch(name, &params, &Patch::Merge(object)).await)
    }

    /// Deletes exactly this object.
    pub async fn delete(&self, target: &Target) -> kube::Result<Touched> {
        let preconditions = Preconditions { uid: Some(target.uid.clone()), ..Preconditions::default() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        touched(self.api(target).delete(&target.name, &params).await)
    }

    fn api(&self, Target { resource, namespace, .. }: &Target) -> Api<Timeless<DynamicObject>> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

fn touched<K>(answer: kube::Result<K>) -> kube::Result<Touched> {
    match answer {
        Ok(_) => Ok(Touched::Done),
        Err(kube::Error::Api(status)) => Ok(match status.code {
            404 => Touched::Gone,
            409 => Touched::Conflict(printable(&status.message)),
            403 => Touched::Refused(printable(&status.message)),
            _ => return Err(kube::Error::Api(status)),
        }),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::PostParams;

    use super::*;
    use crate::testkit::FakeApi;

    #[tokio::test]
    async fn absent_object_is_not_created() {
        let api = FakeApi::new();
        let hand = Hand::new(api.client(), "lamp");
        let target = Target {
            resource: ApiResource::erase::<ConfigMap>(&()),
            namespace: Some("a".to_owned()),
            name: "m".to_owned(),
            uid: "u".to_owned(),
        };
        let annotations = json!({"k": "v"});
        assert_eq!(hand.annotate(&target, &annotations).await.unwrap(), Touched::Gone);
        let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m"}})).unwrap();
        let maps = Api::namespaced(api.others(), "a");
        let uid = maps.create(&PostParams::default(), &map).await.unwrap().metadata.uid.unwrap();
        let target = Target { uid, ..target };
        assert_eq!(hand.annotate(&target, &annotations).await.unwrap(), Touched::Done);
        assert_eq!(maps.get("m").await.unwrap().metadata.annotations.unwrap()["k"], "v");
    }
}

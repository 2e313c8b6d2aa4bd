//! Whether the operators of others answer: the API server asks their webhooks about a change that it does not store.

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::Status,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    World, is_object_name,
    reads::{parsed, text},
};
use crate::{
    failure::{LONGEST, bounded},
    manifest::Operator,
    metadata::Timeless,
};

/// What the API server answers to a change of an object that changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// It would be stored: every webhook that is asked about the object answers.
    Admitted,
    /// A webhook gives no answer; with the words of the API server.
    Silent(String),
    /// The answer shows nothing about webhooks.
    #[default]
    Unknown,
}

impl Admission {
    fn of<K>(answer: kube::Result<K>, operator: Operator) -> kube::Result<Self> {
        match answer {
            Ok(_) => Ok(Self::Admitted),
            Err(kube::Error::Api(status)) if operator.is_silent(&status) => {
                Ok(Self::Silent(bounded(&status.message, LONGEST)))
            }
            Err(kube::Error::Api(_)) => Ok(Self::Unknown),
            Err(error) => Err(error),
        }
    }
}

impl World<'_> {
    /// Whether the operator of a child would admit a change of it now. Nothing is stored; the answer is remembered like a named read.
    pub async fn admission<K>(&self, name: &str, operator: Operator) -> kube::Result<Admission>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let what = format!("admission of {}/{name}", K::kind(&()));
        if let Some(found) = self.reads.recall(&what, self.max_age) {
            return parsed(&found);
        }
        if !is_object_name(name) {
            return Ok(Admission::Unknown);
        }
        let resource = ApiResource::erase::<K>(&());
        let api = Api::<Timeless<DynamicObject>>::namespaced_with(self.client.clone(), self.namespace, &resource);
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let found = Admission::of(api.patch(name, &params, &Patch::Merge(json!({}))).await, operator)?;
        self.reads.keep(&what, None, text(&found)?, false);
        Ok(found)
    }
}

/// The webhook that the API server must ask, and could not reach.
pub(crate) fn silent_webhook(answer: &Status) -> Option<&str> {
    let (_, called) = answer.message.split_once("failed calling webhook \"").filter(|_| answer.code == 500)?;
    called.split('"').next()
}

impl Operator {
    /// Whether one of its webhooks could not be reached.
    pub(crate) fn is_silent(self, answer: &Status) -> bool {
        silent_webhook(answer).is_some_and(|name| name.ends_with(self.webhooks))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::PostParams;

    use super::*;
    use crate::{testkit::FakeApi, world::fixture::Surroundings};

    const SILENT: &str = "Internal error occurred: failed calling webhook \"m.example.com\": connection refused";
    const OPERATOR: Operator = Operator { name: "the operator", pods: "kubectl get pods", webhooks: ".example.com" };

    #[tokio::test]
    async fn silent_webhook_is_told_from_other_refusals() {
        let api = FakeApi::new();
        let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m"}})).unwrap();
        let made = Api::namespaced(api.others(), "a").create(&PostParams::default(), &map).await.unwrap();
        let ask = async || Surroundings::new(&api).world().admission::<ConfigMap>("m", OPERATOR).await.unwrap();
        assert_eq!(ask().await, Admission::Admitted);
        api.refuse_next("configmaps", 500, SILENT);
        assert_eq!(ask().await, Admission::Silent(SILENT.to_owned()));
        api.refuse_next("configmaps", 422, "it is invalid");
        assert_eq!(ask().await, Admission::Unknown);
        api.refuse_next("configmaps", 500, "failed calling webhook \"validate.kyverno.svc\": connection refused");
        assert_eq!(ask().await, Admission::Unknown);
        let kept = api.get("configmaps", "a", "m").unwrap();
        assert_eq!(kept["metadata"]["resourceVersion"].as_str(), made.metadata.resource_version.as_deref());
    }
}

//! A user who may edit one namespace, the stack's kinds included, and nothing else.

use anyhow::Result;
use k8s_openapi::{
    NamespaceResourceScope,
    api::rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Config, Resource,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use temporal_stack_common::api::GROUP;

use crate::{Space, controller::apply};

/// The user's name.
const NAME: &str = "stranger";

/// What the user writes with.
pub struct Stranger {
    client: Client,
    namespace: String,
}

impl Stranger {
    /// Grants the user the cluster role `edit` and all of the stack's kinds in this namespace.
    pub async fn of(space: &Space) -> Result<Self> {
        let kinds = json!({
            "metadata": {"name": NAME},
            "rules": [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["*"]}],
        });
        apply(&space.api::<Role>(), &kinds).await?;
        for (kind, role) in [("Role", NAME), ("ClusterRole", "edit")] {
            let binding = json!({
                "metadata": {"name": format!("{NAME}-{role}")},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": NAME}],
            });
            apply(&space.api::<RoleBinding>(), &binding).await?;
        }
        let kubeconfig = Kubeconfig::read_from(space.cluster.kubeconfig())?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.auth_info.impersonate = Some(NAME.to_owned());
        Ok(Self { client: Client::try_from(config)?, namespace: space.name.clone() })
    }

    /// The objects of a kind, as the user may write them.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes an object; whether the API server took it.
    pub async fn create<K>(&self, object: &Value) -> Result<bool>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug,
        K: Serialize + DeserializeOwned,
    {
        let mut object = object.clone();
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        let made = self.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await;
        is_taken(made)
    }

    /// Merges a patch into an object; whether the API server took it.
    pub async fn patch<K>(&self, name: &str, patch: &Value) -> Result<bool>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        is_taken(self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }
}

/// What the API server refuses by a rule of its own harms nobody.
fn is_taken<T>(result: kube::Result<T>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if (400..500).contains(&status.code) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

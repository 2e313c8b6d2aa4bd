//! A user who may edit one namespace, the stack's kinds included, and nothing else.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::Secret,
        rbac::v1::{Role, RoleBinding},
    },
};
use kube::{
    Api, Client, Config, Resource,
    api::{ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use temporal_stack_common::api::{GROUP, PostgresDatabase};
use tokio::time::{interval, timeout};

use crate::{HANG, Space, controller::apply};

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
        let stranger = Self { client: Client::try_from(config)?, namespace: space.name.clone() };
        stranger.is_permitted().await?;
        Ok(stranger)
    }

    /// Waits until the API server has taken up both roles, which it tells nobody.
    async fn is_permitted(&self) -> Result<()> {
        let (secrets, databases) = (self.api::<Secret>(), self.api::<PostgresDatabase>());
        let one = ListParams::default().limit(1);
        let mut turns = interval(Duration::from_millis(50));
        let permitted = timeout(HANG, async {
            while secrets.list(&one).await.is_err() || databases.list(&one).await.is_err() {
                turns.tick().await;
            }
        });
        permitted.await.with_context(|| format!("the stranger may not read {}", self.namespace))
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

impl Stranger {
    /// Replaces an object by what `change` makes of it, as JSON: an object that no type here can hold. As another client than the one
    /// that made it, because the API server dates the fields of the client that writes. If another client writes meanwhile, again.
    pub async fn replace<K>(&self, name: &str, change: impl Fn(&mut Value)) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let path = format!("{}/{name}", K::url_path(&(), Some(&self.namespace)));
        let replaced = timeout(HANG, async {
            loop {
                let get = http::Request::get(&path).body(Vec::new())?;
                let mut object: Value = self.client.request(get).await?;
                change(&mut object);
                let put = http::Request::put(format!("{path}?fieldManager=other"));
                let put = put.header("content-type", "application/json").body(serde_json::to_vec(&object)?)?;
                match self.client.request::<Value>(put).await {
                    Err(kube::Error::Api(status)) if status.is_conflict() => {}
                    written => return anyhow::Ok(written.map(drop)?),
                }
            }
        });
        replaced.await.with_context(|| format!("{name} is never replaced"))?
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

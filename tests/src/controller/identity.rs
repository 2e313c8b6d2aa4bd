//! As whom a controller runs: a service account with exactly the generated rules.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use temporal_stack_common::driver::is_cluster_wide;

use crate::{
    Space, Subject,
    rbac::{lease_rules, rules},
};

/// A service account, and a kubeconfig with its token.
pub struct Identity {
    program: &'static str,
    images: &'static [(&'static str, &'static str)],
    kubeconfig: PathBuf,
    home: String,
    is_at_home: bool,
}

impl Identity {
    /// An account in the namespace itself: a Role with the rules there, and a `ClusterRole` with those about kinds that have no
    /// namespace.
    pub async fn of_namespace<K: Subject>(space: &Space) -> Result<Self> {
        let (cluster_wide, namespaced): (Vec<_>, Vec<_>) = rules::<K>().into_iter().partition(is_cluster_wide);
        grant(space, K::PROGRAM, &[namespaced, lease_rules::<K>()].concat()).await?;
        grant_everywhere(space, K::PROGRAM, &cluster_wide).await?;
        Self::new::<K>(space).await
    }

    /// An account in the namespace `home`, with the rules in the whole cluster: it outlives the namespace that it serves.
    pub async fn of_cluster<K: Subject>(home: &Space) -> Result<Self> {
        grant(home, K::PROGRAM, &lease_rules::<K>()).await?;
        grant_everywhere(home, K::PROGRAM, &rules::<K>()).await?;
        Self::new::<K>(home).await
    }

    /// Grants the account of the namespace `home` the rules in another namespace, too.
    pub async fn grant_in<K: Subject>(other: &Space, home: &Space) -> Result<()> {
        let namespaced: Vec<_> = rules::<K>().into_iter().filter(|rule| !is_cluster_wide(rule)).collect();
        let metadata = json!({"name": K::PROGRAM});
        apply(&other.api::<Role>(), &json!({"metadata": metadata, "rules": namespaced})).await?;
        apply(&other.api::<RoleBinding>(), &binding(home, K::PROGRAM, "Role", &metadata)).await
    }

    /// The same account, which reaches the API server through a proxy of this machine.
    pub fn through(&self, proxy: SocketAddr) -> Result<Self> {
        let text = std::fs::read_to_string(&self.kubeconfig)?;
        let mut config: Value = serde_json::from_str(&text)?;
        config["clusters"][0]["cluster"] = json!({"server": format!("http://{proxy}")});
        let kubeconfig = self.kubeconfig.with_extension("proxy.kubeconfig");
        std::fs::write(&kubeconfig, config.to_string())?;
        Ok(Self { kubeconfig, home: self.home.clone(), ..*self })
    }

    /// The program of the controller.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// The variables with the images of what it runs, and their values.
    pub fn images(&self) -> &'static [(&'static str, &'static str)] {
        self.images
    }

    /// The same with other images.
    #[must_use]
    pub fn with_images(mut self, images: &'static [(&'static str, &'static str)]) -> Self {
        self.images = images;
        self
    }

    /// The same for a controller that takes its own namespace for that of all controllers, as installed ones do.
    #[must_use]
    pub fn at_home(self) -> Self {
        Self { is_at_home: true, ..self }
    }

    /// The variable with the namespace of all controllers, if it is not the default.
    pub(super) fn namespace(&self) -> Option<(&'static str, &str)> {
        self.is_at_home.then_some(("POD_NAMESPACE", self.home.as_str()))
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The namespace of the account, where the Lease is too.
    pub fn home(&self) -> &str {
        &self.home
    }

    async fn new<K: Subject>(home: &Space) -> Result<Self> {
        apply(&home.api::<ServiceAccount>(), &json!({"metadata": {"name": K::PROGRAM}})).await?;
        Self::installed::<K>(home).await
    }

    /// The account that somebody has made in the namespace, with the rights that it has.
    pub async fn installed<K: Subject>(home: &Space) -> Result<Self> {
        let accounts = home.api::<ServiceAccount>();
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(K::PROGRAM, &PostParams::default(), &request).await?;
        let token = answer.status.context("no token was issued")?.token;
        let kubeconfig = home.folder.join(format!("{}.kubeconfig", K::PROGRAM));
        std::fs::write(&kubeconfig, home.cluster.kubeconfig_with_token(&token, &home.name)?)?;
        Ok(Self { program: K::PROGRAM, images: K::IMAGES, kubeconfig, home: home.name.clone(), is_at_home: false })
    }
}

/// Grants rules in the account's own namespace.
async fn grant(home: &Space, account: &str, rules: &[PolicyRule]) -> Result<()> {
    let metadata = json!({"name": account});
    apply(&home.api::<Role>(), &json!({"metadata": metadata, "rules": rules})).await?;
    apply(&home.api::<RoleBinding>(), &binding(home, account, "Role", &metadata)).await
}

/// Grants rules in the whole cluster, for as long as the account's namespace is there.
async fn grant_everywhere(home: &Space, account: &str, rules: &[PolicyRule]) -> Result<()> {
    let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": home.name, "uid": home.uid}]);
    let metadata = json!({"name": format!("{account}-{}", home.name), "ownerReferences": owner});
    let role = json!({"metadata": metadata, "rules": rules});
    apply(&Api::<ClusterRole>::all(home.client.clone()), &role).await?;
    let binding = binding(home, account, "ClusterRole", &metadata);
    apply(&Api::<ClusterRoleBinding>::all(home.client.clone()), &binding).await
}

/// Binds an account to the role that has this metadata.
fn binding(home: &Space, account: &str, kind: &str, metadata: &Value) -> Value {
    json!({
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home.name}],
    })
}

/// Applies an object of the test's own.
pub(crate) async fn apply<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let mut object = object.clone();
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    api.patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("could not apply {}/{name}", K::kind(&())))?;
    Ok(())
}

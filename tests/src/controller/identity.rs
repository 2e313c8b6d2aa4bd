//! As whom a controller runs: a service account with exactly the generated rules.

use std::path::{Path, PathBuf};

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
use temporal_stack_common::driver;
use temporal_stack_database::Database;

use crate::Space;

const NAME: &str = "database-controller";
/// Groups whose kinds the rules name and that have no namespaced kinds among them.
const CLUSTER_WIDE: [&str; 2] = ["storage.k8s.io", "apiextensions.k8s.io"];

/// A service account, and a kubeconfig with its token.
pub struct Identity {
    kubeconfig: PathBuf,
    home: String,
}

impl Identity {
    /// An account in the namespace itself: a Role with the rules there, and a `ClusterRole` with those about kinds that have no
    /// namespace.
    pub async fn of_namespace(space: &Space) -> Result<Self> {
        let rules = driver::rules::<Database>();
        let (cluster_wide, namespaced): (Vec<_>, Vec<_>) = rules.into_iter().partition(is_cluster_wide);
        let role = with_rules(&[namespaced, driver::lease_rules()].concat());
        apply(&space.api::<Role>(), &role).await?;
        apply(&space.api::<RoleBinding>(), &binding("Role", NAME, &space.name)).await?;
        grant_everywhere(space, &cluster_wide, &space.name).await?;
        Self::new(space, &space.name).await
    }

    /// An account in the namespace `home`, with the rules in the whole cluster: it outlives the namespace that it serves.
    pub async fn of_cluster(space: &Space, home: &Space) -> Result<Self> {
        let role = with_rules(&driver::lease_rules());
        apply(&home.api::<Role>(), &role).await?;
        apply(&home.api::<RoleBinding>(), &binding("Role", NAME, &home.name)).await?;
        grant_everywhere(home, &driver::rules::<Database>(), &home.name).await?;
        let identity = Self::new(home, &home.name).await?;
        let kubeconfig = space.folder.join("controller.kubeconfig");
        std::fs::copy(&identity.kubeconfig, &kubeconfig)?;
        Ok(Self { kubeconfig, ..identity })
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The namespace of the account, where the Lease is too.
    pub fn home(&self) -> &str {
        &self.home
    }

    async fn new(space: &Space, home: &str) -> Result<Self> {
        let accounts = Api::<ServiceAccount>::namespaced(space.client.clone(), home);
        apply(&accounts, &json!({"metadata": {"name": NAME}})).await?;
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(NAME, &PostParams::default(), &request).await?;
        let token = answer.status.context("no token was issued")?.token;
        let kubeconfig = space.folder.join("controller.kubeconfig");
        std::fs::write(&kubeconfig, space.cluster.kubeconfig_with_token(&token, home)?)?;
        Ok(Self { kubeconfig, home: home.to_owned() })
    }
}

/// Grants rules in the whole cluster, for as long as the namespace is there.
async fn grant_everywhere(space: &Space, rules: &[PolicyRule], home: &str) -> Result<()> {
    let name = format!("{NAME}-{}", space.name);
    let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": space.name, "uid": space.uid}]);
    let mut role = with_rules(rules);
    let mut binding = binding("ClusterRole", &name, home);
    for object in [&mut role, &mut binding] {
        object["metadata"] = json!({"name": name, "ownerReferences": owner});
    }
    apply(&Api::<ClusterRole>::all(space.client.clone()), &role).await?;
    apply(&Api::<ClusterRoleBinding>::all(space.client.clone()), &binding).await
}

fn is_cluster_wide(rule: &PolicyRule) -> bool {
    rule.api_groups.iter().flatten().any(|group| CLUSTER_WIDE.contains(&group.as_str()))
}

fn with_rules(rules: &[PolicyRule]) -> Value {
    json!({"metadata": {"name": NAME}, "rules": rules})
}

fn binding(kind: &str, role: &str, home: &str) -> Value {
    json!({
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": home}],
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

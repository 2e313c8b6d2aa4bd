//! Linkerd as tests install it on the API server: its kinds, its control plane, its certificates and its webhook.
//!
//! ```text
//!   linkerd::shared(&cluster)   the recorded installation, healthy, beside other tests that use it
//!   linkerd::alone(&cluster)    nothing installed, and nobody else looks: the test installs, breaks and removes it
//! ```
//!
//! There is one Linkerd in a cluster, so tests that change it run by themselves. No pod runs there: the pods of its Deployments are
//! made by the controller manager, and what they report is written by the test. Pods of a namespace that a test has
//! [opened](open) to the injector get the sidecar of the stand-in from a webhook in this process.

pub mod edges;
mod injector;
pub mod node;
mod pods;
pub mod rules;
mod setup;

use anyhow::{Context as _, Result};
use k8s_openapi::{
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        apps::v1::Deployment,
        authorization::v1::SubjectAccessReview,
        core::v1::{ConfigMap, Namespace, Pod, Secret, Service},
        rbac::v1::{Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use linkerd_stand_in::{COMPONENTS, INJECTOR, NAMESPACE, VALIDATOR, crds};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use self::{
    injector::open,
    pods::{Proxy, proxied, proxied_with, runs_at},
    setup::Setup,
};
pub use linkerd_stand_in::{
    crds::{Channel, Gateway, Installed},
    inject::{INIT, INJECT, PROXY, has_proxy},
    webhook::{ANCHORS, BUNDLE, Conduct},
};

use crate::{Cluster, controller::apply, prepare::until_established, until, until_gone};

/// The ConfigMap with the values of the installation.
pub const CONFIG: &str = "linkerd-config";
/// The Secret of the issuer.
pub const ISSUER: &str = "linkerd-identity-issuer";

/// What lets the mesh controller read it.
const ISSUER_RIGHTS: &str = include_str!("../../deploy/controllers/mesh/issuer.yaml");

/// What is installed, as far as it is known: nothing is after a test has changed it.
static INSTALLED: RwLock<Option<Setup>> = RwLock::const_new(None);

/// The healthy installation; nobody changes it until this is dropped.
#[must_use = "another test may change the installation when this is dropped"]
pub struct Shared {
    _turn: RwLockReadGuard<'static, Option<Setup>>,
}

/// Waits until nobody changes Linkerd, and installs the recorded one unless it is there.
pub async fn shared(cluster: &Cluster) -> Result<Shared> {
    let turn = INSTALLED.read().await;
    if *turn == Some(Setup::recorded()) {
        return Ok(Shared { _turn: turn });
    }
    drop(turn);
    let mut turn = INSTALLED.write().await;
    if *turn != Some(Setup::recorded()) {
        let linkerd = Plane { client: cluster.client().await? };
        linkerd.remove().await?;
        injector::behaves(Conduct::Works);
        injector::judges(Conduct::Works);
        linkerd.install(&Setup::recorded()).await?;
        *turn = Some(Setup::recorded());
    }
    Ok(Shared { _turn: turn.downgrade() })
}

/// Linkerd for one test alone.
#[must_use = "other tests may install it when this is dropped"]
pub struct Alone {
    _turn: RwLockWriteGuard<'static, Option<Setup>>,
    plane: Plane,
}

impl std::ops::Deref for Alone {
    type Target = Plane;

    fn deref(&self) -> &Plane {
        &self.plane
    }
}

/// Waits until nobody uses Linkerd, and removes it.
pub async fn alone(cluster: &Cluster) -> Result<Alone> {
    let mut turn = INSTALLED.write().await;
    *turn = None;
    let plane = Plane { client: cluster.client().await? };
    plane.remove().await?;
    injector::behaves(Conduct::Works);
    injector::judges(Conduct::Works);
    Ok(Alone { _turn: turn, plane })
}

/// Linkerd on an API server of the test's own, where nothing is installed, and whose Deployments nobody carries out.
pub fn bare(client: &Client) -> Plane {
    Plane { client: client.clone() }
}

/// What a test does to Linkerd.
pub struct Plane {
    client: Client,
}

impl Plane {
    /// Installs everything, and waits until it is healthy.
    pub async fn install(&self, setup: &Setup) -> Result<()> {
        self.install_kinds(setup.kinds).await?;
        self.install_plane(setup).await
    }

    /// Installs the kinds, and waits until they are served.
    pub async fn install_kinds(&self, kinds: Installed) -> Result<()> {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        for definition in kinds.definitions() {
            let name = definition["metadata"]["name"].as_str().context("a definition has a name")?;
            apply(&api, &definition).await?;
            until_established(&api, name).await?;
        }
        Ok(())
    }

    /// Removes kinds by their names, with all objects.
    pub async fn remove_kinds(&self, names: &[&str]) -> Result<()> {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        for name in names {
            removed(&api, name).await?;
        }
        Ok(())
    }

    /// Installs everything where nobody carries out Deployments: they report what the test writes.
    pub async fn install_bare(&self, setup: &Setup) -> Result<()> {
        self.install_kinds(setup.kinds).await?;
        self.install_objects(setup).await?;
        let status = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
        for (name, _) in COMPONENTS {
            let patch = Patch::Merge(json!({ "status": status }));
            self.api::<Deployment>().patch_status(name, &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }

    /// Installs the control plane without the kinds, and waits until it is healthy.
    pub async fn install_plane(&self, setup: &Setup) -> Result<()> {
        self.install_objects(setup).await?;
        for (name, _) in COMPONENTS {
            self.reports(name, true).await?;
        }
        Ok(())
    }

    async fn install_objects(&self, setup: &Setup) -> Result<()> {
        apply(&Api::<Namespace>::all(self.client.clone()), &setup::namespace()).await?;
        self.identity(setup).await?;
        self.configure(setup).await?;
        for object in setup::services() {
            apply(&self.api::<Service>(), &object).await?;
        }
        for object in setup::deployments(setup) {
            apply(&self.api::<Deployment>(), &object).await?;
        }
        injector::register(&self.client).await?;
        injector::register_validator(&self.client, false).await
    }

    /// Writes the values of the installation.
    pub async fn configure(&self, setup: &Setup) -> Result<()> {
        apply(&self.api::<ConfigMap>(), &setup::config(setup)).await
    }

    /// Makes another trust anchor, which is the issuer, too.
    pub async fn identity(&self, setup: &Setup) -> Result<()> {
        let (anchors, issuer) = setup::identity(setup)?;
        apply(&self.api::<ConfigMap>(), &anchors).await?;
        apply(&self.api::<Secret>(), &issuer).await
    }

    /// Makes another issuer, which the trust anchor has not signed.
    pub async fn issuer(&self, setup: &Setup) -> Result<()> {
        let (_, issuer) = setup::identity(setup)?;
        apply(&self.api::<Secret>(), &issuer).await
    }

    /// Permits a ServiceAccount to read the issuer, as `deploy/controllers/mesh/issuer.yaml` permits the controller.
    pub async fn permit_issuer(&self, account: &str, namespace: &str) -> Result<()> {
        let mut objects = Vec::new();
        for text in ISSUER_RIGHTS.split("\n---\n") {
            objects.push(serde_saphyr::from_str::<serde_json::Value>(text)?);
        }
        let [role, mut binding]: [serde_json::Value; 2] =
            objects.try_into().ok().context("the manifest has other objects")?;
        binding["subjects"][0]["namespace"] = json!(namespace);
        apply(&self.api::<Role>(), &role).await?;
        apply(&self.api::<RoleBinding>(), &binding).await?;
        let attributes = json!({"namespace": NAMESPACE, "verb": "get", "resource": "secrets", "name": ISSUER});
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let review = json!({"spec": {"user": user, "resourceAttributes": attributes}});
        let review: SubjectAccessReview = serde_json::from_value(review)?;
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        crate::turns("the issuer may be read", async || {
            let answer = reviews.create(&PostParams::default(), &review).await?;
            Ok(answer.status.is_some_and(|status| status.allowed))
        })
        .await
    }

    /// Has the pod of a Deployment report that it is ready, or that it is not, and waits until the Deployment says so.
    pub async fn reports(&self, name: &str, is_ready: bool) -> Result<()> {
        let deployments = self.api::<Deployment>();
        let component =
            COMPONENTS.iter().find(|(deployment, _)| *deployment == name).context("an unknown component")?.1;
        let selector = ListParams::default().labels(&format!("linkerd.io/control-plane-component={component}"));
        // The pod comes after the Deployment, and another one after a change of it.
        until(&deployments, name, "a pod", |deployment| {
            let status = deployment.status.clone().unwrap_or_default();
            status.observed_generation == deployment.metadata.generation && status.updated_replicas == Some(1)
        })
        .await?;
        for pod in self.api::<Pod>().list(&selector).await? {
            pods::report(&self.api(), &pod.name_any(), pods::PLANE, is_ready).await?;
        }
        until(&deployments, name, if is_ready { "a ready pod" } else { "no ready pod" }, |deployment| {
            let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas);
            ready.unwrap_or_default() == i32::from(is_ready)
        })
        .await
        .map(drop)
    }

    /// Has the whole control plane fail, or run again.
    pub async fn runs(&self, is_ready: bool) -> Result<()> {
        for (name, _) in COMPONENTS {
            self.reports(name, is_ready).await?;
        }
        Ok(())
    }

    /// Changes how the webhook answers in namespaces that are opened to it.
    pub fn webhook(&self, conduct: Conduct) {
        injector::behaves(conduct);
    }

    /// Changes how the webhook about policies answers, and whether policies are written although it does not.
    pub async fn validator(&self, conduct: Conduct, is_required: bool) -> Result<()> {
        injector::judges(conduct);
        injector::register_validator(&self.client, is_required).await
    }

    /// Has the API server trust the webhook about policies by a bundle that is valid for so many days.
    pub async fn validator_trusted_for(&self, days: i32) -> Result<()> {
        injector::trust_validator(&self.client, days).await
    }

    /// Removes the injector's webhook.
    pub async fn remove_webhook(&self) -> Result<()> {
        removed(&Api::<MutatingWebhookConfiguration>::all(self.client.clone()), INJECTOR).await
    }

    /// Removes everything, with all objects of the kinds, and waits until it is gone.
    pub async fn remove(&self) -> Result<()> {
        self.remove_webhook().await?;
        removed(&Api::<ValidatingWebhookConfiguration>::all(self.client.clone()), VALIDATOR).await?;
        for (name, _) in COMPONENTS {
            // With its pods: the next Deployment of the name shall not see them.
            deleted(&self.api::<Deployment>(), name, &DeleteParams::foreground()).await?;
        }
        for name in setup::SERVICES {
            removed(&self.api::<Service>(), name).await?;
        }
        for name in [CONFIG, ANCHORS] {
            removed(&self.api::<ConfigMap>(), name).await?;
        }
        removed(&self.api::<Secret>(), ISSUER).await?;
        self.remove_kinds(&crds::NAMES).await
    }

    /// Objects of the control plane.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

/// Deletes an object, if it is there, and waits until it is gone.
async fn removed<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    deleted(api, name, &DeleteParams::default()).await
}

async fn deleted<K>(api: &Api<K>, name: &str, params: &DeleteParams) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    match api.delete(name, params).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => {
            deleted?;
            until_gone(api, name).await
        }
    }
}

/// Merges a patch into a namespace.
async fn patch_namespace(client: &Client, name: &str, patch: &serde_json::Value) -> Result<()> {
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(name, &PatchParams::default(), &Patch::Merge(json!({"metadata": patch}))).await?;
    Ok(())
}

//! Linkerd on a cluster that runs pods: the stand-in's control plane and injector, with real sidecars.
//!
//! It stays until the node goes. Only namespaces that a test [opens](super::open) are looked at by the injector.

use anyhow::{Context as _, Result};
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::MutatingWebhookConfiguration,
        apps::v1::Deployment,
        core::v1::{Namespace, Secret, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding},
    },
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use linkerd_stand_in::{COMPONENTS, NAMESPACE, authority::Authority};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Plane, Setup, injector, setup};
use crate::{controller::apply, program::xtask, until};

/// The Deployment and the ServiceAccount of the injector, and its Service.
pub const INJECTOR: &str = "linkerd-proxy-injector";
/// The Secret with the certificate of its webhook.
const CERTIFICATE: &str = "linkerd-proxy-injector-k8s-tls";

/// Installs it with the first call, and waits until it runs.
pub async fn installed(client: &Client) -> Result<Plane> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED.get_or_try_init(|| install(client)).await?;
    Ok(Plane { client: client.clone() })
}

async fn install(client: &Client) -> Result<()> {
    // The last line has the reference of the image, and the file that it is in.
    let printed = xtask(&["images", "linkerd-stand-in", "--import", "--yes"]).await?;
    let image =
        printed.lines().last().and_then(|line| line.split(' ').next()).context("no image was built")?.to_owned();
    let (plane, setup) = (Plane { client: client.clone() }, Setup::recorded());
    plane.install_kinds(setup.kinds).await?;
    apply(&Api::<Namespace>::all(client.clone()), &setup::namespace()).await?;
    plane.identity(&setup).await?;
    plane.configure(&setup).await?;
    for service in setup::services() {
        apply(&plane.api::<Service>(), &service).await?;
    }
    let bundle = certificate(&plane).await?;
    permit(&plane).await?;
    for (name, component) in COMPONENTS {
        apply(&plane.api::<Deployment>(), &deployment(&setup, name, component, &image, &bundle)).await?;
    }
    for (name, _) in COMPONENTS {
        scaled(&plane, name, 1).await?;
    }
    let target = json!({"service": {"name": INJECTOR, "namespace": NAMESPACE, "path": "/", "port": 8443}});
    let configurations = Api::<MutatingWebhookConfiguration>::all(client.clone());
    apply(&configurations, &injector::configuration(&target, &bundle)).await
}

/// Gives a component of the control plane so many replicas, and waits until it has them.
pub async fn scaled(plane: &Plane, name: &str, replicas: i32) -> Result<()> {
    let deployments = plane.api::<Deployment>();
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch(name, &PatchParams::default(), &patch).await?;
    until(&deployments, name, &format!("{replicas} replicas"), |deployment| {
        let status = deployment.status.clone().unwrap_or_default();
        status.observed_generation == deployment.metadata.generation
            && status.replicas.unwrap_or_default() == replicas
            && status.updated_replicas.unwrap_or_default() == replicas
            && status.ready_replicas.unwrap_or_default() == replicas
    })
    .await
    .map(drop)
}

/// Makes the certificate of the webhook, and returns what it is trusted by.
async fn certificate(plane: &Plane) -> Result<String> {
    let authority = Authority::valid_for(365)?;
    let pair = authority.server(&[format!("{INJECTOR}.{NAMESPACE}.svc")])?;
    let data = json!({
        "tls.crt": ByteString(pair.certificate.into_bytes()), "tls.key": ByteString(pair.key.into_bytes()),
    });
    let secret = json!({"metadata": {"name": CERTIFICATE}, "type": "kubernetes.io/tls", "data": data});
    apply(&plane.api::<Secret>(), &secret).await?;
    Ok(authority.pair.certificate)
}

/// The injector reads the annotations of namespaces, and the trust anchors.
async fn permit(plane: &Plane) -> Result<()> {
    apply(&plane.api::<ServiceAccount>(), &json!({"metadata": {"name": INJECTOR}})).await?;
    let metadata = json!({"name": format!("linkerd-{INJECTOR}")});
    let rules = json!([{"apiGroups": [""], "resources": ["namespaces", "configmaps"], "verbs": ["get"]}]);
    let role = json!({"metadata": metadata, "rules": rules});
    apply(&Api::<ClusterRole>::all(plane.client.clone()), &role).await?;
    let binding = json!({
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": INJECTOR, "namespace": NAMESPACE}],
    });
    apply(&Api::<ClusterRoleBinding>::all(plane.client.clone()), &binding).await
}

/// As on the API server, with the stand-in's program in one container. Another bundle restarts it: an earlier run may have left pods
/// that serve with an earlier certificate.
fn deployment(setup: &Setup, name: &str, component: &str, image: &str, bundle: &str) -> Value {
    let mut deployment = setup::deployment(setup, name, component);
    let arguments = match component {
        "proxy-injector" => json!(["injector", "--image", image, "--directory", "/certificate"]),
        _ => json!(["component"]),
    };
    let mut container = json!({
        "name": component,
        "image": image,
        "args": arguments,
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 9990}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
    });
    deployment["spec"]["template"]["metadata"]["annotations"] = json!({"e2e.temporal-stack.dev/bundle": bundle});
    let pod = &mut deployment["spec"]["template"]["spec"];
    if component == "proxy-injector" {
        pod["serviceAccountName"] = json!(name);
        pod["volumes"] = json!([{"name": "certificate", "secret": {"secretName": CERTIFICATE}}]);
        container["volumeMounts"] = json!([{"name": "certificate", "mountPath": "/certificate", "readOnly": true}]);
    }
    pod["containers"] = json!([container]);
    deployment
}

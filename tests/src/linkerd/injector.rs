//! The injector's webhook, in a thread of this process: a test's own runtime ends with the test, and the API server asks on.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
};
use kube::{Api, Client, api::PostParams};
use linkerd_stand_in::{
    INJECTOR, POLICY, VALIDATOR, VERSION,
    authority::Authority,
    webhook::{Conduct, Webhook},
};
use serde_json::{Value, json};
use temporal_stack_common::process::install_crypto;
use tokio::{net::TcpListener, sync::oneshot};

use super::patch_namespace;
use crate::{Cluster, Space, controller::apply};

/// The label of namespaces whose pods the API server has injected. All others are left alone: they are of tests about other things.
const OPENED: &str = "e2e.temporal-stack.dev/injected";

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// The webhook of this process.
#[derive(Clone)]
struct Running {
    webhook: Webhook,
    address: SocketAddr,
    bundle: String,
}

/// Has pods of a namespace that are to be injected sent to the webhook.
pub async fn open(space: &Space) -> Result<()> {
    patch_namespace(&space.client, &space.name, &json!({"labels": {OPENED: "true"}})).await
}

/// Changes how it answers.
pub(super) fn behaves(conduct: Conduct) {
    if let Some(running) = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        running.webhook.behaves(conduct);
    }
}

/// Changes how it answers about policies.
pub(super) fn judges(conduct: Conduct) {
    if let Some(running) = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        running.webhook.judges(conduct);
    }
}

/// Registers the webhook about policies, without which none is written if it is required.
pub(super) async fn register_validator(client: &Client, is_required: bool) -> Result<()> {
    let running = running().await?;
    let failure = if is_required { "Fail" } else { "Ignore" };
    let rule = json!({
        "operations": ["CREATE", "UPDATE"], "apiGroups": [POLICY], "apiVersions": ["*"],
        "resources": ["servers", "authorizationpolicies", "meshtlsauthentications", "networkauthentications", "httproutes"],
    });
    let configuration = json!({
        "metadata": {"name": VALIDATOR},
        "webhooks": [{
            "name": "linkerd-policy-validator.linkerd.io",
            "clientConfig": {
                "url": format!("https://{}/policies", running.address),
                "caBundle": STANDARD.encode(&running.bundle),
            },
            "failurePolicy": failure,
            "admissionReviewVersions": ["v1"],
            "rules": [rule],
            "sideEffects": "None",
        }],
    });
    apply(&Api::<ValidatingWebhookConfiguration>::all(client.clone()), &configuration).await
}

/// Replaces the bundle of the webhook about policies by one that is valid for so many days, and that has not signed its certificate.
/// It must not be required.
pub(super) async fn trust_validator(client: &Client, days: i32) -> Result<()> {
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let bundle = Authority::valid_for(days)?.pair.certificate.into_bytes();
    let mut configuration = api.get(VALIDATOR).await?;
    for webhook in configuration.webhooks.iter_mut().flatten() {
        webhook.client_config.ca_bundle = Some(ByteString(bundle.clone()));
    }
    api.replace(VALIDATOR, &PostParams::default(), &configuration).await?;
    Ok(())
}

/// Registers the webhook, which is started with the first call.
pub(super) async fn register(client: &Client) -> Result<()> {
    let running = running().await?;
    let target = json!({"url": format!("https://{}/", running.address)});
    let configurations = Api::<MutatingWebhookConfiguration>::all(client.clone());
    apply(&configurations, &configuration(&target, &running.bundle)).await
}

async fn running() -> Result<Running> {
    let known = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(running) = known {
        return Ok(running);
    }
    let started = start().await?;
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(running.get_or_insert(started).clone())
}

/// Starts the webhook in a thread that ends with the process.
async fn start() -> Result<Running> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name("injector".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime of the injector");
        runtime.block_on(serve(tell)).expect("the injector serves");
    })?;
    told.await.context("the injector has not started")
}

async fn serve(tell: oneshot::Sender<Running>) -> Result<()> {
    install_crypto();
    // Longer than the time for which a controller warns.
    let authority = Authority::valid_for(365)?;
    let pair = authority.server(&[Ipv4Addr::LOCALHOST.to_string()])?;
    let image = format!("registry.invalid/linkerd/proxy:{VERSION}");
    let webhook = Webhook::new(Cluster::api()?.client().await?, image);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let running = Running { webhook: webhook.clone(), address, bundle: authority.pair.certificate };
    // Whoever waited has failed, if anybody has.
    let _ = tell.send(running);
    webhook.serve(listener, &pair).await
}

/// As the real one, for opened namespaces alone, with this target: an address of this machine, or a Service.
pub(super) fn configuration(target: &Value, bundle: &str) -> Value {
    let mut target = target.clone();
    target["caBundle"] = json!(STANDARD.encode(bundle));
    let excluded = json!({"key": "config.linkerd.io/admission-webhooks", "operator": "NotIn", "values": ["disabled"]});
    let rule = json!({
        "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods", "services"],
        "scope": "Namespaced",
    });
    json!({
        "metadata": {
            "name": INJECTOR,
            "labels": {"linkerd.io/control-plane-component": "proxy-injector", "linkerd.io/control-plane-ns": "linkerd"},
        },
        "webhooks": [{
            "name": "linkerd-proxy-injector.linkerd.io",
            "namespaceSelector": {"matchLabels": {OPENED: "true"}, "matchExpressions": [excluded]},
            "objectSelector": {},
            "clientConfig": target,
            "failurePolicy": "Ignore",
            "admissionReviewVersions": ["v1"],
            "rules": [rule],
            "sideEffects": "None",
            "timeoutSeconds": 10,
        }],
    })
}

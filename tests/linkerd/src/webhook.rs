//! The injector as an admission webhook, over TLS.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{Api, Client, ResourceExt as _};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    NAMESPACE,
    authority::Pair,
    inject::{self, Config},
};

/// How long a client may take for its handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ConfigMap with the trust anchors.
pub const ANCHORS: &str = "linkerd-identity-trust-roots";
/// Its key.
pub const BUNDLE: &str = "ca-bundle.crt";

/// How the webhook answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It does what it is for.
    #[default]
    Works,
    /// It refuses everything, and says why.
    Refuses,
    /// It answers what nobody can read.
    Babbles,
}

/// A webhook; clones are the same one.
#[derive(Clone)]
pub struct Webhook {
    client: Client,
    image: String,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    conduct: Conduct,
    judgement: Conduct,
    injected: usize,
}

impl Webhook {
    /// A webhook that adds containers with this image, and reads namespaces and the trust anchors with this client.
    pub fn new(client: Client, image: String) -> Self {
        Self { client, image, memory: Arc::default() }
    }

    /// Changes how it answers.
    pub fn behaves(&self, conduct: Conduct) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).conduct = conduct;
    }

    /// Changes how it answers about policies, under the path `/policies`; unless told otherwise, it accepts all.
    pub fn judges(&self, conduct: Conduct) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).judgement = conduct;
    }

    /// How many pods it has injected.
    pub fn injected(&self) -> usize {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).injected
    }

    /// Serves until the listener breaks.
    pub async fn serve(self, listener: TcpListener, pair: &Pair) -> Result<()> {
        let listener = Secured { listener, acceptor: acceptor(pair)? };
        let router = Router::new().route("/", post(inject_pod)).route("/policies", post(judge)).with_state(self);
        axum::serve(listener, router).await.context("the webhook ended")
    }

    /// The trust anchors as they are now.
    async fn bundle(&self) -> Result<String> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), NAMESPACE);
        let map = maps.get_opt(ANCHORS).await?.unwrap_or_default();
        Ok(map.data.unwrap_or_default().remove(BUNDLE).unwrap_or_default())
    }

    async fn review(&self, request: &Value) -> Result<Value> {
        let object = &request["object"];
        let mut response = json!({"uid": request["uid"], "allowed": true});
        let name = request["namespace"].as_str().unwrap_or_default();
        let namespace = Api::<Namespace>::all(self.client.clone()).get(name).await?;
        let config = Config { image: self.image.clone(), bundle: self.bundle().await? };
        if let Some(patch) = inject::patch(object, name, namespace.annotations(), &config) {
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(STANDARD.encode(patch.to_string()));
            if object["kind"] == "Pod" {
                self.memory.lock().unwrap_or_else(PoisonError::into_inner).injected += 1;
            }
        }
        Ok(response)
    }
}

async fn inject_pod(State(webhook): State<Webhook>, body: String) -> Response {
    let conduct = webhook.memory.lock().unwrap_or_else(PoisonError::into_inner).conduct;
    let review: Value = serde_json::from_str(&body).unwrap_or_default();
    let request = &review["request"];
    if conduct != Conduct::Works {
        return answered(conduct, request);
    }
    match webhook.review(request).await {
        Ok(response) => reviewed(&response),
        Err(error) => refused(request, &format!("{error:#}")),
    }
}

async fn judge(State(webhook): State<Webhook>, body: String) -> Response {
    let conduct = webhook.memory.lock().unwrap_or_else(PoisonError::into_inner).judgement;
    let review: Value = serde_json::from_str(&body).unwrap_or_default();
    answered(conduct, &review["request"])
}

/// The answer of a webhook that changes nothing.
fn answered(conduct: Conduct, request: &Value) -> Response {
    match conduct {
        Conduct::Works => reviewed(&json!({"uid": request["uid"], "allowed": true})),
        Conduct::Refuses => refused(request, "the stand-in refuses"),
        Conduct::Babbles => "no review".into_response(),
    }
}

fn refused(request: &Value, why: &str) -> Response {
    reviewed(&json!({"uid": request["uid"], "allowed": false, "status": {"message": why}}))
}

fn reviewed(response: &Value) -> Response {
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn acceptor(pair: &Pair) -> Result<TlsAcceptor> {
    let certificates = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.context("the certificate is none")?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).context("the key is none")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // axum's own listener waits where accepting fails for want of files.
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            // One handshake after the other: there is one API server.
            if let Ok(Ok(stream)) = timeout(PATIENCE, self.acceptor.accept(stream)).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

//! Verification: the proxy of every pod must report that it is ready: it has its certificate, and knows its control plane.

use std::time::Duration;

use futures::StreamExt;
use temporal_stack_common::{
    component::Verdict,
    failure::chain,
    http::{Client, Method, Path, Server},
    message::logs,
};

use crate::{
    access::Endpoint,
    names::{ADMIN, PROXY},
    reason,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer may be, in bytes; a word is usual.
const LONGEST: usize = 4 << 10;
/// How many proxies are asked at the same time.
const TOGETHER: usize = 8;

/// The proxies to verify. It writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The namespace of the pods.
    pub(crate) namespace: String,
    pub(crate) proxies: Vec<Endpoint>,
}

/// Asks every proxy.
pub(crate) async fn verify(Probe { namespace, proxies }: &Probe) -> Verdict {
    let client = Client::new();
    let asked: Vec<_> = proxies.iter().map(|endpoint| failure(&client, endpoint)).collect();
    let failed = futures::stream::iter(asked).buffered(TOGETHER).filter_map(std::future::ready);
    let mut failed = std::pin::pin!(failed);
    match failed.next().await {
        Some((pod, why)) => Verdict::Failed {
            reason: reason::PROXY_UNREACHABLE,
            message: format!(
                "proxy of pod {pod} not ready: {why}; see {}, and let the controller's pods reach port {ADMIN}",
                logs(namespace, pod, PROXY)
            ),
        },
        None if proxies.is_empty() => Verdict::Verified("there is no pod that should have a proxy".to_owned()),
        None => Verdict::Verified("the proxies of all pods are ready".to_owned()),
    }
}

/// The pod whose proxy is not ready, with the cause.
async fn failure<'a>(client: &Client, Endpoint { pod, address }: &'a Endpoint) -> Option<(&'a str, String)> {
    let asked = async {
        let server = Server::new(&address.to_string(), ADMIN);
        let request = server.request(Method::GET, &Path::fixed("ready"), PATIENCE, LONGEST)?;
        client.accepted(request).await
    };
    asked.await.err().map(|failure| (pod.as_str(), chain(&failure)))
}

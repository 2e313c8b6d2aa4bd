//! One call, from its rule to its answer.

use bytes::Bytes;
use http::{Request, uri::Authority};
use http_body_util::BodyExt as _;
use prometheus_client::registry::Registry;
use tower::BoxError;

use crate::{
    answer::{Answer, Body},
    calls::Calls,
    metrics::Counts,
    product::Product,
    rule::Rule,
    upstream::Upstream,
};

/// Both upstreams, with the metrics; all clones are the same bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    kubo: Upstream,
    cluster: Upstream,
    counts: Counts,
    pub(crate) calls: Calls,
}

impl Bridge {
    /// A bridge to Kubo's RPC and IPFS Cluster's REST API at these hosts and ports.
    pub fn new(kubo: Authority, cluster: Authority) -> Self {
        let counts = Counts::default();
        let calls = Calls::new(counts.in_flight.clone());
        let kubo = Upstream::new(Product::Kubo, kubo);
        Self { kubo, cluster: Upstream::new(Product::Cluster, cluster), counts, calls }
    }

    /// Adds its metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.counts.register(registry);
    }

    /// Whether both upstreams answer: each did in the last ten seconds, or does now, within two.
    ///
    /// # Errors
    ///
    /// The failures of upstreams that do not answer, one per line.
    pub async fn answers(&self) -> Result<(), String> {
        let (kubo, cluster) = tokio::join!(self.kubo.answers(), self.cluster.answers());
        let silent: Vec<String> = [kubo.err(), cluster.err()].into_iter().flatten().collect();
        if silent.is_empty() { Ok(()) } else { Err(silent.join("\n")) }
    }

    /// Answers a call to one of the two products, by its rule or unchanged.
    pub(crate) async fn answer<B>(&self, product: Product, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let upstream = match product {
            Product::Kubo => &self.kubo,
            Product::Cluster => &self.cluster,
        };
        // Only the path: a query may contain published data.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let rule = Rule::find(product, &request);
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let answer = match rule {
            Some(rule) => rule.answer(upstream, request).await,
            None => upstream.pass(request).await,
        };
        let answer = answer.unwrap_or_else(|failure| {
            tracing::warn!(upstream = product.label(), %method, path, error = %failure, "no answer to pass on");
            failure.answer(product)
        });
        self.counts.count_answer(product, rule, answer.status());
        tracing::debug!(upstream = product.label(), %method, path, status = answer.status().as_u16(), "answered");
        answer.map(|body| self.watched(product, path, body))
    }

    /// The body, with a warning if it is cut off: the client's is then cut off, too.
    fn watched(&self, product: Product, path: String, body: Body) -> Body {
        let counts = self.counts.clone();
        let broken = move |error: BoxError| {
            counts.count_broken_answer(product);
            tracing::warn!(upstream = product.label(), path, error = %error, "the answer was cut off");
            error
        };
        body.map_err(broken).boxed_unsync()
    }
}

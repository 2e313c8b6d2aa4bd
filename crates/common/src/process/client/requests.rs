//! The number of requests sent, by kind.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::Request;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};
use tower::{
    Layer,
    util::{MapRequest, MapRequestLayer},
};

use super::{Call, Counts, Verb};

/// The count of requests that a client sent; a handle, so all clones count together.
///
/// The Lease and the watches are counted too: a test without them counts one resource, or uses the difference of two
/// [snapshots](Self::snapshot).
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Mutex<BTreeMap<Call, u64>>>);

impl Requests {
    /// The layer that counts what passes through it.
    pub fn layer<S, B>(
        &self,
    ) -> impl Layer<S, Service = MapRequest<S, impl FnMut(Request<B>) -> Request<B> + Clone + use<S, B>>> + Clone + use<S, B>
    {
        let requests = self.clone();
        MapRequestLayer::new(move |request: Request<B>| {
            requests.add(Call::parse(request.method(), request.uri()));
            request
        })
    }

    /// The number of requests of `verb` on `resource` (`pods`, `postgresdatabases/status`), in all groups.
    pub fn count(&self, verb: Verb, resource: &str) -> u64 {
        self.sum(|call| call.verb == verb && call.resource == resource)
    }

    /// The number of requests that may have changed the cluster.
    #[cfg(test)]
    pub(crate) fn total_writes(&self) -> u64 {
        self.sum(|call| call.verb.is_write())
    }

    /// All counts as they are now.
    pub fn snapshot(&self) -> Counts {
        Counts(self.counts().clone())
    }

    /// Adds the family `temporal_stack_kubernetes_client_requests_total{verb,group,resource}` to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("kubernetes_client_requests", "Requests sent to the Kubernetes API server", self.clone());
    }

    pub(in crate::process) fn add(&self, call: Call) {
        *self.counts().entry(call).or_default() += 1;
    }

    fn sum(&self, wanted: impl Fn(&Call) -> bool) -> u64 {
        let counts = self.counts();
        counts.iter().filter_map(|(call, count)| wanted(call).then_some(count)).sum()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Call, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EncodeMetric for Requests {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (call, count) in self.snapshot().0 {
            let labels = [("verb", call.verb.as_str()), ("group", &call.group), ("resource", &call.resource)];
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use kube::{
        Api, Client,
        api::{Patch, PatchParams},
        client::Body,
    };
    use tower::{ServiceBuilder, service_fn};

    use super::*;

    #[tokio::test]
    async fn refused_requests_are_counted_too() {
        let requests = Requests::default();
        let service = ServiceBuilder::new()
            .layer(requests.layer())
            .service(service_fn(async |_: Request<Body>| Response::builder().status(500).body(Body::empty())));
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(Client::new(service, "default"), "default");
        let patch = Patch::Merge(serde_json::json!({}));

        assert!(pods.get("a").await.is_err());
        for name in ["a", "b"] {
            let params = PatchParams::default();
            assert!(pods.patch_status(name, &params, &patch).await.is_err());
        }

        assert_eq!(requests.count(Verb::Get, "pods"), 1);
        assert_eq!(requests.count(Verb::Patch, "pods/status"), 2);
        assert_eq!(requests.count(Verb::Patch, "pods"), 0);
        assert_eq!(requests.total_writes(), 2);
        assert_eq!(requests.snapshot().0.len(), 2);
    }
}

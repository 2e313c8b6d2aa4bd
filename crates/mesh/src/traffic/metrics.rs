//! The figures of all edges as metrics of this controller.
//!
//! An edge that is gone has no metrics, so they are written from the reports of the last rounds rather than kept. Labels are the
//! names of Meshes and components, ports, and words of this program; what a proxy says never becomes one. So the number of series
//! is bounded by that of objects, and by [`EDGES`].

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::{MetricType, counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use super::{
    edge::{Edge, Figures},
    subject::Ends,
};

/// The most edges of all Meshes that have metrics.
const EDGES: usize = 2048;
/// What comes before the names of these metrics.
const PREFIX: &str = "mesh";

/// How reading a proxy ends.
const SUCCESS: &str = "success";
const FAILURE: &str = "failure";

/// The edges of a Mesh, by its namespace and name.
type Edges = BTreeMap<(String, String), Vec<Edge>>;

/// The metrics of the traffic; all clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    edges: Arc<Mutex<Edges>>,
    scrapes: Family<Scrape, Counter>,
    bytes: Counter,
}

/// How reading a proxy ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Scrape {
    result: &'static str,
}

/// The metrics of a Mesh; they are gone when this is dropped.
#[derive(Debug)]
pub(super) struct Published {
    metrics: Metrics,
    mesh: (String, String),
}

impl Published {
    /// Replaces the edges.
    pub(super) fn replace(&self, edges: Vec<Edge>) {
        let mut all = self.metrics.edges();
        all.remove(&self.mesh);
        let taken: usize = all.values().map(Vec::len).sum();
        if taken + edges.len() <= EDGES {
            all.insert(self.mesh.clone(), edges);
        }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.metrics.edges().remove(&self.mesh);
    }
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        // Both results are there from the start, so that the first failure is a change.
        for result in [SUCCESS, FAILURE] {
            drop(self.scrapes.get_or_create(&Scrape { result }));
        }
        let registry = registry.sub_registry_with_prefix(PREFIX);
        registry.register("scrapes", "Reads of the metrics of proxies, by result", self.scrapes.clone());
        registry.register("scraped_bytes", "Bytes read from proxies", self.bytes.clone());
        registry.register_collector(Box::new(self.clone()));
    }

    /// The metrics of a Mesh, by its namespace and name.
    pub(super) fn published(&self, (namespace, name): (&str, &str)) -> Published {
        Published { metrics: self.clone(), mesh: (namespace.to_owned(), name.to_owned()) }
    }

    /// Counts a read of so many bytes, or a failed one.
    pub(super) fn count(&self, bytes: Option<usize>) {
        let result = if bytes.is_some() { SUCCESS } else { FAILURE };
        self.scrapes.get_or_create(&Scrape { result }).inc();
        self.bytes.inc_by(u64::try_from(bytes.unwrap_or_default()).unwrap_or(u64::MAX));
    }

    fn edges(&self) -> MutexGuard<'_, Edges> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A metric of edges: its name, help and unit, and its values with what tells them apart.
struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    values: fn(&Figures) -> Vec<Value>,
}

/// A value, if there is one, and the label that tells it from the others of its edge.
type Value = (Option<(&'static str, &'static str)>, Option<f64>);

static GAUGES: [Gauge; 9] = [
    Gauge {
        name: "edge_requests_per_second",
        help: "Answered requests, or opened connections where no HTTP is spoken",
        unit: None,
        values: |figures| vec![(None, Some(figures.requests))],
    },
    Gauge {
        name: "edge_success_ratio",
        help: "Of all answers, those without an error or a refusal by policy",
        unit: None,
        values: |figures| vec![(None, figures.successes)],
    },
    Gauge {
        name: "edge_latency",
        help: "Latency of answers to their first byte, by quantile",
        unit: Some(Unit::Seconds),
        values: |figures| {
            let of = |quantile, value| (Some(("quantile", quantile)), value);
            let latency = figures.latency;
            vec![
                of("0.5", latency.map(|latency| latency.p50)),
                of("0.95", latency.map(|latency| latency.p95)),
                of("0.99", latency.map(|latency| latency.p99)),
            ]
        },
    },
    Gauge {
        name: "edge_denials_per_second",
        help: "Requests and connections that a policy refused",
        unit: None,
        values: |figures| vec![(None, Some(figures.denials))],
    },
    Gauge {
        name: "edge_sent_bytes_per_second",
        help: "Bytes from the client to the server",
        unit: None,
        values: |figures| vec![(None, Some(figures.sent))],
    },
    Gauge {
        name: "edge_received_bytes_per_second",
        help: "Bytes from the server to the client",
        unit: None,
        values: |figures| vec![(None, Some(figures.received))],
    },
    Gauge {
        name: "edge_mutual_tls_ratio",
        help: "Of all requests, or bytes where no HTTP is spoken, those over mutual TLS",
        unit: None,
        values: |figures| vec![(None, figures.secure)],
    },
    Gauge {
        name: "edge_connections",
        help: "Open connections",
        unit: None,
        values: |figures| vec![(None, Some(figures.connections))],
    },
    Gauge {
        name: "edge_endpoints",
        help: "Endpoints of the balancer of the client that has the fewest, by state",
        unit: None,
        values: |figures| {
            let (ready, pending) = figures.endpoints.unzip();
            vec![(Some(("state", "ready")), ready), (Some(("state", "pending")), pending)]
        },
    },
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.edges();
        for Gauge { name, help, unit, values } in &GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for ((namespace, mesh), edges) in all.iter() {
                for Edge { ends: Ends { client, server, port }, figures, .. } in edges {
                    let (client, server, port) = (client.to_string(), server.to_string(), port.to_string());
                    for (label, value) in values(figures) {
                        let Some(value) = value else { continue };
                        let mut labels = vec![
                            ("mesh_namespace", namespace.as_str()),
                            ("mesh", mesh),
                            ("client", &client),
                            ("server", &server),
                            ("port", &port),
                        ];
                        labels.extend(label);
                        metric.encode_family(&labels)?.encode_gauge(&value)?;
                    }
                }
            }
        }
        Ok(())
    }
}

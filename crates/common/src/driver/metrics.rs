//! The metrics of the driver.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::{ResourceExt, core::DeserializeGuard, runtime::reflector::Store};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::watches::Caches;
use crate::{
    api::{Kind, Status},
    component::Component,
    condition::{READY, SUSPENDED, find, reason},
};

/// Upper bounds of the buckets for durations, in seconds.
const BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// All results of passes. Each is counted from zero, so that a rate has its first one, too.
const RESULTS: [&str; 6] = ["changed", "failed", "overran", "panicked", "unchanged", "unparsable"];

/// How a pass ended, from a closed list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    result: &'static str,
}

/// Counts passes by how they ended, and measures how long they took.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    ended: Family<PassLabels, Counter>,
    duration: Histogram,
}

impl Passed {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let passed = Self { ended: Family::default(), duration: Histogram::new(BUCKETS) };
        for result in RESULTS {
            passed.ended.get_or_create(&PassLabels { result }).inc_by(0);
        }
        registry.register("passes", "Passes over objects, by result", passed.ended.clone());
        let help = "Duration of a pass over an object";
        registry.register_with_unit("pass_duration", help, Unit::Seconds, passed.duration.clone());
        passed
    }

    pub(super) fn count(&self, result: &'static str) {
        self.ended.get_or_create(&PassLabels { result }).inc();
    }

    pub(super) fn time(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }
}

/// The states of all objects, read from the cache at each scrape: nothing is kept for them.
#[derive(Debug)]
pub(super) struct Objects<K: Kind> {
    objects: Store<DeserializeGuard<K>>,
    leading: Arc<AtomicBool>,
}

impl<K: Kind> Objects<K> {
    pub(super) fn register<C: Component<Kind = K>>(caches: &Caches<C>, registry: &mut Registry) {
        let (objects, leading) = (caches.objects.clone(), caches.leading.clone());
        registry.register_collector(Box::new(Self { objects, leading }));
    }

    fn encode_conditions(objects: &[Arc<DeserializeGuard<K>>], mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let kind = K::kind(&());
        for object in objects {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let mut encode = |condition: &str, status: &str, reason: &str| {
                let labels = [
                    ("kind", &*kind),
                    ("object_namespace", &namespace),
                    ("object", &name),
                    ("condition", condition),
                    ("status", status),
                    ("reason", reason),
                ];
                ConstGauge::new(1_u64).encode(encoder.encode_family(&labels)?)
            };
            let Ok(object) = &object.0 else {
                // It does not parse, and its conditions cannot be read.
                encode(READY, "False", reason::UNPARSABLE.as_str())?;
                continue;
            };
            for condition in object.status().iter().flat_map(|status| status.conditions()) {
                encode(&condition.type_, &condition.status, &condition.reason)?;
            }
        }
        Ok(())
    }

    /// The number of objects whose newest generation no pass has reported on.
    fn pending(objects: &[Arc<DeserializeGuard<K>>]) -> u64 {
        let is_pending = |object: &K| {
            let reported = object.status().and_then(|status| {
                let conditions = status.conditions();
                // A suspended object is not Ready, and not pending either.
                find(conditions, READY).or_else(|| find(conditions, SUSPENDED))?.observed_generation
            });
            object.meta().deletion_timestamp.is_none() && reported != object.meta().generation
        };
        let pending = objects.iter().filter(|object| object.0.as_ref().is_ok_and(is_pending)).count();
        u64::try_from(pending).unwrap_or(u64::MAX)
    }
}

impl<K: Kind> Collector for Objects<K> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Conditions of objects, each with its current status and reason";
        let objects = self.objects.state();
        let conditions = encoder.encode_descriptor("object_condition", help, None, MetricType::Gauge)?;
        Self::encode_conditions(&objects, conditions)?;
        let labels = [("kind", K::kind(&()))];
        let mut gauge = |name: &str, help: &str, value: u64| {
            let mut encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)
        };
        gauge("objects_pending", "Objects whose newest generation no pass has reported on", Self::pending(&objects))?;
        let leads = u64::from(self.leading.load(Ordering::SeqCst));
        gauge("leading", "Whether this instance holds the Lease and runs passes", leads)
    }
}

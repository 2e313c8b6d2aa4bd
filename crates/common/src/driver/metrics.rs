//! The metrics of the driver.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the buckets for durations, in seconds.
const BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

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

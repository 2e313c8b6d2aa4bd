//! What the driver counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// How a pass ended, from a closed list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

/// Counts passes by how they ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed(Family<Ended, Counter>);

impl Passed {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let passed = Self::default();
        registry.register("passes", "Passes over objects, by how they ended", passed.0.clone());
        passed
    }

    pub(super) fn count(&self, result: &'static str) {
        self.0.get_or_create(&Ended { result }).inc();
    }
}

//! The metrics of the bridge. Input of clients never becomes a label.

use http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{product::Product, rule::Rule};

/// How a call was answered, each from a closed list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    upstream: &'static str,
    rule: &'static str,
    status: &'static str,
}

/// The upstream of an answer that was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broken {
    upstream: &'static str,
}

/// The counts of a bridge; all clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    answered: Family<Answered, Counter>,
    broken: Family<Broken, Counter>,
    pub(crate) in_flight: Gauge,
}

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("bridge");
        registry.register("requests", "Calls by upstream, rule and class of the status", self.answered.clone());
        registry.register("broken_answers", "Answers that were cut off after their head", self.broken.clone());
        registry.register("requests_in_flight", "Calls that have not ended yet", self.in_flight.clone());
    }

    pub(crate) fn count_answer(&self, product: Product, rule: Option<Rule>, status: StatusCode) {
        let status = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let rule = rule.map_or("none", Rule::label);
        self.answered.get_or_create(&Answered { upstream: product.label(), rule, status }).inc();
    }

    pub(crate) fn count_broken_answer(&self, product: Product) {
        self.broken.get_or_create(&Broken { upstream: product.label() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::process::Metrics;

    use super::*;

    #[test]
    fn calls_are_counted_by_upstream_rule_and_class() {
        let (metrics, counts) = (Metrics::new(), Counts::default());
        metrics.register(|registry| counts.register(registry));
        counts.count_answer(Product::Kubo, None, StatusCode::OK);
        counts.count_answer(Product::Cluster, Some(Rule::PinStatus), StatusCode::BAD_GATEWAY);
        counts.count_broken_answer(Product::Kubo);
        let text = metrics.encode().unwrap();
        for line in [
            r#"temporal_stack_bridge_requests_total{upstream="kubo",rule="none",status="2xx"} 1"#,
            r#"temporal_stack_bridge_requests_total{upstream="cluster",rule="pin-status",status="5xx"} 1"#,
            r#"temporal_stack_bridge_broken_answers_total{upstream="kubo"} 1"#,
            "temporal_stack_bridge_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{text}");
        }
    }
}

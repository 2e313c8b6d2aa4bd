//! The metrics of a process.

use std::{
    fmt, fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};

/// The media type of [`Metrics::encode`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The registry behind `/metrics`; a handle, so all clones are the same registry.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// A registry with the gauges of the process: when it started, and on Linux its resident memory.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ThisProcess { started: SystemTime::now() }));
        Self(Arc::new(Mutex::new(registry)))
    }

    /// Lets `add` register metrics, whose names get the prefix `temporal_stack_`; keep their handles to change them.
    pub fn register<T>(&self, add: impl FnOnce(&mut Registry) -> T) -> T {
        add(self.registry().sub_registry_with_prefix("temporal_stack"))
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics as `OpenMetrics` text.
    ///
    /// # Errors
    ///
    /// A metric registered here cannot be written.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.registry())?;
        Ok(written)
    }

    /// The answer of `/metrics`.
    pub fn answer(&self) -> Response {
        match self.encode() {
            Ok(text) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct ThisProcess {
    started: SystemTime,
}

impl Collector for ThisProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge(
            &mut encoder,
            ("process_start_time", "Start time of the process since the Unix epoch"),
            &Unit::Seconds,
            &ConstGauge::new(started.as_secs_f64()),
        )?;
        if let Some(bytes) = resident_memory() {
            gauge(
                &mut encoder,
                ("process_resident_memory", "Resident memory size of the process"),
                &Unit::Bytes,
                &ConstGauge::new(bytes),
            )?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    unit: &Unit,
    value: &impl EncodeMetric,
) -> fmt::Result {
    value.encode(encoder.encode_descriptor(name, help, Some(unit), value.metric_type())?)
}

/// `VmRSS` of `/proc/self/status` in bytes; `None` if the file does not exist.
fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::process::client::{Call, Counts, Requests};

    fn value(text: &str, metric: &str) -> f64 {
        let line = text.lines().find(|line| line.starts_with(metric));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn process_reports_start_time_and_memory() {
        let text = Metrics::new().encode().unwrap();
        assert!(value(&text, "process_start_time_seconds ") > 1.7e9, "{text}");
        if cfg!(target_os = "linux") {
            assert!(value(&text, "process_resident_memory_bytes ") > 1e5, "{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn requests_are_counted_by_verb_group_and_resource() {
        let (metrics, requests) = (Metrics::new(), Requests::default());
        metrics.register(|registry| requests.register(registry));
        let address = "/apis/apps/v1/namespaces/a/statefulsets/b".parse().unwrap();
        requests.add(Call::parse(&Method::PATCH, &address));
        let text = metrics.encode().unwrap();
        let line =
            r#"temporal_stack_kubernetes_client_requests_total{verb="patch",group="apps",resource="statefulsets"} 1"#;
        assert!(text.lines().any(|written| written == line), "{text}");
        assert_eq!(Counts::read(&text), requests.snapshot(), "{text}");
    }
}

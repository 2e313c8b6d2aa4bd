//! The metrics of a proxy that count, and those of their labels that matter.

use super::{subject::Client, text::Series};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered.
    Success,
    /// The server or a proxy failed.
    Failure,
    /// The policy refused it.
    Denial,
}

/// A metric of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Answers,
    Latency,
    Read,
    Written,
    Opened,
    Closed,
    Open,
    Endpoints,
    Judged { is_allowed: bool },
}

/// The metrics that count, by their names.
pub(super) const METRICS: [(&str, Metric); 14] = [
    ("response_total", Metric::Answers),
    ("response_latency_ms_bucket", Metric::Latency),
    ("tcp_read_bytes_total", Metric::Read),
    ("tcp_write_bytes_total", Metric::Written),
    ("tcp_open_total", Metric::Opened),
    ("tcp_close_total", Metric::Closed),
    ("tcp_open_connections", Metric::Open),
    ("outbound_http_balancer_endpoints", Metric::Endpoints),
    ("outbound_tcp_balancer_endpoints", Metric::Endpoints),
    ("inbound_http_authz_allow_total", Metric::Judged { is_allowed: true }),
    ("inbound_tcp_authz_allow_total", Metric::Judged { is_allowed: true }),
    ("inbound_http_authz_deny_total", Metric::Judged { is_allowed: false }),
    ("inbound_tcp_authz_deny_total", Metric::Judged { is_allowed: false }),
    ("inbound_tcp_authz_terminate_total", Metric::Judged { is_allowed: false }),
];

impl Metric {
    /// The metric of this name, if it counts.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        METRICS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, metric)| *metric)
    }
}

/// The labels that matter; those that are absent are empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Labels<'a> {
    direction: &'a str,
    pub(super) peer: &'a str,
    pub(super) tls: &'a str,
    target_port: &'a str,
    client_id: &'a str,
    no_tls_reason: &'a str,
    dst_namespace: &'a str,
    dst_service: &'a str,
    dst_workload: &'a str,
    backend_namespace: &'a str,
    backend_name: &'a str,
    backend_port: &'a str,
    status_code: &'a str,
    classification: &'a str,
    grpc_status: &'a str,
    error: &'a str,
    pub(super) errno: &'a str,
    pub(super) le: &'a str,
    pub(super) endpoint_state: &'a str,
    pub(super) route_name: &'a str,
    pub(super) srv_kind: &'a str,
    pub(super) srv_name: &'a str,
    pub(super) authz_kind: &'a str,
    pub(super) authz_name: &'a str,
    /// The length of the longest of them.
    pub(super) longest: usize,
}

impl<'a> Labels<'a> {
    /// The labels of a series.
    pub(super) fn of(series: Series<'a>) -> Self {
        let mut labels = Self::default();
        for (name, value) in series.labels() {
            if let Some(place) = labels.place(name) {
                *place = value;
                labels.longest = labels.longest.max(value.len());
            }
        }
        labels
    }

    fn place(&mut self, name: &str) -> Option<&mut &'a str> {
        Some(match name {
            "direction" => &mut self.direction,
            "peer" => &mut self.peer,
            "tls" => &mut self.tls,
            "target_port" => &mut self.target_port,
            "client_id" => &mut self.client_id,
            "no_tls_reason" => &mut self.no_tls_reason,
            "dst_namespace" => &mut self.dst_namespace,
            "dst_service" => &mut self.dst_service,
            "dst_statefulset" | "dst_deployment" | "dst_job" => &mut self.dst_workload,
            "backend_namespace" => &mut self.backend_namespace,
            "backend_name" => &mut self.backend_name,
            "backend_port" => &mut self.backend_port,
            "status_code" => &mut self.status_code,
            "classification" => &mut self.classification,
            "grpc_status" => &mut self.grpc_status,
            "error" => &mut self.error,
            "errno" => &mut self.errno,
            "le" => &mut self.le,
            "endpoint_state" => &mut self.endpoint_state,
            "route_name" => &mut self.route_name,
            "srv_kind" => &mut self.srv_kind,
            "srv_name" => &mut self.srv_name,
            "authz_kind" => &mut self.authz_kind,
            "authz_name" => &mut self.authz_name,
            _ => return None,
        })
    }

    /// The server's port.
    pub(super) fn port(&self) -> Option<u16> {
        let text = if self.target_port.is_empty() { self.backend_port } else { self.target_port };
        text.parse().ok()
    }

    /// Whether the series is about what arrives at the pod.
    pub(super) fn is_inbound(&self) -> Option<bool> {
        match self.direction {
            "inbound" => Some(true),
            "outbound" => Some(false),
            _ => None,
        }
    }

    /// The server's namespace, Service and workload.
    pub(super) fn destination(&self) -> (&'a str, &'a str, &'a str) {
        if self.backend_name.is_empty() {
            (self.dst_namespace, self.dst_service, self.dst_workload)
        } else {
            (self.backend_namespace, self.backend_name, "")
        }
    }

    /// The client of an inbound series; `None` for what the pod sends to itself.
    pub(super) fn client(&self) -> Option<Client> {
        if !self.client_id.is_empty() {
            return Some(Client::Identity(self.client_id.to_owned()));
        }
        (self.no_tls_reason != "loopback").then(|| Client::Unmeshed(self.no_tls_reason.to_owned()))
    }

    /// How a request ended. Linkerd counts a refusal by policy as a success.
    pub(super) fn outcome(&self) -> Outcome {
        let status: u16 = self.status_code.parse().unwrap_or_default();
        if status == 403 || ["7", "PERMISSION_DENIED"].contains(&self.grpc_status) {
            Outcome::Denial
        } else if status >= 500 || !self.error.is_empty() || self.classification == "failure" {
            Outcome::Failure
        } else {
            Outcome::Success
        }
    }
}

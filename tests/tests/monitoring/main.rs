//! Alerts and dashboards, as Prometheus reads them.

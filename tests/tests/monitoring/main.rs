//! Alerts and dashboards, as Prometheus reads them.

mod alerts;
mod names;

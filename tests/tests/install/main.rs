//! The ways to install, without a cluster: what Helm renders and kustomize builds, compared with the plain manifests.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod chart;
mod commands;
mod overlay;
mod values;

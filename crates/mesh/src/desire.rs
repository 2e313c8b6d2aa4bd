//! The bill of materials, in the order of applying: authentications, policies, Servers, routes, and what leaves.

use temporal_stack_common::manifest::Manifest;

use crate::decide::enforcement::Enforcement;

/// The desired objects.
pub(crate) fn desire(enforcement: Enforcement) -> Vec<Manifest> {
    enforcement.manifests
}

//! Who may connect to the server.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use temporal_stack_common::network::{Audience, Policy, tcp};

use crate::{
    Defaults,
    decide::view::View,
    names::{COMPONENT, PORT, selector},
};

/// The policy: which ports are open, and to which peers.
pub(super) fn policy(view: &View<'_>, defaults: &Defaults) -> NetworkPolicy {
    let (names, access) = (&view.names, &view.object.spec.access);
    Policy::new(&names.base, selector(names), &[COMPONENT, "temporal"], &defaults.home, access)
        .opening(&[tcp(PORT, Audience::Clients), tcp(PORT, Audience::Operators)])
}

//! Who may connect to the server.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use temporal_stack_common::{
    api::PostgresDatabase,
    network::{Audience, Clients, Policy, tcp},
};

use super::stateful_set::selector;
use crate::{
    Defaults,
    names::{self, PORT},
};

/// What may come in, and from whom.
pub(super) fn policy(object: &PostgresDatabase, defaults: &Defaults) -> NetworkPolicy {
    let access = &object.spec.access;
    let policy = Policy {
        name: names::server(object),
        pods: selector(object),
        members: selector(object),
        controllers: &["database", "temporal"],
        home: &defaults.home,
        clients: Clients::listed_or_everybody(access.clients.as_ref()),
        metrics: &access.metrics,
    };
    policy.opening(&[tcp(PORT, Audience::Clients)])
}

//! Whether another provider has the data.

use temporal_stack_common::component::Stalled;

use super::view::View;
use crate::{names::PROVIDER, reason};

/// Refuses a change from or to CloudNativePG while there are data: an application would find an empty database, and believe that its
/// rows are lost.
pub(super) fn unchanged(view: &View<'_>) -> Result<(), Stalled> {
    let provider = &view.object.spec.provider;
    let (traces, is_delegated) = (view.traces, provider.cloud_native_pg.is_some());
    let had = match (&traces.claim, &traces.cluster, traces.bound.as_deref()) {
        (Some(claim), ..) if is_delegated => ("postgres", format!("PersistentVolumeClaim/{claim}")),
        (.., Some("external")) if is_delegated => ("external", format!("the server of Secret/{}", view.names.binding)),
        (_, Some(cluster), _) if !is_delegated => (PROVIDER, format!("Cluster/{cluster}")),
        _ => return Ok(()),
    };
    let now = match (is_delegated, &provider.external) {
        (true, _) => PROVIDER,
        (false, Some(_)) => "external",
        (false, None) => "postgres",
    };
    let (before, place) = had;
    let message = format!(
        "spec.provider changed from {before} to {now}: {place} has the data, which would stay behind; set spec.provider back to {before}, or create another PostgresDatabase with {now} and copy the data with pg_dump and pg_restore"
    );
    Err(Stalled::new(reason::PROVIDER_CHANGED, message))
}

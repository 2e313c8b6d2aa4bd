//! Whether another provider has the data, from where they do not move.

use temporal_stack_common::component::Stalled;

use super::view::View;
use crate::{moving::ProviderName, names::PROVIDER, reason};

/// Refuses a provider that leaves data behind: an application would find an empty database, and believe that its rows are lost. Where
/// the binding leads to another provider, the data move ([`super::moving`]); without it, nothing shows that these data were in use.
pub(super) fn unchanged(view: &View<'_>) -> Result<(), Stalled> {
    let (traces, wanted) = (view.traces, ProviderName::of_spec(view.object));
    let (before, place) = match (wanted, traces.bound, &traces.claim, &traces.cluster) {
        (ProviderName::External, Some(ProviderName::CloudNativePg), _, _) => (PROVIDER, view.names.base.clone()),
        (ProviderName::CloudNativePg, None, Some(claim), None) => ("postgres", claim.clone()),
        (ProviderName::Postgres, None, None, Some(cluster)) | (ProviderName::External, None, _, Some(cluster)) => {
            (PROVIDER, cluster.clone())
        }
        _ => return Ok(()),
    };
    let kind = if before == PROVIDER { "Cluster" } else { "PersistentVolumeClaim" };
    let now = wanted.as_str();
    let message = format!(
        "spec.provider changed from {before} to {now}: {kind}/{place} has the data, which would stay behind; set spec.provider back to {before}, or create another PostgresDatabase with {now} and copy the data with pg_dump and pg_restore"
    );
    Err(Stalled::new(reason::PROVIDER_CHANGED, message))
}

//! The conditions about a move, and about the data that it leaves behind.

use temporal_stack_common::{condition::Statement, message::kubectl};

use super::view::{Stage, View};
use crate::{
    decide::view::View as Whole,
    moving::{ProviderName, Step},
    names::MOVING,
    reason,
};

/// Data of another provider than the one that serves.
const PREVIOUS_DATA_KEPT: &str = "PreviousDataKept";

impl View<'_> {
    /// The condition.
    pub(crate) fn statement(&self) -> Statement {
        let message = match &self.outcome {
            Ok(waiting) => &waiting.message,
            Err(stalled) => return Statement::fails(MOVING, stalled.reason, &stalled.message),
        };
        let reason = match self.stage {
            Stage::Preparing | Stage::Blocked => reason::PREPARING,
            Stage::Rehearsing => reason::REHEARSING,
            Stage::Copying if matches!(self.step(), Some(Step::Comparing | Step::Done)) => reason::COMPARING,
            Stage::Copying => reason::COPYING,
            Stage::Switching => reason::SWITCHING,
            Stage::Leaving | Stage::Ending => reason::SWITCHED,
            Stage::Returning | Stage::Failed => reason::RETURNING,
        };
        Statement::holds(MOVING, reason, message)
    }
}

/// The data that an earlier provider left behind.
pub(crate) fn kept_data(whole: &Whole<'_>) -> Option<Statement> {
    let (names, traces) = (&whole.names, whole.traces);
    let wanted = ProviderName::of_spec(whole.object);
    traces.bound.filter(|bound| *bound == wanted && whole.moving.is_none())?;
    let (what, resource, name, provider) = match (wanted, &traces.claim, &traces.cluster) {
        (ProviderName::CloudNativePg | ProviderName::External, Some(claim), _) => {
            ("PersistentVolumeClaim", "pvc", claim, ProviderName::Postgres)
        }
        (ProviderName::Postgres | ProviderName::External, _, Some(cluster)) => {
            ("Cluster", "clusters.postgresql.cnpg.io", cluster, ProviderName::CloudNativePg)
        }
        _ => return None,
    };
    let message = format!(
        "{what}/{name} kept: it has the data of the provider {} from before the change; delete it when they are not needed: {}",
        provider.as_str(),
        kubectl(&names.namespace, &format!("delete {resource} {name}"))
    );
    Some(Statement::holds(PREVIOUS_DATA_KEPT, reason::RETAINED, message))
}

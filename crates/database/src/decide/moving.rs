//! What follows from a change of the provider: how far the move is, and what it does next.
//!
//! | stage | record afterwards | the source | the target |
//! |---|---|---|---|
//! | Blocked | as before | serves | as before |
//! | Preparing | Preparing | serves | is set up |
//! | Rehearsing | Preparing, then Copying | serves | is ready; the Job tries whether it can copy |
//! | Copying | Copying, then Switched | is closed | gets the data |
//! | Switching | Switched | is closed | gets the binding |
//! | Leaving | Switched, then none | stops | serves; the Job analyses its tables |
//! | Returning | Returning, then none or Failed | is opened, and serves | goes |
//! | Failed | Failed | serves | – |
//! | Ending | none | as before | as before |

mod advance;
mod checks;
pub(crate) mod statements;
pub(crate) mod view;

use std::time::Duration;

use temporal_stack_common::{
    component::{Gate, Intent, Stalled, Waiting},
    login::Access,
};

use self::view::{Stage, View};
use super::{actions, version, view::View as Whole};
use crate::{
    Database, Defaults,
    act::{Action, Change},
    desire,
    moving::{Move, Observed, ProviderName, Step},
    observed::Observed as All,
    postgres::Reach,
    reason,
    verify::Probe,
};

/// How soon to look again: no watch shows when the last session of a client has ended.
const POLL: Duration = Duration::from_secs(2);

/// The move of an object, if one is recorded or asked for. `whole` is its view without it.
pub(super) fn find<'a>(whole: &Whole<'a>, observed: &'a All) -> Option<View<'a>> {
    let found: &Observed = observed.moving.as_deref()?;
    let wanted = ProviderName::of_spec(whole.object);
    let way = Move::find(found.record.as_ref(), whole.traces.bound, wanted)?;
    let advance::Advance { stage, record, outcome } = advance::advance(whole, found, way, wanted);
    let (is_back, deletes_source) = (wanted == way.from, advance::deletes_source(whole, found));
    Some(View { way, observed: found, is_back, deletes_source, stage, record, outcome })
}

/// What changes on the source: it is closed only while the record says so.
fn source_actions(moving: &View<'_>) -> Vec<Action> {
    let (Some(access), Some(source)) = (&moving.observed.access, moving.observed.source.known()) else {
        return Vec::new();
    };
    let reach = match moving.way.from {
        ProviderName::Postgres | ProviderName::CloudNativePg => Reach::Administrator,
        ProviderName::External => Reach::Application,
    };
    let changes = match moving.stage {
        Stage::Copying if moving.step() == Some(Step::Copying) && !source.is_closed => {
            vec![Change::Close(reach), Change::EndSessions(reach)]
        }
        Stage::Copying if moving.step() == Some(Step::Copying) && !source.is_quiet => {
            vec![Change::EndSessions(reach)]
        }
        Stage::Preparing | Stage::Rehearsing | Stage::Returning if source.is_closed => vec![Change::Open(reach)],
        _ => Vec::new(),
    };
    let action = |change| Action { access: access.clone(), database: access.scope.clone(), change };
    changes.into_iter().map(action).collect()
}

/// The intent during a move.
pub(super) fn intent(whole: &Whole<'_>, moving: &View<'_>, defaults: &Defaults) -> Result<Intent<Database>, Stalled> {
    let waiting = moving.outcome.clone()?;
    let has_target = matches!(moving.stage, Stage::Preparing | Stage::Rehearsing) || moving.is_switched();
    let is_back = moving.stage == Stage::Returning && moving.is_back;
    let mut changes = source_actions(moving);
    if let Some(server) = whole.provider.administered().filter(|_| has_target || is_back) {
        changes.extend(actions(whole, server));
    }
    // The Job needs both servers as they are.
    let is_fixed = matches!(moving.stage, Stage::Rehearsing | Stage::Copying | Stage::Switching);
    let restart = if is_fixed { Gate::Closed("the data are moving".to_owned()) } else { Gate::Open };
    let intent = Intent {
        manifests: desire::desire(whole, defaults),
        actions: changes,
        waiting: Some(waiting),
        restart,
        rollout: whole.object.spec.rollout,
        keeps_templates: is_fixed,
        look_again: Some(POLL),
        ..Intent::default()
    };
    // The server that serves afterwards keeps its image, too, until a new one has been tried.
    Ok(if is_back || moving.stage == Stage::Leaving { version::guard(whole, intent, defaults) } else { intent })
}

/// How the database is verified that the binding leads to: not while it is closed.
pub(super) fn serving(whole: &Whole<'_>, moving: &View<'_>) -> Option<Probe> {
    let access: Option<Access> = match moving.stage {
        Stage::Leaving => whole.application(),
        Stage::Copying | Stage::Switching => None,
        _ => moving.observed.binding.clone(),
    };
    let is_external = moving.way.from == ProviderName::External && !moving.is_switched();
    access.map(|access| Probe { access, is_external })
}

/// The move is about this.
pub(super) fn about(way: Move) -> String {
    format!("moving the data from {} to {}", way.from.as_str(), way.to.as_str())
}

/// The message of something that is awaited.
fn waiting(message: String) -> Waiting {
    Waiting::new(reason::MOVING, message)
}

#[cfg(test)]
mod tests;

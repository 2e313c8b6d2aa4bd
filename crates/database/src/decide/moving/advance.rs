//! The next stage of a move, from its record and what is observed.

use temporal_stack_common::{
    api::{DeletionPolicy, PostgresDatabase},
    component::{Stalled, Waiting},
    manifest::hash,
    message::kubectl,
};

use super::{about, checks, view::Stage, waiting};
use crate::{
    decide::{actions, provider_waiting, view::View as Whole},
    moving::{Move, Observed, Part, Phase, ProviderName, Record, Run, Step},
    names::{REPEAT_MOVE, move_name},
    observed::Provider,
    reason,
};

/// What a move does in this pass.
pub(super) struct Advance {
    pub(super) stage: Stage,
    pub(super) record: Option<Record>,
    pub(super) outcome: Result<Waiting, Stalled>,
}

/// What is known when a move advances.
struct Now<'a, 'b> {
    whole: &'b Whole<'a>,
    found: &'b Observed,
    way: Move,
    wanted: ProviderName,
}

/// Decides about it.
pub(super) fn advance(whole: &Whole<'_>, found: &Observed, way: Move, wanted: ProviderName) -> Advance {
    let now = Now { whole, found, way, wanted };
    let Some(record) = &found.record else { return now.begin() };
    // What serves is never the target of a move that goes on or returns, whatever the record says: it may have been restored or forged.
    if whole.traces.bound == Some(way.to) {
        return now.switch(record);
    }
    if let Some(stalled) = checks::contradiction(whole, found, record, wanted) {
        return blocked(Some(record.clone()), stalled);
    }
    if let Some(why) = checks::changed(whole, record, wanted) {
        return match record.phase {
            // The database is closed, and nothing shows when the user acts.
            Phase::Copying => now.fail(record, why),
            Phase::Returning => now.go_back(record),
            _ => blocked(Some(record.clone()), checks::blocked(way, &why)),
        };
    }
    match record.phase {
        Phase::Preparing if now.is_wanted() => now.prepare(record),
        Phase::Copying if now.is_wanted() => now.copy(record),
        Phase::Preparing | Phase::Copying | Phase::Returning => now.go_back(record),
        Phase::Switched => now.switch(record),
        Phase::Failed => now.rest(record),
    }
}

/// Whether the data of the source go at the end: only where the record shows that they were copied.
pub(super) fn deletes_source(whole: &Whole<'_>, found: &Observed) -> bool {
    let is_copied = found.record.as_ref().is_some_and(|record| record.phase == Phase::Switched);
    is_copied && whole.object.spec.deletion_policy == DeletionPolicy::Delete
}

impl Now<'_, '_> {
    /// Whether the spec names the target.
    fn is_wanted(&self) -> bool {
        self.wanted == self.way.to
    }

    fn begin(&self) -> Advance {
        if let Some(stalled) = checks::cannot_begin(self.whole, self.found, self.way) {
            return blocked(None, stalled);
        }
        // A target that the user must correct first is not begun.
        if let Err(stalled) = provider_waiting(self.whole) {
            return blocked(None, stalled);
        }
        let theirs = self.found.binding.clone().filter(|_| self.way.from == ProviderName::External);
        let record = Record {
            way: self.way,
            phase: Phase::Preparing,
            is_closed: false,
            failure: None,
            attempt: None,
            database: self.whole.settings.database.clone(),
            theirs,
        };
        let message = format!("{}: the new server is being set up, the old one serves", about(self.way));
        going(Stage::Preparing, Some(record), waiting(message))
    }

    fn prepare(&self, record: &Record) -> Advance {
        let preparing = |awaited| going(Stage::Preparing, Some(record.clone()), awaited);
        let awaited = match provider_waiting(self.whole) {
            Err(stalled) => return blocked(Some(record.clone()), stalled),
            Ok(awaited) => awaited,
        };
        if let Some(Run { step: Step::Failed, trouble, .. }) = &self.found.job {
            return self.fail(record, format!("rehearsal failed: {}", words(trouble.as_ref())));
        }
        if let Some(Waiting { reason, message }) = awaited.or_else(|| self.unprepared()) {
            return preparing(Waiting::new(reason, format!("{}: {message}; the old server serves", about(self.way))));
        }
        let (Some(source), Some(target)) = (self.found.source.known(), self.found.target.known()) else {
            return preparing(waiting(checks::unreachable(self.found, self.way)));
        };
        let has_begun = self.found.job.as_ref().is_some_and(|job| job.step != Step::Rehearsing);
        if let Some(stalled) = checks::obstacle(self.whole, self.way, source, target) {
            return blocked(Some(record.clone()), stalled);
        }
        if has_begun {
            let message = format!("{}: the old server takes no more clients", about(self.way));
            return going(Stage::Rehearsing, Some(record.in_phase(Phase::Copying)), waiting(message));
        }
        let trouble = self.found.job.as_ref().and_then(|job| job.trouble.as_ref());
        let cause = trouble.map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        let message = format!(
            "{}: Job/{} tries whether it can copy{cause}; the old server serves",
            about(self.way),
            move_name(&self.whole.names)
        );
        going(Stage::Rehearsing, Some(record.clone()), waiting(message))
    }

    /// The target has not everything that an application needs.
    fn unprepared(&self) -> Option<Waiting> {
        let server = self.whole.provider.administered()?;
        let is_ready = server.rotation.has_usable() && actions(self.whole, server).is_empty();
        (!is_ready).then(|| Waiting::new(reason::PREPARING, "the database and its login are being created"))
    }

    /// Whether applications can use the target.
    fn answers(&self) -> bool {
        match &self.whole.provider {
            Provider::Administered(server) => server.server.known().is_some() && self.unprepared().is_none(),
            Provider::External(access) => access.is_ok(),
        }
    }

    fn copy(&self, record: &Record) -> Advance {
        let copying = |message: String| going(Stage::Copying, Some(record.clone()), waiting(message));
        let what = about(self.way);
        let is_copied = self.found.job.as_ref().is_some_and(|job| matches!(job.step, Step::Comparing | Step::Done));
        if is_copied && self.found.source.known().is_some_and(|source| !source.is_closed) {
            return self
                .fail(record, "the old server was opened to its clients before the copy was complete".to_owned());
        }
        match &self.found.job {
            None => self.fail(record, "Job was deleted".to_owned()),
            Some(Run { step: Step::Failed, trouble, .. }) => self.fail(record, words(trouble.as_ref())),
            // The database is closed: the new server need not be complete, only answer with the login.
            Some(Run { step: Step::Done, .. }) if self.answers() => {
                let message = format!("{what}: the copy has no difference, and the binding gets the new server");
                going(Stage::Copying, Some(record.in_phase(Phase::Switched)), waiting(message))
            }
            Some(Run { step: Step::Done, .. }) => {
                copying(format!("{what}: the data are copied; waiting for the new server to answer again"))
            }
            Some(Run { step: Step::Comparing, .. }) => {
                copying(format!("{what}: the copy is being compared; the database takes no clients meanwhile"))
            }
            Some(Run { step: Step::Copying, .. }) => {
                copying(format!("{what}: the data are being copied; the database takes no clients meanwhile"))
            }
            // There is only one pod.
            Some(Run { step: Step::Rehearsing, .. }) => {
                self.fail(record, format!("the pod of Job/{} was replaced", move_name(&self.whole.names)))
            }
        }
    }

    /// The target serves, whatever the spec names now: the record says so. Only while the binding still leads to the source, nobody
    /// can have written to the target.
    fn switch(&self, record: &Record) -> Advance {
        let bound = self.whole.traces.bound;
        let what = about(self.way);
        if bound == Some(self.way.to) {
            if !self.is_wanted() || self.has_left() {
                return going(Stage::Ending, None, waiting(format!("{what}: done"))).leaving_if(self.is_wanted());
            }
            let message = format!("{what}: the new server serves, and the old one is being stopped");
            return going(Stage::Leaving, Some(record.clone()), waiting(message));
        }
        if self.is_wanted() {
            let message = format!("{what}: the binding gets the new server");
            return going(Stage::Switching, Some(record.clone()), waiting(message));
        }
        if bound == Some(self.way.from) {
            return self.go_back(record);
        }
        let message = format!(
            "{what} has ended, and there is no binding: set spec.provider to {}, which has the data",
            self.way.to.as_str()
        );
        blocked(Some(record.clone()), Stalled::new(reason::MOVE_BLOCKED, message))
    }

    /// Whether nothing of the source and no Job runs any more, and what must go has gone.
    fn has_left(&self) -> bool {
        let deletes = deletes_source(self.whole, self.found);
        let parts = &self.found.embedded;
        if self.found.job.as_ref().is_some_and(|job| !job.has_ended) {
            return false;
        }
        match self.way.from {
            ProviderName::Postgres => {
                !parts.set && !parts.pod && !(deletes && (parts.claim.is_some() || parts.administrator.is_some()))
            }
            ProviderName::CloudNativePg => {
                self.found.cluster.as_ref().is_none_or(|cluster| !deletes && cluster.is_hibernated())
            }
            ProviderName::External => true,
        }
    }

    fn fail(&self, record: &Record, why: String) -> Advance {
        let attempt = Some(self.attempt());
        self.go_back(&Record { failure: Some(why), attempt, ..record.clone() })
    }

    fn go_back(&self, record: &Record) -> Advance {
        let what = about(self.way);
        if self.is_removed() && self.is_open(record) {
            return match &record.failure {
                Some(_) if self.is_wanted() => self.rest(&record.in_phase(Phase::Failed)),
                _ => going(Stage::Ending, None, waiting(format!("{what}: taken back"))),
            };
        }
        let why = record.failure.as_ref().map(|why| format!(" failed: {why}")).unwrap_or_default();
        let message = format!("{what}{why}; the old server serves, and the new one is being removed");
        going(Stage::Returning, Some(record.in_phase(Phase::Returning)), waiting(message))
    }

    /// Whether nothing of the target is left. What is older than the record is not of this move, and stays.
    fn is_removed(&self) -> bool {
        let parts = &self.found.embedded;
        let is_left = |part: Option<Part>| part.is_some_and(|part| !part.is_older);
        let is_gone = match self.way.to {
            ProviderName::Postgres => {
                !parts.set && !parts.pod && !is_left(parts.claim) && !is_left(parts.administrator)
            }
            ProviderName::CloudNativePg => !is_left(self.found.cluster_part),
            ProviderName::External => true,
        };
        is_gone && self.found.job.is_none()
    }

    /// Whether the source takes clients. While the spec names it, the ordinary decisions open it.
    fn is_open(&self, record: &Record) -> bool {
        let is_ordinary = self.wanted == self.way.from && self.way.from != ProviderName::External;
        !record.is_closed || is_ordinary || self.found.source.known().is_some_and(|source| !source.is_closed)
    }

    /// A move that failed is not repeated before the user has changed something.
    fn rest(&self, record: &Record) -> Advance {
        let is_same = record.attempt == Some(self.attempt());
        if !self.is_wanted() || (self.found.record.as_ref() == Some(record) && !is_same) {
            return going(Stage::Ending, None, waiting(format!("{}: begins again", about(self.way))));
        }
        if self.found.record.as_ref() != Some(record) {
            // The record comes first.
            let message = format!("{}: failed", about(self.way));
            return going(Stage::Ending, Some(record.clone()), waiting(message));
        }
        let names = &self.whole.names;
        let again = format!("annotate postgresdatabase {} {REPEAT_MOVE}=again --overwrite", names.object);
        let message = format!(
            "{} failed: {}; the old server serves; correct the cause and move again: {}; or set spec.provider back to {}",
            about(self.way),
            words(record.failure.as_ref()),
            kubectl(&names.namespace, &again),
            self.way.from.as_str()
        );
        Advance {
            stage: Stage::Failed,
            record: Some(record.clone()),
            outcome: Err(Stalled::new(reason::MOVE_FAILED, message)),
        }
    }

    /// What the user asks for now: the provider, and the annotation.
    fn attempt(&self) -> String {
        let PostgresDatabase { metadata, spec, .. } = self.whole.object;
        let asked = metadata.annotations.as_ref().and_then(|notes| notes.get(REPEAT_MOVE));
        let provider = serde_json::to_value(&spec.provider).unwrap_or_default();
        format!("{}/{}", hash(&provider), asked.map_or("", String::as_str))
    }
}

impl Advance {
    /// The last stage while the target serves and the spec names it: its children are applied as usual.
    fn leaving_if(self, is_wanted: bool) -> Self {
        let stage = if is_wanted { Stage::Leaving } else { self.stage };
        Self { stage, ..self }
    }
}

fn blocked(record: Option<Record>, stalled: Stalled) -> Advance {
    Advance { stage: Stage::Blocked, record, outcome: Err(stalled) }
}

fn going(stage: Stage, record: Option<Record>, awaited: Waiting) -> Advance {
    Advance { stage, record, outcome: Ok(awaited) }
}

fn words(trouble: Option<&String>) -> String {
    trouble.cloned().unwrap_or_else(|| "its pod has left no message".to_owned())
}

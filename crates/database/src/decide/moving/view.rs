//! How far a move is, as the other decisions and the bill of materials need it.

use temporal_stack_common::component::{Stalled, Waiting};

use crate::moving::{Move, Observed, Record, Step};

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It cannot begin, or cannot go on, before the user acts.
    Blocked,
    /// The target is being set up.
    Preparing,
    /// The Job tries whether it can copy.
    Rehearsing,
    /// The source is closed, and the Job copies and compares.
    Copying,
    /// The binding is about to lead to the target.
    Switching,
    /// The source is about to stop.
    Leaving,
    /// The source serves, and the target is about to go.
    Returning,
    /// It did not succeed, and nothing is left of it.
    Failed,
    /// Only the record is about to go.
    Ending,
}

/// A move.
pub(crate) struct View<'a> {
    pub(crate) way: Move,
    pub(crate) observed: &'a Observed,
    /// Whether the spec names the source again.
    pub(crate) is_back: bool,
    /// Whether the data of the source go at the end.
    pub(crate) deletes_source: bool,
    pub(crate) stage: Stage,
    /// The record after this pass, if it stays.
    pub(crate) record: Option<Record>,
    /// What is awaited, or what the user must do.
    pub(super) outcome: Result<Waiting, Stalled>,
}

impl View<'_> {
    /// Whether the Job exists, or should.
    pub(crate) fn has_job(&self) -> bool {
        self.observed.job.is_some() || self.stage == Stage::Rehearsing
    }

    /// Whether the Job analyses the tables of the target.
    pub(crate) fn is_analysing(&self) -> bool {
        self.observed.job.as_ref().is_some_and(|job| job.step == Step::Done && !job.has_ended)
    }

    /// Whether the target is the one that serves.
    pub(crate) fn is_switched(&self) -> bool {
        matches!(self.stage, Stage::Switching | Stage::Leaving)
    }

    /// How far the Job is.
    pub(super) fn step(&self) -> Option<Step> {
        self.observed.job.as_ref().map(|job| job.step)
    }
}

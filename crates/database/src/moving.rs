//! A change of the provider of a database with data: the data move from one server to another.
//!
//! ```text
//!   record:  Preparing ──────▶ Copying ──────────────▶ Switched ──▶ (removed)
//!               │  target beside  │  source closed,         binding names the target, source stops
//!               │  the source,    │  Job copies, compares
//!               │  Job rehearses  │
//!               └──────┬──────────┘
//!                      ▼ the spec goes back, or the copy fails
//!                  Returning ──▶ (removed), or Failed until the user acts
//! ```
//!
//! # Guarantees
//!
//! * **The record decides who serves.** It is written before what follows from it, so a crash at any point goes on from there. It is changed
//!   only in the version that was read, so an earlier leader does not turn it back.
//! * **What serves is not deleted.** If the binding leads to the target, the move has ended, whatever a record says that was restored or
//!   forged.
//! * **Nothing is written to the source** but that it takes no more clients, which is taken back when the move returns.
//! * **A target with data from before is never a target**: the record is created only while nothing of the target exists. So data that
//!   are not older than the record are of this move, and may be deleted when the move returns; older ones never are.
//! * **Nothing of the source is carried out by a superuser**: neither its code nor its answers.
//! * **One pod copies.** The Job is not repeated, so no earlier copy can write into a target that serves.

mod observed;
mod record;

pub(crate) use self::{
    observed::{EmbeddedParts, Locale, Mark, Observed, Part, Run, Source, Step, Target},
    record::{Move, Phase, ProviderName, Record, read_access},
};

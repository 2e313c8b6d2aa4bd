//! The bytes on the wire.

mod failures;
mod passing;
mod translated;

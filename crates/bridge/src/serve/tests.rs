//! What goes over the wires, byte for byte.

mod failures;
mod passing;
mod translated;

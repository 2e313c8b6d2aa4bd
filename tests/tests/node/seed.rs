//! The seed word for word, as `xtask up` brings it up: one test after the other, because there is one stack.

mod as_given;
mod everything;
mod faults;
mod ipfs;
mod newer;
pub(crate) mod node;
mod queue;
mod remade;
mod rows;

//! The project's own tasks, one module per command, and their shared parts.
//!
//! A command is a run of [steps](step); it finds its directories in [`place`], changes the machine only through [`machine`], and
//! leaves only processes running that [`process`] can identify.

pub mod bench;
pub mod certificates;
pub mod cluster;
pub mod codegen;
pub mod command;
pub mod control_plane;
pub mod controllers;
pub mod deploy;
pub mod go_module;
pub mod images;
pub mod key;
pub mod kubectl;
pub mod machine;
pub mod node;
pub mod place;
pub mod process;
mod source;
pub mod stack;
pub mod step;
mod structure;
pub mod test;
pub mod tools;
pub mod wait;

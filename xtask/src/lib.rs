//! The project's own tasks, one module a command, and what they share.
//!
//! A command is a run of [steps](step); it finds its directories in [`place`], changes the machine through [`machine`]
//! only, and leaves running what [`process`] can tell from everything else.

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
pub mod stack;
pub mod step;
pub mod test;
pub mod wait;

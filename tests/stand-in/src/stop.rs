//! Why the program ends before its time.

use std::fmt::Display;

/// An end, its exit status and last words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The exit status.
    pub(crate) code: u8,
    /// What goes to standard error; may be empty.
    pub(crate) said: String,
}

impl Stop {
    /// An error that the original notices.
    pub(crate) fn exit(said: impl Into<String>) -> Self {
        Self { code: 1, said: said.into() }
    }

    /// The same, with its cause.
    pub(crate) fn caused(said: &str, cause: impl Display) -> Self {
        Self::exit(format!("{said} {cause}"))
    }

    /// An error that the original does not notice: Go's panic.
    pub(crate) fn panic(said: impl Display) -> Self {
        Self { code: 2, said: format!("panic: {said}\n\ngoroutine 1 [running]:") }
    }

    /// A signal that nobody handles. Go exits with 2 where the kernel ignores it, which is so for the first process of a container.
    pub(crate) fn signalled() -> Self {
        Self { code: 2, said: String::new() }
    }
}

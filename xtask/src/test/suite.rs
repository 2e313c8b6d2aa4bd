//! One call of `cargo test`.

use std::env;
use std::ffi::OsString;

use anyhow::Result;

use crate::place;
use crate::step::{LoggedCommand, Step};

/// One call of `cargo test`.
pub(super) struct Suite {
    /// The name of its step.
    pub(super) name: &'static str,
    targets: Vec<String>,
    threads: Option<usize>,
    options: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
}

impl Suite {
    /// The tests of these targets.
    pub(super) fn new(name: &'static str, targets: &[&str]) -> Self {
        let targets = targets.iter().map(|&target| target.to_owned()).collect();
        Self { name, targets, threads: None, options: Vec::new(), environment: Vec::new() }
    }

    /// How many tests run at a time; they print what they measure.
    pub(super) fn threads(self, threads: usize) -> Self {
        Self { threads: Some(threads), ..self }
    }

    /// An option of the test runner, such as a filter.
    pub(super) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Variables of its environment.
    pub(super) fn with_all(mut self, variables: &[(&'static str, OsString)]) -> Self {
        self.environment.extend_from_slice(variables);
        self
    }

    /// A variable of its environment; then it also prints what it measures.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((key, value.into()));
        self
    }

    /// Runs it.
    pub(super) fn run(&self, step: &Step, shared: &[(&'static str, OsString)], goes_on: bool) -> Result<()> {
        // A test fails with the state that it met; a backtrace would push that out of the last lines of the log.
        let mut command = cargo(step).env("RUST_BACKTRACE", "0").args(["test", "--workspace", "--all-features"]);
        for (key, value) in shared.iter().chain(&self.environment) {
            command = command.env(key, value);
        }
        let threads = self.threads.map(|threads| format!("--test-threads={threads}"));
        let options = ["--", "--show-output"].into_iter().filter(|_| !self.environment.is_empty());
        command
            .args(goes_on.then_some("--no-fail-fast"))
            .args(&self.targets)
            .args(options)
            .args(threads)
            .args(&self.options)
            .run()
    }
}

/// Cargo, in the workspace.
pub(super) fn cargo(step: &Step) -> LoggedCommand {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    step.command(cargo).outside_of_packages().current_dir(place::workspace())
}

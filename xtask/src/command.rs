//! Running other programs, with their output in a log file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

/// A command whose standard output and error are appended to a log.
#[derive(Debug)]
pub struct LoggedCommand {
    command: Command,
    log: PathBuf,
    input: Option<Vec<u8>>,
    is_routine: bool,
}

impl LoggedCommand {
    /// A command of this program; its output goes to `log`.
    pub fn new(program: &OsStr, log: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, log: log.to_owned(), input: None, is_routine: false }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes the variables by which cargo describes the package of the running program. Build scripts that depend on them would
    /// run again for each such program, and their dependents would be rebuilt.
    #[must_use]
    pub fn outside_of_packages(mut self) -> Self {
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
            self.command.env_remove(name);
        }
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets the standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Marks a command that is polled: only its errors go to the log.
    #[must_use]
    pub fn routine(mut self) -> Self {
        self.is_routine = true;
        self
    }

    /// Runs the command; a failure is an error.
    pub fn run(mut self) -> Result<()> {
        let log = self.open_log()?;
        self.command.stdout(log);
        self.checked().map(drop)
    }

    /// Runs the command and returns its output, which is not logged; a failure is an error.
    pub fn read(mut self) -> Result<String> {
        self.command.stdout(Stdio::piped());
        self.checked()
    }

    /// Runs the command and returns whether it succeeded.
    pub fn succeeds(mut self) -> Result<bool> {
        let log = self.open_log()?;
        self.command.stdout(log);
        Ok(self.outcome()?.0.success())
    }

    fn checked(mut self) -> Result<String> {
        let (status, output) = self.outcome()?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.line());
        }
        Ok(output)
    }

    fn outcome(&mut self) -> Result<(ExitStatus, String)> {
        let mut log = self.open_log()?;
        if !self.is_routine {
            writeln!(log, "$ {}", self.line())?;
        }
        self.command.stderr(log);
        if self.input.is_some() {
            self.command.stdin(Stdio::piped());
        }
        let mut child = self.command.spawn().with_context(|| format!("cannot start `{}`", self.line()))?;
        let input = self.input.take();
        let feed = child.stdin.take().zip(input).map(|(mut stdin, bytes)| {
            // A thread: a command may print before it has read everything.
            std::thread::spawn(move || stdin.write_all(&bytes))
        });
        let mut output = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout
                .read_to_string(&mut output)
                .with_context(|| format!("`{}` printed bytes that are not text", self.line()))?;
        }
        let status = child.wait().with_context(|| format!("cannot wait for `{}`", self.line()))?;
        if let Some(feed) = feed {
            // If a command ended without reading everything, its status has the reason.
            feed.join().ok();
        }
        Ok((status, output))
    }

    fn open_log(&self) -> Result<File> {
        let log = File::options().create(true).append(true).open(&self.log);
        log.with_context(|| format!("cannot open the log {}", self.log.display()))
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}

//! Steps of a run: one line or bar each, one log file each, and what took how long.
//!
//! ```text
//! let mut steps = Steps::new("up")?;
//! steps.run("build etcd", |step| step.command("go").arg("build").run())?;
//! steps.finish();
//! ```

use std::fmt;
use std::fs::{self, File};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

pub use crate::command::LoggedCommand;
use crate::place;

const TAIL_LINES: usize = 20;

/// The steps of one run of a command.
#[derive(Debug)]
pub struct Steps {
    logs: PathBuf,
    started: Instant,
    times: Vec<(String, Duration)>,
}

/// A step while it runs: where its commands are logged and what its bar says.
#[derive(Debug)]
pub struct Step {
    log: PathBuf,
    bar: Option<ProgressBar>,
    outcome: Option<&'static str>,
}

/// The context of an error that ended a step: which one, and where its log is.
#[derive(Debug)]
pub struct StepFailed {
    step: String,
    log: PathBuf,
}

impl Steps {
    /// Begins a run; its logs replace those of the last run of that name.
    pub fn new(run: &str) -> Result<Self> {
        let logs = place::cache()?.join("logs").join(run);
        fs::create_dir_all(&logs).with_context(|| format!("could not make {}", logs.display()))?;
        for log in fs::read_dir(&logs)?.flatten() {
            // Not the directory: another run of that name may be writing there just now.
            fs::remove_file(log.path()).ok();
        }
        Ok(Self { logs, started: Instant::now(), times: Vec::new() })
    }

    /// Runs one step: shows it while it runs and says how long it took.
    pub fn run<T>(&mut self, name: &str, body: impl FnOnce(&mut Step) -> Result<T>) -> Result<T> {
        let log = self.log_of(name);
        let bar = std::io::stderr().is_terminal().then(|| spinner(name, &log));
        let mut step = Step { log, bar, outcome: None };
        let started = Instant::now();
        let result = body(&mut step);
        let took = started.elapsed();
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        let outcome = if result.is_err() { Some("failed") } else { step.outcome };
        let outcome = outcome.map(|word| format!("  {word}")).unwrap_or_default();
        eprintln!("{name:<44} {:>7.1} s{outcome}", took.as_secs_f64());
        self.times.push((name.to_owned(), took));
        result.with_context(|| StepFailed { step: name.to_owned(), log: step.log })
    }

    /// Where the log of a step is.
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{}.log", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")))
    }

    /// Runs one step that says nothing of itself, for a command whose answer is what matters.
    pub fn quiet<T>(run: &str, body: impl FnOnce(&mut Step) -> Result<T>) -> Result<T> {
        let steps = Self::new(run)?;
        let mut step = Step { log: steps.logs.join("log"), bar: None, outcome: None };
        body(&mut step).with_context(|| StepFailed { step: run.to_owned(), log: step.log })
    }

    /// How long each step has taken, so far.
    pub fn times(&self) -> &[(String, Duration)] {
        &self.times
    }

    /// Ends the run: says how long all of it took and returns each step's time.
    pub fn finish(self) -> Vec<(String, Duration)> {
        eprintln!("{:<44} {:>7.1} s", "all", self.started.elapsed().as_secs_f64());
        self.times
    }
}

impl Step {
    /// A command whose output goes to this step's log.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> LoggedCommand {
        LoggedCommand::new(program.as_ref(), &self.log)
    }

    /// Says what is being done just now, on the bar and in the log.
    pub fn note(&self, message: impl AsRef<str>) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {}", message.as_ref(), self.log.display()));
        }
        self.log(message);
    }

    /// Whether somebody watches: what is shown replaces what was shown before.
    pub fn is_watched(&self) -> bool {
        self.bar.is_some()
    }

    /// Shows several lines below the bar until the step ends or shows others.
    pub fn show(&self, lines: &str) {
        if let Some(bar) = &self.bar {
            // Below the line with the log's path, and with `{msg}` cut by nobody.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed}\n{msg}") {
                bar.set_style(style);
            }
            bar.set_message(lines.trim_end().to_owned());
        }
    }

    /// Prints a line that stays.
    pub fn say(&self, line: impl AsRef<str>) {
        let line = line.as_ref();
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
        self.log(line);
    }

    /// Writes a line to the step's log only.
    pub fn log(&self, line: impl AsRef<str>) {
        // A log that cannot be written is no reason to stop: what fails next says so itself.
        if let Ok(mut file) = File::options().create(true).append(true).open(&self.log) {
            writeln!(file, "{}", line.as_ref()).ok();
        }
    }

    /// Puts the last lines of another log into this one, for a failure to show them.
    pub fn quote(&self, other: &Path) {
        self.log(format!("--- the last lines of {}", other.display()));
        self.log(tail(other));
    }

    /// Says that the result was there already.
    pub fn cached(&mut self) {
        self.outcome = Some("cached");
    }

    /// Says, after `cached` or `nothing_to_do`, that there was something to do after all.
    pub fn changed(&mut self) {
        self.outcome = None;
    }

    /// Says that all was as wanted.
    pub fn nothing_to_do(&mut self) {
        self.outcome = Some("nothing to do");
    }
}

impl fmt::Display for StepFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.step)
    }
}

/// Prints an error: its chain of causes, and the end of the failed step's log.
pub fn report(error: &anyhow::Error) {
    for (depth, cause) in error.chain().enumerate() {
        let word = if depth == 0 { "error" } else { "  because" };
        eprintln!("{word}: {cause}");
    }
    if let Some(failed) = error.downcast_ref::<StepFailed>() {
        let lines = tail(&failed.log);
        if !lines.is_empty() {
            eprintln!("--- the last lines of {}\n{lines}", failed.log.display());
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn spinner(name: &str, log: &Path) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.set_message(log.display().to_string());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

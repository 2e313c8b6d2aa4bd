//! Steps of a run: one line or bar, one log file and one time each. Their names are imperatives.
//!
//! ```text
//! let mut steps = Steps::new("up")?;
//! steps.run("build etcd", |step| step.command("go").arg("build").run())?;
//! steps.finish();
//! ```

use std::fmt;
use std::fs::{self, File};
use std::io::{IsTerminal as _, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

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

type Body<'a> = dyn FnOnce(&mut Step) -> Result<()> + Send + 'a;

/// A step that is about to run beside others.
pub struct Planned<'a> {
    name: String,
    body: Box<Body<'a>>,
}

impl<'a> Planned<'a> {
    /// A step of this name.
    pub fn new(name: &str, body: impl FnOnce(&mut Step) -> Result<()> + Send + 'a) -> Self {
        Self { name: name.to_owned(), body: Box::new(body) }
    }
}

/// A step while it runs: its log, and its bar.
#[derive(Debug)]
pub struct Step {
    log: PathBuf,
    bar: Option<ProgressBar>,
    outcome: Option<&'static str>,
}

/// The context of an error that ended a step: its name, and its log.
#[derive(Debug)]
pub struct StepFailed {
    step: String,
    log: PathBuf,
}

impl Steps {
    /// Starts a run; its logs replace those of the last run of that name.
    pub fn new(run: &str) -> Result<Self> {
        let logs = place::cache()?.join("logs").join(run);
        fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        for log in fs::read_dir(&logs)?.flatten() {
            // Not the directory: another run of that name may be writing there at the moment.
            fs::remove_file(log.path()).ok();
        }
        Ok(Self { logs, started: Instant::now(), times: Vec::new() })
    }

    /// Runs one step: shows it while it runs, and prints how long it took.
    pub fn run<T>(&mut self, name: &str, body: impl FnOnce(&mut Step) -> Result<T>) -> Result<T> {
        let (took, result) = self.time(name, &MultiProgress::new(), body);
        self.times.push((name.to_owned(), took));
        result
    }

    /// Runs rows of steps at the same time, the steps of a row in order, and returns how each of them ended.
    pub fn run_rows<'a>(&mut self, rows: Vec<Vec<Planned<'a>>>) -> Vec<(String, Result<()>)> {
        let bars = MultiProgress::new();
        let (steps, bars) = (&*self, &bars);
        let row = |row: Vec<Planned<'a>>| {
            let run = |planned: Planned<'a>| (planned.name.clone(), steps.time(&planned.name, bars, planned.body));
            row.into_iter().map(run).collect::<Vec<_>>()
        };
        let ended: Vec<_> = thread::scope(|scope| {
            let rows: Vec<_> = rows.into_iter().map(|steps| scope.spawn(|| row(steps))).collect();
            rows.into_iter().flat_map(|row| row.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        ended
            .into_iter()
            .map(|(name, (took, result))| {
                self.times.push((name.clone(), took));
                (name, result)
            })
            .collect()
    }

    fn time<T>(
        &self,
        name: &str,
        bars: &MultiProgress,
        body: impl FnOnce(&mut Step) -> Result<T>,
    ) -> (Duration, Result<T>) {
        let log = self.log_of(name);
        let bar = std::io::stderr().is_terminal().then(|| bars.add(spinner(name, &log)));
        let mut step = Step { log, bar, outcome: None };
        let started = Instant::now();
        let result = body(&mut step);
        let took = started.elapsed();
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        let outcome = if result.is_err() { Some("failed") } else { step.outcome };
        let outcome = outcome.map(|word| format!("  {word}")).unwrap_or_default();
        let line = format!("{name:<44} {:>7.1} s{outcome}", took.as_secs_f64());
        bars.suspend(|| eprintln!("{line}"));
        (took, result.with_context(|| StepFailed { step: name.to_owned(), log: step.log }))
    }

    /// The log of a step.
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{}.log", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")))
    }

    /// Runs one step without printing it, for commands whose output is the answer.
    pub fn quiet<T>(run: &str, body: impl FnOnce(&mut Step) -> Result<T>) -> Result<T> {
        let steps = Self::new(run)?;
        let mut step = Step { log: steps.logs.join("log"), bar: None, outcome: None };
        body(&mut step).with_context(|| StepFailed { step: run.to_owned(), log: step.log })
    }

    /// How long each step has taken, so far.
    pub fn times(&self) -> &[(String, Duration)] {
        &self.times
    }

    /// Ends the run: prints its total time and returns each step's time.
    pub fn finish(self) -> Vec<(String, Duration)> {
        eprintln!("{:<44} {:>7.1} s", "total", self.started.elapsed().as_secs_f64());
        self.times
    }
}

impl Step {
    /// A command whose output goes to this step's log.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> LoggedCommand {
        LoggedCommand::new(program.as_ref(), &self.log)
    }

    /// Shows the current activity, on the bar and in the log.
    pub fn note(&self, message: impl AsRef<str>) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {}", message.as_ref(), self.log.display()));
        }
        self.log(message);
    }

    /// Whether the output is a terminal, on which new lines replace earlier ones.
    pub fn is_watched(&self) -> bool {
        self.bar.is_some()
    }

    /// Shows several lines below the bar until the step ends or shows others.
    pub fn show(&self, lines: &str) {
        if let Some(bar) = &self.bar {
            // Below the line with the log's path; `{msg}` is not truncated.
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
        // A log that cannot be written does not stop the run.
        if let Ok(mut file) = File::options().create(true).append(true).open(&self.log) {
            writeln!(file, "{}", line.as_ref()).ok();
        }
    }

    /// Copies the last lines of another log into this one, to be shown after a failure.
    pub fn quote(&self, other: &Path) {
        self.log(format!("--- the last lines of {}", other.display()));
        self.log(tail(other));
    }

    /// Reports that the result was in the cache.
    pub fn cached(&mut self) {
        self.outcome = Some("cached");
    }

    /// Reports, after `cached` or `nothing_to_do`, that something changed.
    pub fn changed(&mut self) {
        self.outcome = None;
    }

    /// Reports that nothing had to change.
    pub fn nothing_to_do(&mut self) {
        self.outcome = Some("nothing to do");
    }
}

impl fmt::Display for StepFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step `{}` failed", self.step)
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

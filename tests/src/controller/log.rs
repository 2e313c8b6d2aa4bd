//! A child's standard error, read as it comes.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    process::Child,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};

use crate::HANG;

/// The lines that a process has logged as JSON, and a file with all that it has written.
pub struct Log {
    lines: watch::Receiver<Vec<Value>>,
}

impl Log {
    /// Reads the standard error of `child` until it ends, in a thread of its own.
    pub(super) fn of(child: &mut Child, mut file: File) -> Result<Self> {
        let output = child.stderr.take().context("standard error is not piped")?;
        let (sender, lines) = watch::channel(Vec::new());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Without its file a log is still good for waiting.
                let _ = writeln!(file, "{line}");
                if let Ok(line) = serde_json::from_str(&line) {
                    sender.send_modify(|lines| lines.push(line));
                }
            }
        });
        Ok(Self { lines })
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Value> {
        self.lines.borrow().clone()
    }

    /// Waits for a line with this message, and returns the first.
    pub async fn line(&self, message: &str) -> Result<Value> {
        self.line_that(message, |logged| logged == message).await
    }

    /// Waits for a line with this in its message, and returns the first.
    pub async fn line_with(&self, part: &str) -> Result<Value> {
        self.line_that(part, |logged| logged.contains(part)).await
    }

    async fn line_that(&self, message: &str, is_it: impl Fn(&str) -> bool) -> Result<Value> {
        let mut lines = self.lines.clone();
        let find = |lines: &[Value]| lines.iter().find(|line| line["message"].as_str().is_some_and(&is_it)).cloned();
        match timeout(HANG, lines.wait_for(|lines| find(lines).is_some())).await {
            Ok(Ok(lines)) => find(&lines).context("the line was there"),
            Ok(Err(_)) => bail!("the process ended without logging `{message}`; {:?}", self.lines().last()),
            Err(_) => bail!("waited {HANG:?} for the log line `{message}`"),
        }
    }

    /// Waits until the process has ended.
    pub async fn end(&self) -> Result<()> {
        let mut lines = self.lines.clone();
        match timeout(HANG, lines.wait_for(|_| false)).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("waited {HANG:?} for the process to end"),
        }
    }
}

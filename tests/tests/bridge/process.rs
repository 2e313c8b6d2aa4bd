//! A program that a test runs, and what it says.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};
use e2e::HANG;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::watch, time::timeout};

/// A process that ends with its handle.
pub(crate) struct Process {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Process {
    /// Starts a program; what it says is kept, in a file too.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let (reads, writes) = std::io::pipe()?;
        command.stdin(Stdio::null()).stdout(writes.try_clone()?).stderr(writes);
        let child = command.spawn().with_context(|| format!("could not start {name}"))?;
        // The command has the ends of the pipe that are written to.
        drop(command);
        let (sender, lines) = watch::channel(Vec::new());
        let log = File::create(log)?;
        std::thread::spawn(move || read(reads, log, &sender));
        Ok(Self { child, lines })
    }

    /// Waits for a line with this text, and returns the first.
    pub(crate) async fn line(&self, text: &str) -> Result<String> {
        let mut lines = self.lines.clone();
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        match timeout(HANG, lines.wait_for(|lines| find(lines).is_some())).await {
            Ok(Ok(lines)) => find(&lines).context("the line was there"),
            Ok(Err(_)) => bail!("the process ended without saying `{text}`: {:#?}", *self.lines.borrow()),
            Err(_) => bail!("waited {HANG:?} for `{text}`: {:#?}", *self.lines.borrow()),
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as Kubernetes does.
    pub(crate) fn terminate(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) -> Result<ExitStatus> {
        // Its end closes the pipe.
        if timeout(HANG, self.lines.wait_for(|_| false)).await.is_err() {
            bail!("waited {HANG:?} for the process to end");
        }
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(reads: impl Read, mut log: File, lines: &watch::Sender<Vec<String>>) {
    for line in BufReader::new(reads).lines().map_while(Result::ok) {
        let _ = writeln!(log, "{line}");
        lines.send_modify(|lines| lines.push(line));
    }
}

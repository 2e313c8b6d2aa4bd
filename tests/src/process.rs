//! A program that a test runs, and what it says.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::watch, time::timeout};

use crate::HANG;

/// A process that ends with its handle.
pub struct Process {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Process {
    /// Starts a program; what it says is kept, in a file too.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
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
    pub async fn line(&self, text: &str) -> Result<String> {
        let mut lines = self.lines.clone();
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        match timeout(HANG, lines.wait_for(|lines| find(lines).is_some())).await {
            Ok(Ok(lines)) => find(&lines).context("the line was there"),
            Ok(Err(_)) => bail!("the process ended without saying `{text}`: {:#?}", *self.lines.borrow()),
            Err(_) => bail!("waited {HANG:?} for `{text}`: {:#?}", *self.lines.borrow()),
        }
    }

    /// What it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// What it has said whenever that is asked, also after its end.
    pub fn lines(&self) -> impl Fn() -> Vec<String> + use<> {
        let lines = self.lines.clone();
        move || lines.borrow().clone()
    }

    /// Whether it has closed its output, as a program does that ends.
    pub fn has_ended(&self) -> bool {
        self.lines.has_changed().is_err()
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as Kubernetes does.
    pub fn terminate(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> Result<ExitStatus> {
        // Its end closes the pipe.
        if timeout(HANG, self.lines.wait_for(|_| false)).await.is_err() {
            bail!("waited {HANG:?} for the process to end");
        }
        Ok(self.child.wait()?)
    }
}

/// The most that a process has had in memory, in bytes, since its start or since [`forget_peak`].
pub fn peak_memory(id: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}

/// Begins again with the peak of a process. Where the system does not permit that, what was before counts, too.
pub fn forget_peak(id: u32) {
    let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
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

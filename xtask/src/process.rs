//! Processes that outlive the program that started them, identified without ambiguity.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The whole environment of a daemon: proxies or options in the user's shell must not affect it.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A process, distinguished from a later one with the same id by its start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    started: u64,
}

/// A daemon: a program with its arguments, its pid file and its log.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its name.
    pub name: &'static str,
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The directory of its pid file.
    pub run: PathBuf,
    /// The file for its output.
    pub logs: PathBuf,
}

impl Process {
    /// The process of that id, if it runs.
    pub fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is a name in parentheses, which may itself hold spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        // The first thread may have ended while others still hold files and ports.
        let threads: u32 = fields.get(17)?.parse().ok()?;
        let running = !matches!(*fields.first()?, "Z" | "X") || threads > 1;
        running.then_some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    /// All processes that run.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::find(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// The process of the pid file with that name, if it still runs.
    pub fn in_pid_file(dir: &Path, name: &str) -> Option<Self> {
        let file = fs::read_to_string(pid_file(dir, name)).ok()?;
        let mut words = file.split_whitespace();
        let (pid, started, boot) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
        let process = Self { pid, started };
        (boot == boot_id() && process.is_alive()).then_some(process)
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Self::find(self.pid).as_ref() == Some(self)
    }

    /// Its arguments, the program first.
    pub fn args(&self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let mut words: Vec<String> = words.collect();
        words.pop();
        words
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
    }

    /// Sends a signal, to this process and no other; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        // The handle is held, so the id cannot be reused from here on.
        if self.is_alive() {
            pidfd_send_signal(&handle, signal).ok();
        }
    }
}

/// Ends processes: sends SIGTERM, waits, and kills those that still run after `patience`.
pub fn end(processes: &[Process], patience: Duration) -> Result<()> {
    if !patience.is_zero() {
        for process in processes {
            process.signal(Signal::TERM);
        }
        if have_ended(processes, patience) {
            return Ok(());
        }
    }
    for process in processes {
        process.signal(Signal::KILL);
    }
    if !have_ended(processes, KILLED_WITHIN) {
        let alive = processes.iter().filter(|process| process.is_alive());
        let alive: Vec<String> =
            alive.map(|process| format!("{} ({})", process.pid, process.args().join(" "))).collect();
        bail!("processes still running: {} did not end after SIGKILL; end them by hand", alive.join(", "));
    }
    Ok(())
}

fn have_ended(processes: &[Process], within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if !processes.iter().any(Process::is_alive) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Daemon {
    /// Its process, if the one that was started still runs.
    pub fn process(&self) -> Option<Process> {
        Process::in_pid_file(&self.run, self.name)
    }

    /// Whether it runs with exactly this program and these arguments.
    pub fn runs_as_wanted(&self) -> bool {
        self.process().is_some_and(|process| {
            let args = process.args();
            args.first().is_some_and(|program| Path::new(program) == self.program) && args[1..] == self.args
        })
    }

    /// Starts it, in a session of its own.
    pub fn start(&self) -> Result<Process> {
        for dir in [&self.run, &self.logs] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let log = self.log();
        if log.exists() {
            fs::rename(&log, log.with_extension("log.old"))?;
        }
        let output = fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        // `setsid` executes the program in its own place, so the id is the program's. The handle is not waited for: the daemon
        // must outlive this program, and then becomes a child of init.
        let child = Command::new("setsid")
            .arg(&self.program)
            .args(&self.args)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start setsid (package util-linux)")?;
        let pid = i32::try_from(child.id())?;
        let process = Process::find(pid)
            .with_context(|| format!("{} exited immediately; see its log {}", self.name, log.display()))?;
        fs::write(pid_file(&self.run, self.name), format!("{} {} {}\n", process.pid, process.started, boot_id()))?;
        Ok(process)
    }

    /// Ends it, and returns whether it ran.
    pub fn stop(&self, patience: Duration) -> Result<bool> {
        let process = self.process();
        end(process.as_slice(), patience)?;
        fs::remove_file(pid_file(&self.run, self.name)).ok();
        Ok(process.is_some())
    }

    /// The file for its output.
    pub fn log(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.name))
    }
}

fn pid_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pid"))
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_id_and_another_start_is_another_process() {
        let me = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        assert!(!Process { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn ended_process_is_not_alive() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        end(std::slice::from_ref(&process), Duration::from_secs(5)).unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }
}

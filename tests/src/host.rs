//! The other side of a pod: its processes and its volume, on this machine.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::{Api, ResourceExt as _};
pub use rustix::process::Signal;
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal},
};

use crate::{Space, database::NAME};

/// The pod of the database's server.
pub const SERVER: &str = "temporal-postgresdatabase-0";

/// Ids of the processes whose control group's path has this part.
pub fn processes_in(control_group: &str) -> Vec<i32> {
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| fs::read_to_string(format!("/proc/{id}/cgroup")).is_ok_and(|text| text.contains(control_group)))
        .collect()
}

/// The resident memory of the processes of a pod, in MiB.
pub fn resident_memory(pod: &Pod) -> u64 {
    let group = format!("pod{}", pod.uid().unwrap_or_default());
    let resident = |id: i32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().split(' ').next()?;
        line.parse::<u64>().ok()
    };
    processes_in(&group).into_iter().filter_map(resident).sum::<u64>() >> 10
}

/// The arguments of a process, the program first.
pub fn arguments(id: i32) -> Vec<String> {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Sends a signal to a process of which `is_it` holds, and to no later one with its id.
pub fn signal(id: i32, signal: Signal, is_it: impl Fn(i32) -> bool) -> Result<bool> {
    let Some(process) = Pid::from_raw(id) else { return Ok(false) };
    // The handle first: from then on the id is nobody else's.
    let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { return Ok(false) };
    if !is_it(id) {
        return Ok(false);
    }
    match pidfd_send_signal(handle, signal) {
        // It has ended meanwhile.
        Err(Errno::SRCH) => Ok(false),
        sent => sent.map(|()| true).with_context(|| format!("could not signal process {id}")),
    }
}

/// Sends a signal to the postmaster in a pod: the first process of the container's namespace of processes.
pub fn signal_postmaster(pod: &Pod, what: Signal) -> Result<()> {
    let group = group(pod)?;
    let is_first = |id: i32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        // The process that keeps the pod's network is a first one, too.
        ids.split_whitespace().last() == Some("1") && is_program(id, "postgres")
    };
    let found = processes_in(&group).into_iter().find(|id| is_first(*id));
    let found = found.with_context(|| format!("no postmaster among the processes of {group}"))?;
    signal(found, what, is_first)?.then_some(()).context("the postmaster has ended by itself")
}

/// Sends a signal to the process of a pod that is this program.
pub fn signal_program(pod: &Pod, program: &str, what: Signal) -> Result<()> {
    let id = process(pod, program)?;
    signal(id, what, |id| is_program(id, program))?.then_some(()).context("the process has ended by itself")
}

/// The environment of the process of a pod that is this program.
pub fn environment(pod: &Pod, program: &str) -> Result<BTreeMap<String, String>> {
    let text = fs::read(format!("/proc/{}/environ", process(pod, program)?))?;
    let variables = text.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let pair = |variable: std::borrow::Cow<'_, str>| {
        variable.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    Ok(variables.filter_map(pair).collect())
}

fn process(pod: &Pod, program: &str) -> Result<i32> {
    let group = group(pod)?;
    let found = processes_in(&group).into_iter().find(|id| is_program(*id, program));
    found.with_context(|| format!("no {program} among the processes of {group}"))
}

fn is_program(id: i32, program: &str) -> bool {
    arguments(id).first().is_some_and(|first| first.rsplit('/').next() == Some(program))
}

/// What the control groups of a pod's processes have in their paths.
fn group(pod: &Pod) -> Result<String> {
    Ok(format!("pod{}", pod.uid().context("the pod has no uid")?))
}

/// A file system that is smaller than the volume whose place it takes; it goes when this is dropped.
pub struct Small(PathBuf);

impl Small {
    /// Puts an empty file system of so many bytes over a directory: pods that start from now on see it.
    pub fn over(directory: PathBuf, bytes: u64) -> Result<Self> {
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0777"), "small"])
            .arg(&directory))?;
        Ok(Self(directory))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A pod may still use it.
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.0)) {
            eprintln!("{error:#}");
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Space {
    /// The pod of the server.
    pub async fn server(&self) -> Result<Pod> {
        self.api::<Pod>().get(SERVER).await.context("the server has no pod")
    }

    /// The directory of the server's volume, on this machine.
    pub async fn volume(&self) -> Result<PathBuf> {
        self.volume_of(&format!("data-{NAME}-postgresdatabase-0")).await
    }

    /// The directory of a claim's volume, on this machine.
    pub async fn volume_of(&self, claim: &str) -> Result<PathBuf> {
        let claim = self.api::<PersistentVolumeClaim>().get(claim).await?;
        let name = claim.spec.and_then(|spec| spec.volume_name).context("the claim has no volume")?;
        let volume = Api::<PersistentVolume>::all(self.client.clone()).get(&name).await?;
        let spec = volume.spec.unwrap_or_default();
        let path = spec.local.map(|local| local.path).or(spec.host_path.map(|host| host.path));
        path.map(PathBuf::from).context("the volume is none of this machine's")
    }
}

/// How often the containers of a pod were started again.
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|container| container.restart_count).sum()
}

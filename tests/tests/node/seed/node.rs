use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    HANG, Needs, Stopwatch,
    host::{Signal, arguments, processes_in, signal},
    program::xtask,
};
use tokio::time::{interval, timeout};

use crate::{
    on_stack,
    seed::{faults::controller_works, rows},
    state,
};

/// Where the node's pid files and sockets are.
const RUN: &str = "/run/temporal-stack/node";
/// The control group of the node's pods.
const GROUP: &str = ":/temporal-stack";

/// The node's daemons and the keepers of its containers, told by its directories among their arguments.
fn keepers() -> Vec<i32> {
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|id| is_keeper(*id)).collect()
}

fn is_keeper(id: i32) -> bool {
    let arguments = arguments(id);
    let socket = format!("{RUN}/containerd.sock");
    let is_shim = arguments.first().is_some_and(|program| program.contains("containerd-shim"));
    let of_state = |value: &str| Path::new(value).starts_with(state());
    let is_daemon =
        || arguments.iter().skip(1).filter_map(|word| word.split_once('=')).any(|(_, value)| of_state(value));
    (is_shim && arguments.contains(&socket)) || is_daemon()
}

fn is_in_a_pod(id: i32) -> bool {
    fs::read_to_string(format!("/proc/{id}/cgroup")).is_ok_and(|text| text.contains(GROUP))
}

/// All processes of the node.
fn processes() -> Vec<i32> {
    keepers().into_iter().chain(processes_in(GROUP)).collect()
}

/// Kills all processes of the node, and waits until they have ended.
pub(crate) async fn kill_everything() -> Result<()> {
    for id in keepers() {
        signal(id, Signal::KILL, is_keeper)?;
    }
    for id in processes_in(GROUP) {
        signal(id, Signal::KILL, is_in_a_pod)?;
    }
    let mut turns = interval(Duration::from_millis(20));
    let ended = timeout(HANG, async {
        while !processes().is_empty() {
            turns.tick().await;
        }
    });
    ended.await.with_context(|| format!("processes do not end: {:?}", processes()))
}

#[tokio::test]
async fn killed_node_comes_up_with_its_rows() {
    on_stack(Needs::alone(), async |space| {
        let rows = rows::add(space).await?;
        let pid_files = fs::read_dir(RUN)?.flatten().filter(|file| file.path().extension().is_some_and(|e| e == "pid"));
        let daemons = pid_files.count();
        println!("{daemons} daemons; with the keepers of containers {}; all {}", keepers().len(), processes().len());
        ensure!(keepers().len() > daemons, "the keepers of containers were not found");
        kill_everything().await?;
        let mut watch = Stopwatch::new();
        xtask(&["up", "--yes"]).await?;
        watch.step("xtask up, after the node was killed,");
        rows::are_there(space, rows).await?;
        // The controller that was killed could not give its Lease away.
        let mut watch = Stopwatch::new();
        controller_works(space).await?;
        watch.step("a controller works after another");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn node_taken_down_leaves_nothing_and_keeps_its_rows() {
    on_stack(Needs::alone(), async |space| {
        let rows = rows::add(space).await?;
        let mut watch = Stopwatch::new();
        xtask(&["node", "down"]).await?;
        watch.step("xtask node down");
        nothing_is_left()?;

        let mut watch = Stopwatch::new();
        xtask(&["up", "--yes"]).await?;
        watch.step("xtask up, after down,");
        rows::are_there(space, rows).await?;
        ensure!(space.run_in_pod("select count(*) > 0 from kept").await? == "t");
        Ok(())
    })
    .await;
}

/// The command has looked for itself; this looks with other eyes.
fn nothing_is_left() -> Result<()> {
    let processes = processes();
    ensure!(processes.is_empty(), "processes are left: {processes:?}");
    ensure!(!Path::new("/sys/class/net/tks0").exists(), "the bridge is left");
    for program in ["iptables-save", "ip6tables-save"] {
        let rules = String::from_utf8(Command::new(program).output().with_context(|| format!("no {program}"))?.stdout)?;
        let ours = |line: &&str| ["KUBE-", "temporal-stack", "tks0", "CNI-"].iter().any(|word| line.contains(word));
        let left: Vec<&str> = rules.lines().filter(ours).collect();
        ensure!(left.is_empty(), "{program} says: {left:#?}");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let state = state().display().to_string();
    let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&state) || line.contains(RUN)).collect();
    ensure!(left.is_empty(), "mounts are left: {left:#?}");
    let groups = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(groups)?.flatten().map(|entry| entry.path()).chain([groups.to_owned()]);
    let left: Vec<_> =
        hierarchies.map(|hierarchy| hierarchy.join("temporal-stack")).filter(|dir| dir.exists()).collect();
    ensure!(left.is_empty(), "control groups are left: {left:?}");
    ensure!(!Path::new(RUN).exists(), "{RUN} is left");
    let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten().count();
    println!("{namespaces} network namespaces in /run/netns");
    Ok(())
}

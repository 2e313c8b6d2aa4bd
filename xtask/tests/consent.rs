//! Without a terminal and without `--yes`, xtask refuses everything that needs consent, and changes nothing.

// Elsewhere the commands refuse to change the machine in any case.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
/// The refusal that replaces the question.
const REFUSED: &str = "no terminal to ask on; run the command with --yes";
/// A fake kubectl that records its arguments.
const KUBECTL: &str = "#!/bin/sh
echo \"$*\" >> \"$CALLS\"
";
const UNSHARE: &str = "/usr/bin/unshare";
/// Namespaces for mounts and networks: as root, and otherwise as the root of a user namespace.
const NAMESPACES: [&[&str]; 2] = [&["--mount", "--net"], &["--user", "--map-root-user", "--mount", "--net"]];

/// A machine with a node's data and without everything that xtask would install; removed on drop.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("xtask-consent-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).expect("a folder for programs");
        fs::create_dir_all(folder.join("node/node")).expect("a folder for data");
        fs::write(folder.join("node/node/data"), "kept").expect("data");
        let kubectl = folder.join("bin/kubectl");
        fs::write(&kubectl, KUBECTL).expect("a kubectl");
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("a kubectl that runs");
        Self(folder)
    }

    /// Runs xtask with a `y` on standard input, which is no answer because it does not come from a terminal.
    fn xtask(&self, arguments: &[&str]) -> Output {
        let mut command = Self::command();
        command
            .args(arguments)
            .env_clear()
            .env("PATH", self.0.join("bin"))
            .env("CALLS", self.calls())
            .env("HOME", &self.0)
            .env("XDG_CACHE_HOME", self.0.join("cache"))
            .env("TEMPORAL_STACK_NODE_DIR", self.0.join("node"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("xtask starts");
        // xtask may have ended without reading.
        let _ = child.stdin.take().expect("a pipe").write_all(b"y\n");
        child.wait_with_output().expect("xtask ends")
    }

    /// Runs xtask in separate namespaces, without Go and without a network.
    fn command() -> Command {
        let mut command = Command::new(UNSHARE);
        let hidden = "[ ! -d /usr/local/go ] || /usr/bin/mount -t tmpfs none /usr/local/go; exec \"$0\" \"$@\"";
        command.args(namespaces()).args(["--", "/bin/sh", "-c", hidden, XTASK]);
        command
    }

    fn calls(&self) -> PathBuf {
        self.0.join("calls")
    }

    /// The recorded calls of kubectl.
    fn asked(&self) -> String {
        fs::read_to_string(self.calls()).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The options that create namespaces on this machine. Without any, nothing could be tried.
fn namespaces() -> &'static [&'static str] {
    let works = |options: &&[&str]| {
        let tried = Command::new(UNSHARE).args(*options).args(["--", "/bin/true"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    NAMESPACES.into_iter().find(works).expect("namespaces, which take root or a system that permits user namespaces")
}

fn is_refused(arguments: &[&str]) {
    let machine = Machine::new(&arguments.join("").replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    let output = machine.xtask(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded: {said}");
    assert!(said.contains(REFUSED), "{arguments:?}: {said}");
    let data = fs::read_to_string(machine.0.join("node/node/data")).unwrap_or_default();
    assert_eq!(data, "kept", "{arguments:?} has removed data: {said}");
    assert_eq!(machine.asked(), "", "{arguments:?} has called kubectl");
}

#[test]
fn images_without_a_terminal_is_refused() {
    is_refused(&["images"]);
}

#[test]
fn deploy_without_a_terminal_is_refused() {
    is_refused(&["deploy"]);
}

#[test]
fn up_without_a_terminal_is_refused() {
    is_refused(&["up"]);
}

#[test]
fn down_without_a_terminal_is_refused() {
    is_refused(&["down", "--delete-data"]);
}

#[test]
fn node_up_without_a_terminal_is_refused() {
    is_refused(&["node", "up"]);
}

#[test]
fn control_plane_up_without_a_terminal_is_refused() {
    is_refused(&["node", "up", "--control-plane"]);
}

#[test]
fn node_down_without_a_terminal_is_refused() {
    is_refused(&["node", "down", "--delete-data"]);
}

#[test]
fn bench_without_a_terminal_is_refused() {
    is_refused(&["bench", "database"]);
}

#[test]
fn test_without_a_terminal_is_refused() {
    is_refused(&["test"]);
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

fn help(command: &[&str]) -> String {
    let output = Command::new(XTASK).args(command).arg("--help").output().expect("xtask prints its help");
    String::from_utf8(output.stdout).expect("text")
}

/// Whether a help text has the option `--yes`, as that of each command that may ask does.
fn may_ask(help: &str) -> bool {
    help.lines().any(|line| line.split_whitespace().any(|word| word == "--yes"))
}

#[test]
fn command_that_may_ask_has_a_test() {
    let mut asking = BTreeSet::new();
    let top = help(&[]);
    for name in listed(&top) {
        let text = help(&[name]);
        if may_ask(&text) {
            asking.insert(name.to_owned());
        }
        for inner in listed(&text) {
            if may_ask(&help(&[name, inner])) {
                asking.insert(format!("{name} {inner}"));
            }
        }
    }
    let tested = ["bench", "deploy", "down", "images", "node down", "node up", "test", "up"];
    assert_eq!(asking.iter().map(String::as_str).collect::<Vec<_>>(), tested, "add a test for each command that asks");
}

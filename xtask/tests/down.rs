//! `cargo xtask down` on a cluster deletes what it has listed, and nothing else.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A fake kubectl: records its arguments, and answers with the files of a cluster.
const KUBECTL: &str = "#!/bin/sh
printf '%s\\n' \"$*\" >> calls
case \"$*\" in
    *' get '*jsonpath=*) cat namespaces ;;
    *' get --output=json '*) cat remaining ;;
    *' get '*deployment/*) cat controllers ;;
    *' get '*secrets*) cat data ;;
    *' get '*) cat objects ;;
    *' delete '*) cat namespaces-after > namespaces; exit \"$(cat status)\" ;;
esac
";

const OBJECTS: &str = "messagequeue.temporal-stack.dev/temporal\ntemporal.temporal-stack.dev/temporal\n";
const DATA: &str = "persistentvolumeclaim/data-temporal-messagequeue-0\nsecret/temporal-messagequeue-cookie-1\n";
const CONTROLLERS: &str = "deployment.apps/database-controller\ndeployment.apps/queue-controller\n";

/// A cluster that only a fake kubectl knows; removed on drop.
struct Cluster(PathBuf);

/// What a command did.
struct Done {
    success: bool,
    said: String,
    /// The arguments of each `kubectl delete`, without flags.
    deleted: Vec<Vec<String>>,
    calls: String,
}

impl Cluster {
    /// A cluster with these files.
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("xtask-down-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).expect("a folder for programs");
        for empty in ["calls", "namespaces", "namespaces-after", "remaining", "controllers", "data", "objects"] {
            fs::write(folder.join(empty), "").expect("a file");
        }
        fs::write(folder.join("status"), "0").expect("a file");
        for (file, content) in files {
            fs::write(folder.join(file), content).expect("a file");
        }
        let kubectl = folder.join("bin/kubectl");
        fs::write(&kubectl, KUBECTL).expect("a kubectl");
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("a kubectl that runs");
        Self(folder)
    }

    /// Runs `down` on it, without a terminal.
    fn down(&self, arguments: &[&str]) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["down", "--context", "theirs"])
            .args(arguments)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.join("bin").display()))
            .env("HOME", &self.0)
            .env("XDG_CACHE_HOME", self.0.join("cache"))
            .env("TEMPORAL_STACK_NODE_DIR", self.0.join("node"))
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("xtask starts");
        let calls = fs::read_to_string(self.0.join("calls")).expect("calls");
        let delete = |call: &str| {
            let (_, arguments) = call.split_once(" delete ")?;
            let words = arguments.split(' ').filter(|word| !word.starts_with("--"));
            Some(words.map(str::to_owned).collect())
        };
        Done {
            success: output.status.success(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            deleted: calls.lines().filter_map(delete).collect(),
            calls,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A namespace, and the names of these lines.
fn names(namespace: &str, lines: &str) -> Vec<String> {
    [namespace].into_iter().chain(lines.lines()).map(str::to_owned).collect()
}

#[test]
fn controllers_without_objects_are_not_deleted_unasked() {
    let cluster = Cluster::new("controllers", &[("controllers", CONTROLLERS)]);
    let done = cluster.down(&[]);
    assert!(!done.success && done.said.contains("no terminal to ask on; run the command with --yes"), "{}", done.said);
    let listed = "delete deployment.apps/queue-controller in namespace temporal-stack-system";
    assert!(done.said.contains(listed), "{}", done.said);
    assert!(done.deleted.is_empty(), "{}", done.calls);
    assert_eq!(cluster.down(&["--yes"]).deleted, [names("temporal-stack-system", CONTROLLERS)]);
}

#[test]
fn objects_are_not_deleted_unasked() {
    let objects = [("objects", OBJECTS), ("data", DATA), ("namespaces", "default\n")];
    let cluster = Cluster::new("objects", &objects);
    for arguments in [&[][..], &["--delete-data"]] {
        let done = cluster.down(arguments);
        assert!(!done.success && done.deleted.is_empty(), "{}", done.calls);
        assert_eq!(done.said.contains("secret/"), !arguments.is_empty(), "{}", done.said);
    }
}

#[test]
fn empty_cluster_needs_no_consent() {
    let done = Cluster::new("empty", &[]).down(&[]);
    assert!(done.success && done.deleted.is_empty(), "{}{}", done.said, done.calls);
}

#[test]
fn exactly_what_was_listed_is_deleted() {
    let files = [("objects", OBJECTS), ("data", DATA), ("controllers", CONTROLLERS), ("namespaces", "default\n")];
    let done = Cluster::new("exactly", &files).down(&["--yes", "--delete-data"]);
    assert!(done.success, "{}", done.said);
    let namespace = "default";
    let expected = [names(namespace, OBJECTS), names(namespace, DATA), names("temporal-stack-system", CONTROLLERS)];
    assert_eq!(done.deleted, expected);
    for call in done.calls.lines() {
        assert!(call.contains(" --request-timeout="), "{call} may last for ever");
        let is_delete = call.contains(" delete ");
        assert!(
            !is_delete || (call.contains(" --timeout=") && !call.contains("--all") && !call.contains("--selector"))
        );
    }
}

#[test]
fn data_stay_without_consent_to_delete_them() {
    let files = [("objects", OBJECTS), ("data", DATA), ("namespaces", "default\n")];
    let done = Cluster::new("data", &files).down(&["--yes"]);
    assert_eq!(done.deleted, [names("default", OBJECTS)]);
}

#[test]
fn controllers_that_others_need_stay() {
    let elsewhere = [("objects", OBJECTS), ("controllers", CONTROLLERS), ("namespaces", "default\nother\n")];
    let done = Cluster::new("elsewhere", &elsewhere).down(&["--yes"]);
    assert_eq!(done.deleted, [names("default", OBJECTS)]);
    assert!(!done.said.contains("-controller"), "{}", done.said);
    let meanwhile = [("objects", OBJECTS), ("controllers", CONTROLLERS), ("namespaces-after", "default\n")];
    let done = Cluster::new("meanwhile", &meanwhile).down(&["--yes"]);
    assert_eq!(done.deleted, [names("default", OBJECTS)], "an object was created after the list");
}

#[test]
fn object_that_stays_is_named_with_its_finalizers() {
    let held = r#"{"kind": "MessageQueue", "metadata": {"name": "temporal", "finalizers": ["example.com/hold"]}}"#;
    let one = [("objects", OBJECTS), ("namespaces", "default\n"), ("status", "1"), ("remaining", held)];
    let done = Cluster::new("held", &one).down(&["--yes"]);
    assert!(!done.success && done.said.contains("MessageQueue/temporal (example.com/hold)"), "{}", done.said);
    let list = format!(r#"{{"kind": "List", "items": [{held}, {held}]}}"#);
    let several = [("objects", OBJECTS), ("namespaces", "default\n"), ("status", "1"), ("remaining", list.as_str())];
    let done = Cluster::new("held-list", &several).down(&["--yes"]);
    assert_eq!(done.said.matches("MessageQueue/temporal (example.com/hold)").count(), 2, "{}", done.said);
    assert_eq!(done.deleted.len(), 1, "nothing else is deleted then");
}

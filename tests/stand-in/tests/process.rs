//! The program as a whole, as far as it needs nothing else: what it says, and its exit status.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

/// A directory of its own, gone afterwards.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("temporal-stand-in-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_temporal"));
        command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(&self.0).output().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, with: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(said(output).contains(with), "{with:?} is not in {}", said(output));
}

/// Everything is refused.
fn refused() -> BTreeMap<&'static str, &'static str> {
    let (host, port) = NOBODY.split_once(':').unwrap();
    BTreeMap::from([
        ("DATABASE_URL", host),
        ("DATABASE_PORT", port),
        ("IPFS_API_CONNECTION_HOST", host),
        ("IPFS_API_CONNECTION_PORT", port),
        ("RABBITMQ_URL", "amqp://127.0.0.1:1/"),
    ])
}

#[test]
fn flags_alone_panic_and_no_arguments_print_help() {
    let place = Place::new("nothing");
    assert_ends(&place.run(&["-dev"], &[]), 2, "panic: runtime error: index out of range");
    assert_ends(&place.run(&[], &[]), 0, "USAGE");
    assert_ends(&place.run(&["version"], &[]), 0, "stand-in");
    assert_ends(&place.run(&["-nonsense", "api"], &[]), 2, "flag provided but not defined");
}

#[test]
fn absent_variables_give_no_configuration() {
    let place = Place::new("unset");
    for environment in
        [&[][..], &[("KRAB_URL", "x")], &[("DATABASE_URL", "")], &[("CONFIG_DAG", "/nowhere.json"), ("LOGDIR", "x")]]
    {
        assert_ends(&place.run(&["migrate"], environment), 1, "failed to load config at");
    }
}

#[test]
fn config_file_disables_the_environment() {
    let place = Place::new("file");
    assert_ends(&place.run(&["-config", "config.json", "init"], &[]), 0, "generating config at config.json");
    let refused: Vec<_> = refused().into_iter().collect();
    // The file's log directory is not there; the environment's would be.
    let output = place.run(&["-config", "config.json", "api"], &[refused.as_slice(), &[("LOGDIR", ".")]].concat());
    assert!(!said(&output).contains("127.0.0.1:1"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn unknown_subcommand_is_refused_after_the_configuration() {
    let place = Place::new("unknown");
    assert_ends(&place.run(&["bucket"], &[]), 1, "failed to load config at");
    assert_ends(&place.run(&["bucket"], &[("LOGDIR", "/")]), 1, "invalid invocation for 'temporal bucket'");
    assert_ends(&place.run(&["user", "only-a-name"], &[("LOGDIR", "/")]), 1, "invalid invocation");
    assert_ends(&place.run(&["queue", "ipfs"], &[("LOGDIR", "/")]), 0, "USAGE");
}

#[test]
fn refused_dependency_ends_it_and_the_log_is_local() {
    let place = Place::new("refused");
    let refused: Vec<_> = refused().into_iter().collect();
    assert_ends(&place.run(&["migrate"], &refused), 1, "failed to perform secure migration");
    assert_ends(&place.run(&["api"], &refused), 1, "failed to connect to ipfs node at '127.0.0.1:1'");
    assert_ends(&place.run(&["queue", "email-send"], &refused), 1, "failed to start db");
    assert_eq!(place.files(), ["api_service.log", "email_consumer.log"]);
}

#[test]
fn missing_log_directory_ends_it() {
    let place = Place::new("log");
    let output = place.run(&["queue", "ipfs", "cluster"], &[("LOGDIR", "/nowhere/at/all")]);
    assert_ends(&output, 1, "failed to start logger  open /nowhere/at/all/cluster_pin_consumer.log");
}

#[test]
fn second_krab_in_a_directory_is_refused() {
    let place = Place::new("krab");
    let output =
        place.run(&["krab"], &[("SERVICES_KRAB_URL", "127.0.0.1:0"), ("IPFS_KEYSTORE_PATH", "/nowhere/at/all")]);
    assert_ends(&output, 1, "failed to start krab server");
    assert_ends(&place.run(&["krab"], &[("SERVICES_KRAB_URL", "127.0.0.1:0")]), 1, "failed to start krab server");
}

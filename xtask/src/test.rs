//! `cargo xtask test`: runs all levels of tests, from formatting to a killed node, and leaves the machine as it was.
//!
//! ```text
//! formatting, lints, generated files ─▶ tests without a cluster ─▶ API server alone: conflicts, crashes
//!                                                                beside: the bridge between real programs
//!                                                                        ─▶ object stores: real engines
//!                                                                        ─▶ real programs on one address family
//!                                                                        ─▶ chart, overlay, alerts and dashboards
//!                                                                ─▶ API server alone: tenants, faults
//!                                                                ─▶ node: as many tests at a time as fit ─▶ node down
//! ```
//!
//! All builds select the same packages and features, so nothing is built twice. That includes the programs in images, which
//! are the unoptimised ones of the tests, or with `--full` optimised ones.
//!
//! The local clusters of the tests have a separate state directory, so the data of a node in use are not touched.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{Planned, Step, Steps};
use crate::{codegen, control_plane, images, place, tools};

use self::suite::{Suite, cargo};

mod suite;

/// The variables with the location of the tests' cluster; crate `e2e` reads them.
const API_KUBECONFIG: &str = "TEMPORAL_STACK_API_KUBECONFIG";
const NODE_KUBECONFIG: &str = "TEMPORAL_STACK_NODE_KUBECONFIG";
const XTASK: &str = "TEMPORAL_STACK_XTASK";
const NODE_DIR: &str = "TEMPORAL_STACK_NODE_DIR";
/// The folder with the programs of Kubo and IPFS Cluster.
const PROGRAMS: &str = "TEMPORAL_STACK_PROGRAMS";
/// The folder with the programs of MinIO and the Versity S3 Gateway.
const OBJECT_STORES: &str = "TEMPORAL_STACK_OBJECT_STORES";
/// The archives of images: `NAME=FILE,…`.
const IMAGES: &str = "TEMPORAL_STACK_IMAGES";
/// The tests of the API server that assert how much memory a controller takes: not on an overloaded machine.
const MEMORY: &str = "memory::";
/// The programs that only tests run.
const HELM: &str = "TEMPORAL_STACK_HELM";
const KUBECTL: &str = "TEMPORAL_STACK_KUBECTL";
const PROMTOOL: &str = "TEMPORAL_STACK_PROMTOOL";
const FULL: &str = "TEMPORAL_STACK_TEST_FULL";

/// The arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Also run larger matrices and counts, and checks whose tools must be downloaded.
    #[arg(long)]
    full: bool,
    /// Use another image for a product, as in `cargo xtask up`: `temporal=REF` runs the tests with the real Temporal.
    #[arg(long = "image", value_name = "NAME=REF")]
    images: Vec<String>,
    /// Run the remaining tests when some have failed.
    #[arg(long)]
    no_fail_fast: bool,
    /// Do not ask before installing packages or changing the network.
    #[arg(long, short)]
    yes: bool,
}

/// Runs all tests, and prints the test runners' summaries at the end.
pub fn run(arguments: &Arguments) -> Result<()> {
    // Before the first test, not after minutes of tests. The packages for images include Go, which builds the programs.
    images::agree(arguments.yes)?;
    let mut run = Run::new(arguments)?;
    run.without_a_cluster()?;
    run.build()?;
    let programs = run.programs()?;
    let tools = run.tools()?;
    let result = run.on_the_api_server(programs, &tools).and_then(|()| run.on_the_node());
    // Stop the node whether or not the tests passed.
    let gone = run.xtask(&["down", "--delete-data"]);
    run.steps.finish();
    for line in &run.closing {
        println!("{line}");
    }
    result.and(gone)?;
    if !run.failed.is_empty() {
        bail!("failed: {}", run.failed.join(", "));
    }
    Ok(())
}

struct Run<'a> {
    arguments: &'a Arguments,
    steps: Steps,
    node_dir: PathBuf,
    /// The path of this program: read at the start, because cargo replaces the file while it builds for the tests.
    program: PathBuf,
    closing: Vec<String>,
    /// Tests that failed without ending the run.
    failed: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self> {
        let mut node_dir = place::node()?.into_os_string();
        node_dir.push("-test");
        let program = env::current_exe().context("the path of xtask is unknown")?;
        let steps = Steps::new("test")?;
        Ok(Self { arguments, steps, node_dir: node_dir.into(), program, closing: Vec::new(), failed: Vec::new() })
    }

    fn without_a_cluster(&mut self) -> Result<()> {
        self.steps.run("check formatting", |step| cargo(step).args(["fmt", "--all", "--check"]).run())?;
        self.steps.run("run lints", |step| {
            let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny=warnings"];
            cargo(step).args(clippy).run()
        })?;
        self.steps.run("check generated files", |_| codegen::check())?;
        if self.arguments.full {
            self.steps.run("build documentation", |step| {
                cargo(step).env("RUSTDOCFLAGS", "--deny=warnings").args(["doc", "--workspace", "--no-deps"]).run()
            })?;
            self.steps.run("check licences, sources and duplicates", deny)?;
            self.suites(vec![vec![Suite::new("run documentation examples", &["--doc"])]])?;
        }
        // Not `--exclude`: without the crate of the cluster tests, other crates would be rebuilt with fewer features.
        let beside: Vec<String> = integration_tests()?.into_iter().map(|name| format!("--test={name}")).collect();
        let all: Vec<&str> = ["--lib", "--bins"].into_iter().chain(beside.iter().map(String::as_str)).collect();
        self.suites(vec![vec![Suite::new("run tests without a cluster", &all)]])
    }

    fn build(&mut self) -> Result<()> {
        self.steps.run("build the controllers for tests", |step| {
            cargo(step).args(["build", "--workspace", "--all-features", "--bins", "--examples", "--tests"]).run()
        })
    }

    /// The suites of real programs that need no cluster.
    fn programs(&mut self) -> Result<Vec<Suite>> {
        let bridge = images::peers(&mut self.steps)?;
        let engines = images::object_stores(&mut self.steps)?;
        let names = ["postgres", "rabbitmq", "kubo", "ipfs-cluster", "minio", "versity"];
        let images = images::build(&mut self.steps, &names)?;
        let images = names.iter().zip(images).map(|(name, image)| format!("{name}={}", image.archive.display()));
        let images = images.collect::<Vec<_>>().join(",");
        // Two at a time: each starts several servers.
        Ok(vec![
            Suite::new("run bridge tests", &["--test=bridge"]).with(PROGRAMS, bridge),
            Suite::new("run object store tests", &["--test=storage"]).threads(2).with(OBJECT_STORES, engines),
            Suite::new("run address family tests", &["--test=families"]).threads(2).with(IMAGES, images),
        ])
    }

    /// Builds or unpacks the programs that only tests run, by the variables that name them.
    fn tools(&mut self) -> Result<Vec<(&'static str, OsString)>> {
        let kubectl = control_plane::build(&mut self.steps)?.kubernetes.join("kubectl");
        let (helm, promtool) = (tools::helm(&mut self.steps)?, tools::promtool(&mut self.steps)?);
        Ok(vec![(HELM, helm.into()), (KUBECTL, kubectl.into()), (PROMTOOL, promtool.into())])
    }

    /// The programs take processor time, and the API server's tests mostly wait: so they run at the same time.
    fn on_the_api_server(&mut self, mut programs: Vec<Suite>, tools: &[(&'static str, OsString)]) -> Result<()> {
        // The leftovers of an earlier, killed run could not be distinguished from what this run creates.
        self.xtask(&["node", "down", "--control-plane"])?;
        self.xtask(&["node", "up", "--control-plane"])?;
        let kubeconfig = self.node_dir.join("control-plane/admin.kubeconfig");
        // They wait for the API server and its controllers, and those that change Linkerd wait for each other.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        // The second compares the permissions of all controllers of the first with those that they used.
        let api = Suite::new("run API server tests", &["--test=api", "--test=permissions"])
            .threads(4 * processors)
            .option(&format!("--skip={MEMORY}"))
            .with_all(tools)
            .with(API_KUBECONFIG, &kubeconfig);
        programs.push(
            Suite::new("run chart and monitoring tests", &["--test=install", "--test=monitoring"]).with_all(tools),
        );
        // Two at a time: their assertions about memory and latency assume a machine that is not overloaded.
        let tenants = Suite::new("run tenant and fault tests", &["--test=tenant", "--test=faults"])
            .threads(2)
            .with(API_KUBECONFIG, &kubeconfig);
        let memory =
            Suite::new("run memory tests", &["--test=api"]).threads(1).option(MEMORY).with(API_KUBECONFIG, &kubeconfig);
        let result = self.suites(vec![vec![api], programs]).and_then(|()| self.suites(vec![vec![tenants, memory]]));
        result.and(self.xtask(&["node", "down", "--control-plane"]))
    }

    fn on_the_node(&mut self) -> Result<()> {
        // A killed run may have left its node.
        self.xtask(&["down", "--delete-data"])?;
        let images: Vec<&str> = self.arguments.images.iter().flat_map(|image| ["--image", image]).collect();
        self.xtask(&[&["up", "--demo", "--all-images"], &images[..]].concat())?;
        self.xtask(&["node", "up", "--cloud-native-pg"])?;
        // All at once: each waits until the node has room for its weight.
        let node = Suite::new("run node tests", &["--test=node"])
            .threads(100)
            .with(NODE_KUBECONFIG, self.node_dir.join("node/admin.kubeconfig"))
            .with(XTASK, &self.program);
        self.suites(vec![vec![node]])
    }

    /// The environment of every program that uses the tests' clusters.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = vec![(NODE_DIR, self.node_dir.clone().into())];
        if self.arguments.full {
            environment.push((FULL, "1".into()));
        } else if env::var_os(images::PROFILE).is_none() {
            environment.push((images::PROFILE, "dev".into()));
        }
        environment
    }

    /// Runs rows of suites at the same time; keeps the summaries, and prints the whole output of those that fail.
    fn suites(&mut self, rows: Vec<Vec<Suite>>) -> Result<()> {
        let (shared, goes_on) = (self.environment(), self.arguments.no_fail_fast);
        let planned = |suite: Suite| {
            let shared = &shared;
            Planned::new(suite.name, move |step| suite.run(step, shared, goes_on))
        };
        let rows = rows.into_iter().map(|row| row.into_iter().map(planned).collect()).collect();
        let ended = self.steps.run_rows(rows);
        // All of them have run, so all are reported before the first failure ends the run.
        let reported: Vec<Result<()>> = ended.into_iter().map(|(name, result)| self.report(&name, result)).collect();
        reported.into_iter().collect()
    }

    fn report(&mut self, name: &str, result: Result<()>) -> Result<()> {
        let text = std::fs::read_to_string(self.steps.log_of(name)).unwrap_or_default();
        if result.is_err() {
            println!("{text}");
        }
        for line in text.lines().filter(|line| is_measured(line)) {
            println!("  {line}");
        }
        let of_runner = |line: &&str| line.starts_with("test result:") && !line.contains(" 0 passed; 0 failed");
        for line in text.lines().filter(of_runner) {
            println!("{line}");
            self.closing.push(line.to_owned());
        }
        match result {
            Err(error) if self.arguments.no_fail_fast => {
                println!("{error:#}");
                self.failed.push(name.to_owned());
                Ok(())
            }
            result => result,
        }
    }

    /// Runs another command of this program on the tests' clusters; the command prints its own steps.
    fn xtask(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(arguments).envs(self.environment());
        // The data belong to the tests' own node.
        if arguments.contains(&"down") || (self.arguments.yes && arguments.contains(&"up")) {
            command.arg("--yes");
        }
        let status = command.status().context("could not start xtask")?;
        if !status.success() {
            bail!("`cargo xtask {}` failed", arguments.join(" "));
        }
        Ok(())
    }
}

/// Whether a line of a test's output is a measurement: `what: 1.2 s`.
fn is_measured(line: &str) -> bool {
    let number = line.rsplit_once(": ").and_then(|(_, number)| number.split_once(' '));
    number.is_some_and(|(number, unit)| ["s", "ms", "MiB"].contains(&unit) && number.parse::<f64>().is_ok())
}

/// The names of the integration tests of all crates except the one whose tests need a cluster.
fn integration_tests() -> Result<BTreeSet<String>> {
    let root = place::workspace();
    let mut packages = vec![root.join("xtask")];
    packages.extend(["faulty", "linkerd", "stand-in"].map(|name| root.join("tests").join(name)));
    for package in std::fs::read_dir(root.join("crates"))? {
        packages.push(package?.path());
    }
    let mut names = BTreeSet::new();
    for folder in packages.into_iter().map(|package| package.join("tests")).filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let is_test = path.join("main.rs").is_file() || path.extension().is_some_and(|extension| extension == "rs");
            names.extend(path.file_stem().filter(|_| is_test).map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// `cargo deny`, installed into the cache on first use. Its list of advisories is not fetched; whether versions are yanked is.
fn deny(step: &mut Step) -> Result<()> {
    let root = place::cache()?.join("tools");
    let program = root.join("bin/cargo-deny");
    if !program.is_file() {
        step.note("installing cargo-deny");
        cargo(step).args(["install", "--locked", "--root"]).arg(&root).arg("cargo-deny").run()?;
    }
    let checks = ["--all-features", "check", "bans", "licenses", "sources"];
    step.command(program).current_dir(place::workspace()).args(checks).run()
}

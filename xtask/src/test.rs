//! `cargo xtask test`: all levels, from formatting to a node that was killed, and the machine as it was before.
//!
//! ```text
//! format, lints, generated files ─▶ tests that need no cluster ─▶ the bridge between real programs ─▶ API server alone
//!                                                               ─▶ strangers as tenants, and an API server with faults
//!                                                               ─▶ node: the seed, then the rest ─▶ node down
//! ```
//!
//! The local clusters of the tests have a state directory of their own, so that the data of a node that is used stay.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{LoggedCommand, Step, Steps};
use crate::{codegen, images, place};

/// The variables that tell tests where their cluster is; crate `e2e` reads them.
const API_KUBECONFIG: &str = "TEMPORAL_STACK_API_KUBECONFIG";
const NODE_KUBECONFIG: &str = "TEMPORAL_STACK_NODE_KUBECONFIG";
const XTASK: &str = "TEMPORAL_STACK_XTASK";
const NODE_DIR: &str = "TEMPORAL_STACK_NODE_DIR";
/// The folder with the programs of Kubo and IPFS Cluster.
const PROGRAMS: &str = "TEMPORAL_STACK_PROGRAMS";
const FULL: &str = "TEMPORAL_STACK_TEST_FULL";

/// The arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Larger matrices and counts, too, and the checks that need tools from outside.
    #[arg(long)]
    full: bool,
    /// Another image for a product, as `cargo xtask up` takes it: `temporal=REF` runs the tests with Temporal itself.
    #[arg(long = "image", value_name = "NAME=REF")]
    images: Vec<String>,
    /// Go on with the other tests when some have failed.
    #[arg(long)]
    no_fail_fast: bool,
    /// Do not ask before installing packages or changing the network.
    #[arg(long, short)]
    yes: bool,
}

/// Runs all tests; ends with the test runners' own closing lines.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut run = Run::new(arguments)?;
    run.without_a_cluster()?;
    run.build()?;
    run.on_the_bridge()?;
    let result = run.on_the_api_server().and_then(|()| run.on_the_node());
    // The node goes, whatever the tests said.
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
    /// This program: asked for at the start, because cargo puts another file in its place while it builds for the tests.
    program: PathBuf,
    closing: Vec<String>,
    /// Tests that failed while the others went on.
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
        self.steps.run("format", |step| cargo(step).args(["fmt", "--all", "--check"]).run())?;
        self.steps.run("lints", |step| {
            let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny=warnings"];
            cargo(step).args(clippy).run()
        })?;
        self.steps.run("generated files", |_| codegen::check())?;
        if self.arguments.full {
            self.steps.run("documentation", |step| {
                cargo(step).env("RUSTDOCFLAGS", "--deny=warnings").args(["doc", "--workspace", "--no-deps"]).run()
            })?;
            self.steps.run("licences, sources, duplicates", deny)?;
        }
        self.tests("tests without a cluster", &["--workspace", "--exclude=e2e", "--all-features"], &[])?;
        // Of the crate of the tests, its library alone needs no cluster: the proxy, the fakes and the random specs.
        let library = ["--workspace", "--all-features", "--lib", "--", "proxy::", "fake::", "schema::"];
        self.tests("tests of the tests' own library", &library, &[])
    }

    fn build(&mut self) -> Result<()> {
        self.steps.run("build the controllers for tests", |step| {
            cargo(step).args(["build", "--workspace", "--all-features", "--bins", "--examples", "--tests"]).run()
        })
    }

    fn on_the_bridge(&mut self) -> Result<()> {
        // Those of images bring Go along, which builds the programs.
        images::agree(self.arguments.yes)?;
        let programs = images::peers(&mut self.steps)?;
        let bridge = ["--workspace", "--all-features", "--test=bridge", "--", "--show-output"];
        self.tests("tests of the bridge", &bridge, &[(PROGRAMS, programs.into())])
    }

    fn on_the_api_server(&mut self) -> Result<()> {
        // What an earlier run, which was killed, may have left is not to be told from what this one makes.
        self.xtask(&["node", "down", "--control-plane"])?;
        self.xtask(&["node", "up", "--control-plane"])?;
        let kubeconfig = self.node_dir.join("control-plane/admin.kubeconfig");
        let result = self.tests(
            "tests on the API server",
            // The second looks at what all controllers of the first have been permitted and have used.
            &["--workspace", "--all-features", "--test=api", "--test=permissions", "--", "--show-output"],
            &[(API_KUBECONFIG, kubeconfig.into())],
        );
        let result = result.and_then(|()| self.with_strangers_and_faults());
        result.and(self.xtask(&["node", "down", "--control-plane"]))
    }

    /// Two at a time: what they assert of memory and latency is about a machine that is not overrun.
    fn with_strangers_and_faults(&mut self) -> Result<()> {
        let kubeconfig = self.node_dir.join("control-plane/admin.kubeconfig");
        let suites = [
            "--workspace",
            "--all-features",
            "--test=tenant",
            "--test=faults",
            "--",
            "--test-threads=2",
            "--show-output",
        ];
        self.tests(
            "tests of strangers and of an API server with faults",
            &suites,
            &[(API_KUBECONFIG, kubeconfig.into())],
        )
    }

    fn on_the_node(&mut self) -> Result<()> {
        // A run that was killed may have left its node.
        self.xtask(&["down", "--delete-data"])?;
        let images: Vec<&str> = self.arguments.images.iter().flat_map(|image| ["--image", image]).collect();
        self.xtask(&[&["up", "--demo"], &images[..]].concat())?;
        let environment = [
            (NODE_KUBECONFIG, self.node_dir.join("node/admin.kubeconfig").into()),
            (XTASK, self.program.clone().into()),
        ];
        let seed = ["--workspace", "--all-features", "--test=seed", "--", "--test-threads=1", "--show-output"];
        self.tests("tests of the seed on the node", &seed, &environment)?;
        // One after the other: they share the queues of the stack.
        let temporal = ["--workspace", "--all-features", "--test=temporal", "--", "--test-threads=1", "--show-output"];
        self.tests("tests of Temporal on the node", &temporal, &environment)?;
        let rest = ["--workspace", "--all-features", "--test=node", "--", "--show-output"];
        self.tests("tests on the node", &rest, &environment)?;
        let queue = ["--workspace", "--all-features", "--test=queue", "--", "--show-output"];
        self.tests("tests of the queue on the node", &queue, &environment)?;
        // Three at a time: each has several peers, and a machine of two processors starts no more of them in good time.
        let ipfs = ["--workspace", "--all-features", "--test=ipfs", "--", "--test-threads=3", "--show-output"];
        self.tests("tests of the peers on the node", &ipfs, &environment)
    }

    /// Runs cargo's tests; keeps their closing lines, and prints everything when they fail.
    fn tests(&mut self, name: &str, arguments: &[&str], environment: &[(&str, OsString)]) -> Result<()> {
        let node_dir = self.node_dir.clone();
        let full = self.arguments.full;
        let no_fail_fast = self.arguments.no_fail_fast.then_some("--no-fail-fast");
        let log = self.steps.log_of(name);
        let result = self.steps.run(name, |step| {
            let mut command = cargo(step).arg("test").args(no_fail_fast).args(arguments).env(NODE_DIR, node_dir);
            for (key, value) in environment {
                command = command.env(key, value);
            }
            if full {
                command = command.env(FULL, "1");
            }
            command.run()
        });
        let text = std::fs::read_to_string(&log).unwrap_or_default();
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

    /// Runs another command of this program, on the clusters of the tests; it prints its own steps.
    fn xtask(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env(NODE_DIR, &self.node_dir);
        // The data are those of the tests' own node.
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

/// Whether a test says how long something took, or how large it was: `what: 1.2 s`.
fn is_measured(line: &str) -> bool {
    let number = line.rsplit_once(": ").and_then(|(_, number)| number.split_once(' '));
    number.is_some_and(|(number, unit)| ["s", "ms", "MiB"].contains(&unit) && number.parse::<f64>().is_ok())
}

fn cargo(step: &Step) -> LoggedCommand {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    step.command(cargo).outside_of_packages().current_dir(place::workspace())
}

/// `cargo deny`, installed into the cache on first use. Its list of advisories is not fetched: what is yanked is.
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

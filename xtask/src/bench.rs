//! `cargo xtask bench <controller>`: the performance of a controller on an API server alone.
//!
//! etcd and the API server run, and nothing else: no node, and none of Kubernetes' controllers, so there are no pods and no
//! claims. It measures the controller and the API server, not the product. Everything belongs to the driver, so every component
//! is covered by its line in [`crate::controllers`].

// Counts of a benchmark are far below 2^52.
#![allow(clippy::cast_precision_loss)]

mod fleet;
mod subject;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::controllers::{self, Controller};
use crate::kubectl::Kubectl;
use crate::node::{Controllers, control_plane_only};
use crate::step::{Step, Steps};
use crate::{images, place};
use fleet::Fleet;
use subject::Subject;

/// The arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The controller to measure.
    controller: String,
    /// How many of its objects to create.
    #[arg(long, default_value_t = 200)]
    objects: usize,
    /// How many unrelated Secrets to create at the end.
    #[arg(long, default_value_t = 10_000)]
    foreign_secrets: usize,
    /// For how many seconds to count requests while nothing changes.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Do not ask before installing packages.
    #[arg(long, short)]
    yes: bool,
}

/// Runs the benchmark and prints what it measured as a table.
pub fn run(arguments: &Arguments) -> Result<()> {
    let chosen = controllers::named(std::slice::from_ref(&arguments.controller))?;
    let controller = *chosen.first().context("controller missing: none is named")?;
    control_plane_only::up(arguments.yes, Controllers::Absent)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    let measured = runtime.block_on(measure(arguments, controller));
    control_plane_only::down()?;
    println!("{}", measured?);
    Ok(())
}

async fn measure(arguments: &Arguments, controller: &Controller) -> Result<String> {
    let count = arguments.objects;
    let mut steps = Steps::new("bench")?;
    let program = images::program(&mut steps, controller.program)?;
    let kubeconfig = crate::cluster::Cluster::control_plane()?.kubeconfig();
    steps.run("install the CRD", |step| install(step, controller, &kubeconfig))?;
    let fleet = Fleet::new(&kubeconfig, controller).await?;
    fleet.prepare().await?;

    let subject = Subject::start(&program, &kubeconfig).await?;
    let idle_memory = subject.memory()?;
    let before = subject.requests()?;
    let began = Instant::now();
    fleet.make_objects(count).await?;
    let objects_made = began.elapsed();
    fleet.until_workloads(count).await?;
    let workloads_made = began.elapsed();
    let after = subject.until_quiet().await?;
    let memory = subject.memory()?;

    let quiet = subject.idle(Duration::from_secs(arguments.idle)).await?;
    fleet.make_foreign_secrets(arguments.foreign_secrets).await?;
    subject.until_quiet().await?;
    let memory_with_secrets = subject.memory()?;
    drop(subject);

    let (passes, looked) = look_again(&program, &kubeconfig, count).await?;
    let (kinds, limit) = fleet.limit(count).await?;
    let made = after.since(&before);
    let per_object = |requests: u64| requests as f64 / count as f64;
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    let mut rows = vec![
        ("objects".to_owned(), count.to_string()),
        ("objects made by the bench, per second".to_owned(), format!("{:.1}", rate(objects_made))),
        ("objects until all workloads exist, per second".to_owned(), format!("{:.1}", rate(workloads_made))),
        (format!("the same {kinds} children by a plain client, objects per second"), format!("{:.1}", rate(limit))),
        ("requests per object made".to_owned(), format!("{:.2}", per_object(made.total()))),
        (
            "requests per object and minute, nothing changing".to_owned(),
            format!("{:.3}", per_object(quiet.total()) * 60.0 / arguments.idle.max(1) as f64),
        ),
        (
            "unchanged passes per second, one process, at its start".to_owned(),
            format!("{:.0}", passes as f64 / looked.as_secs_f64()),
        ),
        ("writes in those passes".to_owned(), "0".to_owned()),
        ("resident memory at 0 objects, MB".to_owned(), megabytes(idle_memory)),
        (format!("resident memory at {count} objects, MB"), megabytes(memory)),
        (format!("… and {} foreign Secrets, MB", arguments.foreign_secrets), megabytes(memory_with_secrets)),
    ];
    for (call, number) in &made.0 {
        rows.push((format!("requests: {call}"), format!("{:.2} per object", per_object(*number))));
    }
    steps.finish();
    Ok(table(&rows))
}

fn install(step: &Step, controller: &Controller, kubeconfig: &Path) -> Result<()> {
    let crd = place::workspace().join("deploy/crds").join(controller.name);
    let kubectl = Kubectl::with_kubeconfig(kubeconfig)?;
    kubectl.command(step).args(["apply", "--kustomize"]).arg(crd).run()
}

/// Starts a new process, which makes one pass over every object and finds nothing to do. Returns the number of passes, and how long
/// they took.
async fn look_again(program: &Path, kubeconfig: &Path, count: usize) -> Result<(u64, Duration)> {
    let began = Instant::now();
    let again = Subject::start(program, kubeconfig).await?;
    let passes = again.until_passes(count).await?;
    let looked = began.elapsed();
    let writes = again.requests()?.writes().total();
    if writes > 0 {
        bail!("unexpected writes: a new process made {writes} although nothing had changed");
    }
    Ok((passes, looked))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

fn table(rows: &[(String, String)]) -> String {
    let lines = rows.iter().map(|(name, value)| format!("| {name} | {value} |"));
    ["| | |", "|---|---|"].into_iter().map(str::to_owned).chain(lines).collect::<Vec<_>>().join("\n")
}

/// A custom resource of a controller with that name.
fn sample(controller: &Controller, name: &str) -> Value {
    let crd = (controller.crd)();
    let version = crd.spec.versions.first().map(|version| version.name.clone()).unwrap_or_default();
    serde_json::json!({
        "apiVersion": format!("{}/{version}", crd.spec.group),
        "kind": crd.spec.names.kind,
        "metadata": {"name": name},
        "spec": (controller.sample)(),
    })
}

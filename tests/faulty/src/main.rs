//! A controller of the stack in a process that ends before or after its n-th write to the API, as a machine that fails would.
//!
//! It ends with success when a pass has found nothing to do before it came to that write.

use std::{
    process::abort,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use clap::{Args, Command, Parser, ValueEnum};
use futures::{FutureExt as _, future::BoxFuture};
use http::{Method, Request};
use kube::client::Body;
use temporal_stack_common::{
    component::Component,
    driver,
    process::{Control, Process, Requests, Scope, client, install_crypto, log},
};
use temporal_stack_database::Database;
use temporal_stack_ipfs::Ipfs;
use temporal_stack_mesh::LinkerdMesh;
use temporal_stack_queue::Queue;
use temporal_stack_storage::Storage;
use temporal_stack_temporal::Application;
use tower::{Service, layer::layer_fn};

/// A controller of the stack, which ends itself at a write.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program that it is otherwise.
    #[arg(long)]
    controller: String,
    /// The namespace to serve.
    #[arg(long)]
    namespace: String,
    /// When to end.
    #[arg(long, value_enum)]
    end: End,
    /// At which write, counted from 1.
    #[arg(long)]
    write: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum End {
    /// The write is not sent.
    Before,
    /// The write has been answered, and nobody has seen the answer.
    After,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    install_crypto();
    let arguments = Arguments::parse();
    log::init("info", log::Format::Json)?;
    let requests = Requests::default();
    let fault = Fault { end: arguments.end, at: arguments.write, seen: Arc::default() };
    let layer = layer_fn(|inner| Faulty { inner, fault: fault.clone() });
    let client = client::builder(client::config(None).await?, &requests)?.with_layer(&layer).build();
    let scope = Scope::Namespaces(vec![arguments.namespace]);
    let hand = client.clone();
    let process = |name| Process::new(name, client, scope, requests);
    match arguments.controller.as_str() {
        "database-controller" => run("database-controller", Database::new(defaults()?), process).await,
        "queue-controller" => run("queue-controller", Queue::new(defaults()?), process).await,
        "ipfs-controller" => run("ipfs-controller", Ipfs::new(defaults()?), process).await,
        "storage-controller" => run("storage-controller", Storage::new(defaults()?), process).await,
        "mesh-controller" => run("mesh-controller", LinkerdMesh::new(defaults()?, hand), process).await,
        "temporal-controller" => run("temporal-controller", Application::new(defaults()?), process).await,
        other => anyhow::bail!("{other} is not a controller of the stack"),
    }
}

/// What the installation decides, from the environment as the program itself reads it.
fn defaults<D: Args>() -> anyhow::Result<D> {
    let matches = D::augment_args(Command::new("defaults")).try_get_matches_from(["defaults"])?;
    Ok(D::from_arg_matches(&matches)?)
}

/// Runs a controller until it ends, or a pass has found nothing to do.
async fn run(
    name: &'static str,
    component: impl Component,
    process: impl FnOnce(&'static str) -> (Process, Control),
) -> anyhow::Result<()> {
    let (process, control) = process(name);
    let settled = settled(process.clone());
    let controller = driver::run(component, process);
    control.lead();
    tokio::select! {
        ended = controller => ended?,
        () = settled => {}
    }
    Ok(())
}

/// Resolves when a pass has found nothing to do.
async fn settled(process: Process) {
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    let unchanged = "temporal_stack_passes_total{result=\"unchanged\"}";
    loop {
        turns.tick().await;
        let text = process.metrics.encode().unwrap_or_default();
        // The counter exists from the start.
        if text.lines().filter_map(|line| line.strip_prefix(unchanged)).any(|count| count.trim() != "0") {
            return;
        }
    }
}

#[derive(Clone, Debug)]
struct Fault {
    end: End,
    at: u32,
    seen: Arc<AtomicU32>,
}

#[derive(Clone, Debug)]
struct Faulty<S> {
    inner: S,
    fault: Fault,
}

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Fault { end, at, seen } = &self.fault;
        // A dry run writes nothing.
        let is_dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun="));
        let is_write = *request.method() != Method::GET && !is_dry_run;
        let ends = is_write && seen.fetch_add(1, Ordering::SeqCst) + 1 == *at;
        if ends {
            eprintln!("{{\"message\": \"ending {end:?} {} {}\"}}", request.method(), request.uri().path());
        }
        if ends && *end == End::Before {
            abort();
        }
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            if ends {
                abort();
            }
            answer
        }
        .boxed()
    }
}

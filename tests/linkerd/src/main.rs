//! The programs in the image of the stand-in for Linkerd.

use std::{net::Ipv4Addr, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use axum::{Router, routing::get};
use clap::{Parser, Subcommand};
use kube::Client;
use linkerd_stand_in::{
    VERSION,
    authority::Pair,
    proxy::{self, Settings},
    webhook::Webhook,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// The port with the health of a component of the control plane.
const HEALTH: u16 = 9990;
/// The port of the webhook.
const WEBHOOK: u16 = 8443;

/// A stand-in for Linkerd, for tests.
#[derive(Debug, Parser)]
#[command(version = VERSION)]
struct Arguments {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// What comes before the proxy in a pod; it does nothing.
    Init,
    /// The sidecar.
    Proxy,
    /// The admission webhook.
    Injector {
        /// The image of the containers that it adds: its own.
        #[arg(long)]
        image: String,
        /// A directory with tls.crt and tls.key.
        #[arg(long)]
        directory: PathBuf,
    },
    /// Another component of the control plane, which only is there.
    Component,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().program).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(program: Program) -> Result<()> {
    match program {
        Program::Init => Ok(()),
        Program::Proxy => proxy::run(Settings::from_environment(), terminated()?).await,
        Program::Component => until_terminated(std::future::pending()).await,
        Program::Injector { image, directory } => {
            // An error means that there is one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let read = |name: &str| {
                let path = directory.join(name);
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
            };
            let pair = Pair { certificate: read("tls.crt")?, key: read("tls.key")? };
            let client = Client::try_default().await?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, WEBHOOK)).await?;
            until_terminated(Webhook::new(client, image).serve(listener, &pair)).await
        }
    }
}

/// Runs until the program is asked to end, and says meanwhile that it is ready.
async fn until_terminated(serving: impl Future<Output = Result<()>>) -> Result<()> {
    let health = TcpListener::bind((Ipv4Addr::UNSPECIFIED, HEALTH)).await?;
    let router = Router::new().route("/ready", get(|| async { "ready\n" }));
    let ends = terminated()?;
    tokio::select! {
        ended = serving => ended,
        ended = async { axum::serve(health, router).await } => ended.context("the port of its health ended"),
        () = ends => Ok(()),
    }
}

/// Resolves when the program is asked to end: as the first process of a container nothing ends it otherwise.
fn terminated() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let _ = terminate.recv().await;
    })
}

//! `bridge wait`: ends when all that a program needs answers.
//!
//! Temporal ends at once when something that it needs does not answer, and Kubernetes starts it again later and later. An init
//! container that waits takes no longer than what it waits for.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use temporal_stack_common::{
    failure::deepest,
    process::{self, log, signals},
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is said what is waited for.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What to wait for.
#[derive(Clone, Debug, clap::Args)]
pub struct Targets {
    /// `tcp://host:port` must take connections, `http://…` must answer a GET, and `post+http://…` a POST, with less than 400.
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<Target>,
}

/// One thing to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Connects(String),
    Answers(Method, Uri),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("tcp://") {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            return port.map(|_| Self::Connects(address.to_owned())).ok_or("write tcp://host:port".to_owned());
        }
        let (method, url) = text.strip_prefix("post+").map_or((Method::GET, text), |url| (Method::POST, url));
        let uri: Uri = url.parse().map_err(|_| format!("{url} is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err("write tcp://host:port, http://… or post+http://…".to_owned());
        }
        Ok(Self::Answers(method, uri))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connects(address) => write!(f, "tcp://{address}"),
            Self::Answers(method, uri) => write!(f, "{method} {uri}"),
        }
    }
}

/// Waits until all answer, or until the process is to end.
///
/// # Errors
///
/// There is no log, or signals cannot be listened for.
pub async fn wait(targets: Targets) -> Result<(), process::Error> {
    log::init("info", log::Format::default())?;
    let mut signals = signals().map_err(process::Error::Signals)?;
    let all = async {
        for target in &targets.targets {
            until(target).await;
        }
        tracing::info!("all answer");
    };
    tokio::select! {
        () = all => {}
        _ = signals.recv() => tracing::info!("told to end"),
    }
    Ok(())
}

async fn until(target: &Target) {
    let mut said = None;
    while let Err(failure) = attempt(target).await {
        if said.is_none_or(|at: Instant| at.elapsed() > SAID_EVERY) {
            tracing::info!("waiting for {target}: {failure}");
            said = Some(Instant::now());
        }
        sleep(PAUSE).await;
    }
}

async fn attempt(target: &Target) -> Result<(), String> {
    let trying = async {
        match target {
            Target::Connects(address) => TcpStream::connect(address).await.map(drop).map_err(|error| deepest(&error)),
            Target::Answers(method, uri) => {
                let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
                let request = Request::builder().method(method).uri(uri).body(Full::default());
                let request = request.map_err(|error| error.to_string())?;
                let answer = client.request(request).await.map_err(|error| deepest(&error))?;
                let status = answer.status();
                if status.as_u16() < 400 { Ok(()) } else { Err(format!("it says {status}")) }
            }
        }
    };
    timeout(PATIENCE, trying).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn what_is_no_target_is_refused_with_the_remedy() {
        for wrong in ["db:5432", "tcp://db", "https://x", "post+tcp://x:1", "tcp://db:0x"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
        let post: Target = "post+http://127.0.0.1:5001/api/v0/id".parse().unwrap();
        assert_eq!(post.to_string(), "POST http://127.0.0.1:5001/api/v0/id");
    }

    #[tokio::test]
    async fn it_ends_when_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let target = Target::Connects(address.to_string());
        assert!(attempt(&target).await.is_err());
        let waiting = tokio::spawn(async move { until(&target).await });
        let _listener = TcpListener::bind(address).await.unwrap();
        waiting.await.unwrap();
    }
}

//! An application that uses a bucket: it asks one ready server after another, as a Service sends it, and tries again elsewhere.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use temporal_stack_common::s3::{Address, Client, Failure, Key};
use tokio::{task::JoinHandle, time::sleep};

use crate::{objects::LIMIT, wait::turns};

/// How many clients a load has.
const CLIENTS: usize = 4;
/// How long a client waits before it tries again. Libraries for S3 wait up to a second, or more.
const PAUSE: Duration = Duration::from_secs(1);

/// A client of several servers, whose key may change.
pub struct Application {
    addresses: Vec<Address>,
    /// The servers that a Service would leave out, because they are not ready or are about to stop.
    left_out: RwLock<BTreeSet<usize>>,
    key: RwLock<Key>,
    next: AtomicUsize,
    /// How often a request was tried again.
    pub retries: AtomicUsize,
    /// How long a request may be tried again.
    patience: Duration,
    /// The longest time that one took, in milliseconds.
    longest: AtomicU64,
}

impl Application {
    /// A client that tries each request again for so long.
    pub fn with_patience(addresses: Vec<Address>, key: &Key, patience: Duration) -> Arc<Self> {
        let (key, next, retries) = (RwLock::new(key.clone()), AtomicUsize::new(0), AtomicUsize::new(0));
        let longest = AtomicU64::new(0);
        Arc::new(Self { addresses, left_out: RwLock::default(), key, next, retries, patience, longest })
    }

    /// The longest time that a request took, with its retries.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }

    /// The next request has this key.
    pub fn set_key(&self, key: &Key) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key.clone();
    }

    /// Leaves a server out from now on, as a Service leaves out a pod that is about to stop; or not any more.
    pub fn leave_out(&self, server: usize, is_left_out: bool) {
        let mut left_out = self.left_out.write().unwrap_or_else(PoisonError::into_inner);
        if is_left_out {
            left_out.insert(server)
        } else {
            left_out.remove(&server)
        };
    }

    /// Puts an object, and reads it back.
    async fn round(&self, bucket: &str, key: &str, content: &[u8]) -> Result<()> {
        self.tries(bucket, key, Some(content)).await.context("could not put")?;
        let got = self.tries(bucket, key, None).await.context("could not get")?;
        ensure!(got == content, "{key} differs");
        Ok(())
    }

    /// Puts content if there is some, else reads it.
    async fn tries(&self, bucket: &str, key: &str, content: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        // Of all requests the next server, and then the one after it.
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let (started, mut tried) = (Instant::now(), 0);
        loop {
            let client = self.client(first + tried)?;
            let result = match content {
                Some(content) => client.put(bucket, key, content.to_vec()).await.map(|_| Vec::new()),
                None => client.get(bucket, key, LIMIT).await,
            };
            let took = started.elapsed();
            self.longest.fetch_max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            let failure = match result {
                Err(failure) if took < self.patience => failure,
                result => return result,
            };
            println!("tried again: {failure}");
            sleep(PAUSE).await;
            tried += 1;
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A server, with the key of the moment, as from a file that Kubernetes keeps.
    fn client(&self, server: usize) -> Result<Client, Failure> {
        let ready: Vec<&Address> = {
            let left_out = self.left_out.read().unwrap_or_else(PoisonError::into_inner);
            let all = self.addresses.iter().enumerate();
            all.filter(|(number, _)| !left_out.contains(number)).map(|(_, address)| address).collect()
        };
        let address = ready[server % ready.len()];
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        Client::new(address, &key)
    }
}

/// Several clients that put and get until they are told to end.
pub struct Load {
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    /// What ended a client.
    failure: Arc<Mutex<Option<String>>>,
    running: Vec<JoinHandle<Result<usize>>>,
}

impl Load {
    /// Begins.
    pub fn start(application: &Arc<Application>, bucket: &'static str) -> Self {
        let (is_over, done): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let failure: Arc<Mutex<Option<String>>> = Arc::default();
        let client = |number: usize| {
            let (application, is_over, done) = (application.clone(), is_over.clone(), done.clone());
            let failure = failure.clone();
            tokio::spawn(async move {
                let mut round = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let key = format!("load-{number}-{round}");
                    let result = application.round(bucket, &key, key.repeat(50).as_bytes()).await;
                    if let Err(error) = result.with_context(|| key.clone()) {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
                        return Err(error);
                    }
                    round += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(round)
            })
        };
        let running = (0..CLIENTS).map(client).collect();
        Self { is_over, done, failure, running }
    }

    /// Waits until so many more rounds are done, by all clients together; or a client has failed.
    pub async fn goes_on(&self, rounds: usize) -> Result<()> {
        let goal = self.done.load(Ordering::Relaxed) + rounds;
        turns("the clients have done more", async || {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ensure!(failure.is_none(), "a request failed: {}", failure.unwrap_or_default());
            Ok(self.done.load(Ordering::Relaxed) >= goal)
        })
        .await
    }

    /// Ends it: fails if any request failed, else says how many objects each client has put.
    pub async fn end(self) -> Result<Vec<usize>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut rounds = Vec::new();
        for client in self.running {
            rounds.push(client.await??);
        }
        Ok(rounds)
    }
}

/// Reads again what a load has put.
pub async fn reads_again(client: &Client, bucket: &str, rounds: &[usize]) -> Result<usize> {
    let mut read = 0;
    for (number, rounds) in rounds.iter().enumerate() {
        for round in 0..*rounds {
            let key = format!("load-{number}-{round}");
            let got = client.get(bucket, &key, LIMIT).await.with_context(|| key.clone())?;
            ensure!(got == key.repeat(50).as_bytes(), "{key} differs");
            read += 1;
        }
    }
    Ok(read)
}

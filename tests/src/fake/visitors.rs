//! A fake server that notes who has connected, by the login that each connection names.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{interval, timeout},
};

/// How long a connection may take to name its login: one that was just opened has not done so yet.
const NAMED_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at those without a login.
const TURN: Duration = Duration::from_millis(50);

/// The running server; it ends when this is dropped.
pub struct Visited {
    address: SocketAddr,
    visitors: Visitors,
    _serving: JoinSet<()>,
}

impl Visited {
    /// Starts it on a free port of this machine; `serve` answers a connection.
    pub(super) async fn start<S, F>(serve: S) -> Result<Self>
    where
        S: Fn(TcpStream, Visitor) -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let visitors = Visitors::default();
        let (seen, mut serving) = (visitors.clone(), JoinSet::new());
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let served = serve(connection, seen.arrive());
                open.spawn(async move {
                    // An error is a client that has gone.
                    let _ = served.await;
                });
            }
        });
        Ok(Self { address, visitors, _serving: serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were.
    pub fn asked(&self) -> u64 {
        self.visitors.all().len() as u64
    }

    /// The connections that have named another login than this one, or none at all.
    pub async fn others_than(&self, login: &str) -> Vec<String> {
        self.visitors.others_than(login).await
    }
}

/// One connection.
pub(super) struct Visitor {
    visitors: Visitors,
    number: usize,
}

impl Visitor {
    /// Notes its login.
    pub(super) fn identify(&self, login: &str) {
        if let Some(visitor) = self.visitors.all().get_mut(self.number) {
            *visitor = Some(login.to_owned());
        }
    }
}

/// The login of each connection, once it is named.
#[derive(Clone, Debug, Default)]
struct Visitors(Arc<Mutex<Vec<Option<String>>>>);

impl Visitors {
    fn arrive(&self) -> Visitor {
        let mut all = self.all();
        all.push(None);
        Visitor { visitors: self.clone(), number: all.len() - 1 }
    }

    async fn others_than(&self, login: &str) -> Vec<String> {
        let mut turns = interval(TURN);
        let named = async {
            while self.all().iter().any(Option::is_none) {
                turns.tick().await;
            }
        };
        // Whoever speaks another protocol names none.
        let _ = timeout(NAMED_WITHIN, named).await;
        let all = self.all();
        let others = all.iter().filter(|visitor| visitor.as_deref() != Some(login));
        others.map(|visitor| visitor.clone().unwrap_or_else(|| "without a login".to_owned())).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! An application that writes numbers one after the other, each until it is confirmed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Space, sql::Session};
use tokio::{
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

/// How often a number is written.
const TURN: Duration = Duration::from_millis(50);
/// How long one statement, or one connection, may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing may be confirmed.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Counts {
    confirmed: AtomicU64,
    /// The longest time without a confirmation since the last look, in milliseconds.
    longest: AtomicU64,
}

/// The application; it ends when it is dropped.
pub(super) struct Ledger<'a> {
    space: &'a Space,
    counts: Arc<Counts>,
    writer: JoinHandle<()>,
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl<'a> Ledger<'a> {
    /// Begins.
    pub(super) async fn start(space: &'a Space) -> Result<Self> {
        let session = connect(space).await?;
        session.run("create table ledger (n bigint primary key)").await?;
        let counts = Arc::<Counts>::default();
        let binding = space.binding().await?;
        let address = space.address_by(&binding).await?;
        let config = e2e::sql::config(&binding, address)?;
        let writer = tokio::spawn({
            let counts = counts.clone();
            async move {
                let mut turns = interval(TURN);
                let mut session = Some(session);
                let mut last = Instant::now();
                loop {
                    turns.tick().await;
                    let Some(open) = &session else {
                        session = timeout(PATIENCE, Session::open(&config)).await.ok().and_then(Result::ok);
                        continue;
                    };
                    let next = counts.confirmed.load(Ordering::SeqCst) + 1;
                    // It may have been stored without an answer.
                    let insert = format!("insert into ledger values ({next}) on conflict do nothing");
                    if matches!(timeout(PATIENCE, open.run(&insert)).await, Ok(Ok(_))) {
                        let pause = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX);
                        counts.longest.fetch_max(pause, Ordering::SeqCst);
                        counts.confirmed.store(next, Ordering::SeqCst);
                        last = Instant::now();
                    } else {
                        session = None;
                    }
                }
            }
        });
        Ok(Self { space, counts, writer })
    }

    /// Waits until numbers are confirmed for some seconds in a row, and prints for how long none was.
    pub(super) async fn goes_on(&self, fault: &str) -> Result<()> {
        const STEADY: u64 = 60;
        let steady = async {
            let mut before = self.counts.confirmed.load(Ordering::SeqCst);
            loop {
                sleep(Duration::from_secs(5)).await;
                let now = self.counts.confirmed.load(Ordering::SeqCst);
                if now >= before + STEADY {
                    return;
                }
                before = now;
            }
        };
        timeout(LONGEST, steady).await.with_context(|| format!("{fault}: no number is confirmed any more"))?;
        let longest = self.counts.longest.swap(0, Ordering::SeqCst);
        println!("{fault}: at most {:.1} s without a confirmed row", f64::from(u32::try_from(longest)?) / 1000.0);
        Ok(())
    }

    /// Every number that was confirmed is there, and at most one more.
    pub(super) async fn adds_up(self) -> Result<()> {
        self.writer.abort();
        sleep(PATIENCE).await;
        let confirmed = self.counts.confirmed.load(Ordering::SeqCst);
        let session = connect(self.space).await?;
        let missing = format!(
            "select count(*) from generate_series(1, {confirmed}) n left join ledger using (n) where ledger.n is null"
        );
        let missing = session.one(&missing).await?;
        let rows: u64 = session.one("select count(*) from ledger").await?.parse()?;
        println!("{confirmed} rows confirmed, {rows} in the table, {missing} lost");
        ensure!(missing == "0", "{missing} of {confirmed} confirmed rows are lost");
        ensure!(rows <= confirmed + 1, "{rows} rows, {confirmed} confirmed");
        Ok(())
    }
}

async fn connect(space: &Space) -> Result<Session> {
    space.connect_by_host(&space.binding().await?).await
}

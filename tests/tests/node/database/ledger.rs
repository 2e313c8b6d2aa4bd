//! An application that writes a row with each statement, connects again by the binding, and knows which rows were confirmed.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{Space, sql::Session};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// The time between two statements: 50 a second.
const TURN: Duration = Duration::from_millis(20);
/// How long one statement, or one connection, may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long no row may be confirmed.
const LONGEST: Duration = Duration::from_secs(120);

/// The application; it ends when it is dropped.
pub(super) struct Ledger<'a> {
    space: &'a Space,
    counts: Arc<Counts>,
    writer: JoinHandle<Result<Rows>>,
}

#[derive(Default)]
struct Counts {
    ends: AtomicBool,
    confirmed: AtomicU64,
    /// The longest time without a confirmed row since the last look, in milliseconds.
    longest: AtomicU64,
}

/// What the application knows at its end.
#[derive(Default)]
struct Rows {
    confirmed: BTreeSet<u64>,
    /// The connection ended before the commit was confirmed.
    unknown: BTreeSet<u64>,
    /// How often a connection was refused.
    refused: u64,
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl<'a> Ledger<'a> {
    /// Begins with an empty table.
    pub(super) async fn start(space: &'a Space) -> Result<Self> {
        let session = space.connect_by_host(&space.binding().await?).await?;
        session.run("create table if not exists ledger (n bigint primary key)").await?;
        session.run("truncate ledger").await?;
        let counts = Arc::<Counts>::default();
        let own = e2e::existing::of(&space.cluster, &space.name).await?;
        let writer = tokio::spawn(write(own, counts.clone()));
        Ok(Self { space, counts, writer })
    }

    /// Waits until so many more rows are confirmed.
    pub(super) async fn grows_by(&self, more: u64) -> Result<()> {
        let wanted = self.confirmed() + more;
        let mut turns = interval(TURN);
        let reached = async {
            while self.confirmed() < wanted {
                turns.tick().await;
            }
        };
        timeout(LONGEST, reached).await.context("no row is confirmed any more")
    }

    /// Waits until rows are confirmed in each of some seconds in a row, and prints for how long none was.
    pub(super) async fn goes_on(&self, fault: &str) -> Result<()> {
        const SECONDS: u32 = 6;
        const ROWS: u64 = 5;
        let steady = async {
            let mut in_a_row = 0;
            while in_a_row < SECONDS {
                let before = self.confirmed();
                sleep(Duration::from_secs(1)).await;
                in_a_row = if self.confirmed() >= before + ROWS { in_a_row + 1 } else { 0 };
            }
        };
        timeout(LONGEST, steady).await.with_context(|| format!("{fault}: no row is confirmed any more"))?;
        let longest = self.counts.longest.swap(0, Ordering::SeqCst);
        println!("{fault}: at most {:.1} s without a confirmed row", f64::from(u32::try_from(longest)?) / 1000.0);
        Ok(())
    }

    /// Every confirmed row is there, and none that was never sent.
    pub(super) async fn adds_up(mut self) -> Result<()> {
        self.counts.ends.store(true, Ordering::SeqCst);
        let rows = (&mut self.writer).await??;
        // A statement without an answer may still be carried out.
        sleep(PATIENCE).await;
        let session = self.space.connect_by_host(&self.space.binding().await?).await?;
        let stored: BTreeSet<u64> =
            session.run("select n from ledger").await?.iter().map(|row| row.parse()).collect::<Result<_, _>>()?;
        let lost = rows.confirmed.difference(&stored).count();
        println!(
            "{} rows confirmed, {} unknown, {} in the table, {lost} lost; {} connections refused",
            rows.confirmed.len(),
            rows.unknown.len(),
            stored.len(),
            rows.refused
        );
        ensure!(lost == 0, "{lost} of {} confirmed rows are lost", rows.confirmed.len());
        let foreign = stored.iter().filter(|row| !rows.confirmed.contains(row) && !rows.unknown.contains(row)).count();
        ensure!(foreign == 0, "{foreign} rows are in the table that were never sent");
        Ok(())
    }

    fn confirmed(&self) -> u64 {
        self.counts.confirmed.load(Ordering::SeqCst)
    }
}

async fn write(space: Space, counts: Arc<Counts>) -> Result<Rows> {
    let (mut rows, mut session, mut number) = (Rows::default(), None, 0_u64);
    let (mut last, mut turns) = (Instant::now(), interval(TURN));
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !counts.ends.load(Ordering::SeqCst) {
        turns.tick().await;
        let Some(open) = &session else {
            session = timeout(PATIENCE, connect(&space)).await.ok().and_then(Result::ok);
            rows.refused += u64::from(session.is_none());
            continue;
        };
        number += 1;
        if matches!(timeout(PATIENCE, open.run(&format!("insert into ledger values ({number})"))).await, Ok(Ok(_))) {
            rows.confirmed.insert(number);
            counts.confirmed.fetch_add(1, Ordering::SeqCst);
            let pause = u64::try_from(last.elapsed().as_millis())?;
            counts.longest.fetch_max(pause, Ordering::SeqCst);
            last = Instant::now();
        } else {
            rows.unknown.insert(number);
            session = None;
        }
    }
    Ok(rows)
}

async fn connect(space: &Space) -> Result<Session> {
    space.connect_by_host(&space.binding().await?).await
}

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};

use super::*;
use crate::process::{
    Leadership, Process, Scope,
    lease::fake::{Caller, FakeApi, Fault},
};

const DRAIN: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_millis(10);

/// A process under test, and what it did.
struct Trial {
    api: FakeApi,
    caller: Caller,
    signals: mpsc::Sender<()>,
    process: Process,
    supervisor: Option<Supervisor>,
    diary: Diary,
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Diary {
    fn note(&self, entry: &'static str) {
        self.0.lock().unwrap().push(entry);
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// Notes that the future it is in was dropped.
struct Dropped(Diary);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

impl Trial {
    fn new(api: &FakeApi) -> Self {
        let caller = api.caller();
        let (process, control) = Process::new("turn", caller.client.clone(), Scope::Cluster, caller.requests.clone());
        let (signals, received) = mpsc::channel(2);
        let supervisor = Some(Supervisor {
            control,
            ready: process.ready.clone(),
            lease: Some(Lease::new(caller.client.clone(), "system", "turn")),
            signals: received,
            drain_timeout: DRAIN,
        });
        Self { api: api.clone(), caller, signals, process, supervisor, diary: Diary::default() }
    }

    /// A controller that keeps the contract and takes `drain` to end.
    async fn controller(process: Process, diary: Diary, drain: Duration) -> Result<(), BoxError> {
        let _dropped = Dropped(diary.clone());
        sleep(Duration::from_secs(1)).await;
        process.ready.set();
        if process.leadership().await == Leadership::Held {
            diary.note("leads");
            process.shutdown().await;
            diary.note("drains");
            sleep(drain).await;
        }
        diary.note("ends");
        Ok(())
    }

    fn start(&mut self, drain: Duration) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let controller = Self::controller(self.process.clone(), self.diary.clone(), drain);
        self.supervisor.take().unwrap().supervise(controller)
    }
}

#[tokio::test(start_paused = true)]
async fn lease_is_released_when_the_drain_is_over() {
    let mut trial = Trial::new(&FakeApi::default());
    let running = tokio::spawn(trial.start(Duration::from_secs(5)));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(trial.diary.read(), ["leads"]);
    trial.signals.send(()).await.unwrap();
    sleep(Duration::from_secs(4)).await;
    assert_eq!(trial.diary.read(), ["leads", "drains"]);
    assert!(trial.api.holder().is_some());
    running.await.unwrap().unwrap();
    assert_eq!(trial.diary.read(), ["leads", "drains", "ends", "dropped"]);
    assert_eq!(trial.api.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn standby_leads_at_once_when_the_leader_has_drained() {
    let api = FakeApi::default();
    let mut first = Trial::new(&api);
    let leading = tokio::spawn(first.start(Duration::ZERO));
    sleep(Duration::from_secs(5)).await;
    let mut second = Trial::new(&api);
    let standing_by = tokio::spawn(second.start(Duration::ZERO));
    sleep(Duration::from_secs(60)).await;
    assert!(second.process.ready.is_set());
    assert_eq!(second.diary.read(), [""; 0]);

    let since = Instant::now();
    first.signals.send(()).await.unwrap();
    let held = second.process.leadership().await;
    assert_eq!(held, Leadership::Held);
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    leading.await.unwrap().unwrap();

    // A standby ends as well, and does not wait for its turn.
    let mut third = Trial::new(&api);
    let waiting = tokio::spawn(third.start(Duration::ZERO));
    sleep(Duration::from_secs(5)).await;
    third.signals.send(()).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(third.diary.read(), ["ends", "dropped"]);
    assert!(!standing_by.is_finished());
}

#[tokio::test(start_paused = true)]
async fn process_that_is_not_ready_claims_no_lease() {
    let mut trial = Trial::new(&FakeApi::default());
    let _running = tokio::spawn(trial.start(Duration::ZERO));
    sleep(Duration::from_millis(900)).await;
    assert!(trial.caller.requests.snapshot().0.is_empty());
    sleep(Duration::from_millis(200)).await;
    assert!(trial.api.holder().is_some());
}

#[tokio::test(start_paused = true)]
async fn lost_lease_cancels_the_work_at_once() {
    let mut trial = Trial::new(&FakeApi::default());
    let running = tokio::spawn(trial.start(Duration::ZERO));
    sleep(Duration::from_secs(30)).await;
    trial.api.edit(|lease| lease.spec.as_mut().unwrap().holder_identity = Some("somebody".into()));
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost(Lost::Taken { .. })), "{error}");
    assert_eq!(trial.diary.read(), ["leads", "dropped"]);
    trial.process.shutdown().await;
    assert_eq!(trial.process.leadership().await, Leadership::Ended);
}

#[tokio::test(start_paused = true)]
async fn lease_lost_in_the_drain_ends_the_drain() {
    let mut trial = Trial::new(&FakeApi::default());
    trial.supervisor.as_mut().unwrap().drain_timeout = Duration::from_secs(60);
    let running = tokio::spawn(trial.start(Duration::from_secs(50)));
    sleep(Duration::from_secs(30)).await;
    trial.caller.fail(&[crate::process::client::Verb::Update], Fault::Silent);
    trial.signals.send(()).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost(Lost::Expired { .. })), "{error}");
    assert_eq!(trial.diary.read(), ["leads", "drains", "dropped"]);
}

#[tokio::test(start_paused = true)]
async fn slow_drain_is_cut_off_without_releasing_the_lease() {
    let mut trial = Trial::new(&FakeApi::default());
    let running = tokio::spawn(trial.start(DRAIN * 2));
    sleep(Duration::from_secs(30)).await;
    let since = Instant::now();
    trial.signals.send(()).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Drain(DRAIN)), "{error}");
    assert!(since.elapsed() < DRAIN + AT_ONCE);
    assert_eq!(trial.diary.read(), ["leads", "drains", "dropped"]);
    assert!(trial.api.holder().is_some());
}

#[tokio::test(start_paused = true)]
async fn second_signal_ends_the_process_at_once() {
    let mut trial = Trial::new(&FakeApi::default());
    let running = tokio::spawn(trial.start(DRAIN / 2));
    sleep(Duration::from_secs(30)).await;
    let since = Instant::now();
    trial.signals.send(()).await.unwrap();
    trial.signals.send(()).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Aborted), "{error}");
    assert!(since.elapsed() < AT_ONCE);
    assert!(trial.api.holder().is_some());
}

#[tokio::test(start_paused = true)]
async fn failed_controller_releases_the_lease() {
    let trial = Trial::new(&FakeApi::default());
    let process = trial.process.clone();
    let controller = async move {
        process.ready.set();
        let _ = process.leadership().await;
        Err("out of ideas".into())
    };
    let error = trial.supervisor.unwrap().supervise(controller).await.unwrap_err();
    assert!(matches!(error, Error::Controller(_)), "{error}");
    assert_eq!(trial.api.lease().unwrap().spec.unwrap().holder_identity, None);
}

#[tokio::test(start_paused = true)]
async fn controller_without_a_lease_leads_when_ready() {
    let mut trial = Trial::new(&FakeApi::default());
    trial.supervisor.as_mut().unwrap().lease = None;
    let _running = tokio::spawn(trial.start(Duration::ZERO));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(trial.diary.read(), ["leads"]);
    assert!(trial.caller.requests.snapshot().0.is_empty());
}

#[tokio::test]
async fn dropped_control_ends_the_work() {
    let trial = Trial::new(&FakeApi::default());
    drop(trial.supervisor);
    assert_eq!(trial.process.leadership().await, Leadership::Ended);
    trial.process.shutdown().await;
}

use k8s_openapi::api::coordination::v1 as coordination;
use tokio::time::{advance, sleep, timeout};

use super::{
    fake::{Caller, FakeApi, Fault},
    *,
};
use crate::process::client::Verb;

const READS: [Verb; 3] = [Verb::Get, Verb::List, Verb::Watch];
const WRITES: [Verb; 2] = [Verb::Create, Verb::Update];
/// What passes at once, on a clock that only moves while nothing else does.
const AT_ONCE: Duration = Duration::from_millis(10);

fn lease(caller: &Caller) -> Lease {
    Lease::new(caller.client.clone(), "system", "turn")
}

fn spec(api: &FakeApi) -> coordination::LeaseSpec {
    api.lease().unwrap().spec.unwrap()
}

/// How long `acquire` takes, after the standby has seen the Lease held.
async fn taken_after(standby: &Lease, event: impl AsyncFnOnce()) -> (Duration, HeldLease) {
    let waiting = tokio::spawn({
        let standby = standby.clone();
        async move { standby.acquire().await.unwrap() }
    });
    sleep(AT_ONCE).await;
    event().await;
    let since = Instant::now();
    let held = waiting.await.unwrap();
    (since.elapsed(), held)
}

#[tokio::test(start_paused = true)]
async fn absent_lease_is_created() {
    let api = FakeApi::default();
    let caller = api.caller();
    let lease = lease(&caller);
    let held = timeout(AT_ONCE, lease.acquire()).await.unwrap().unwrap();
    let spec = spec(&api);
    assert_eq!(spec.holder_identity.as_deref(), Some(lease.identity()));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert_eq!(spec.lease_transitions, Some(0));
    assert!(spec.acquire_time.is_some() && spec.renew_time.is_some());
    assert_eq!(caller.requests.total_writes(), 1);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn held_lease_is_renewed_every_4_to_5_seconds() {
    let api = FakeApi::default();
    let caller = api.caller();
    let held = lease(&caller).acquire().await.unwrap();
    assert!(timeout(Duration::from_secs(100), held.lost()).await.is_err());
    let renewals = caller.requests.count(Verb::Update, "leases");
    assert!((19..=25).contains(&renewals), "{renewals}");
    assert_eq!(caller.requests.count(Verb::Get, "leases"), 0);
}

#[tokio::test(start_paused = true)]
async fn released_lease_is_taken_by_the_watch() {
    let api = FakeApi::default();
    let (leader, standby) = (api.caller(), api.caller());
    let held = lease(&leader).acquire().await.unwrap();
    let next = lease(&standby);
    let (after, _held) = taken_after(&next, async || {
        sleep(Duration::from_secs(200)).await;
        let reads: u64 = READS.iter().map(|verb| standby.requests.count(*verb, "leases")).sum();
        assert_eq!((reads, standby.requests.total_writes()), (2, 0), "a list and a watch");
        held.release().await;
    })
    .await;
    assert!(after < AT_ONCE, "{after:?}");
    assert_eq!(api.holder().as_deref(), Some(next.identity()));
    assert_eq!(spec(&api).lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn crashed_leaders_lease_is_taken_when_it_expires() {
    let api = FakeApi::default();
    let held = lease(&api.caller()).acquire().await.unwrap();
    let (after, _held) = taken_after(&lease(&api.caller()), async || drop(held)).await;
    assert!(after + AT_ONCE * 2 > DURATION && after < DURATION + AT_ONCE, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn held_lease_is_respected_whatever_its_times_are() {
    let api = FakeApi::default();
    drop(lease(&api.caller()).acquire().await.unwrap());
    api.edit(|lease| {
        let spec = lease.spec.as_mut().unwrap();
        spec.renew_time = Some("2001-01-01T00:00:00Z".parse::<k8s_openapi::jiff::Timestamp>().unwrap().into());
    });
    let since = Instant::now();
    let _held = lease(&api.caller()).acquire().await.unwrap();
    assert!(since.elapsed() >= DURATION);
}

#[tokio::test(start_paused = true)]
async fn one_of_many_candidates_leads() {
    let api = FakeApi::default();
    for _crash in 0..5 {
        let mut candidates = futures::stream::FuturesUnordered::new();
        for _ in 0..8 {
            let lease = lease(&api.caller());
            candidates.push(async move { (lease.acquire().await.unwrap(), lease) });
        }
        let (held, winner) = candidates.next().await.unwrap();
        assert!(timeout(Duration::from_secs(60), candidates.next()).await.is_err());
        assert_eq!(api.holder().as_deref(), Some(winner.identity()));
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn leader_cut_off_stops_before_another_begins() {
    let api = FakeApi::default();
    for fault in [Fault::Silent, Fault::Status(500), Fault::Status(403)] {
        let leader = api.caller();
        let held = lease(&leader).acquire().await.unwrap();
        let next = lease(&api.caller());
        let taking = tokio::spawn(async move { (next.acquire().await.unwrap(), Instant::now()) });
        sleep(Duration::from_secs(60)).await;
        leader.fail(&WRITES, fault);
        leader.fail(&READS, fault);
        let since = Instant::now();
        let lost = held.lost().await;
        assert!(matches!(lost, Lost::Expired { .. }), "{lost}");
        assert!(since.elapsed() <= RENEW_DEADLINE + AT_ONCE, "{:?}", since.elapsed());
        let stopped = Instant::now();
        let (next, began) = taking.await.unwrap();
        assert!(began - stopped >= Duration::from_millis(4900), "{:?}", began - stopped);
        next.release().await;
    }
}

#[tokio::test(start_paused = true)]
async fn short_outage_is_survived() {
    let api = FakeApi::default();
    let leader = api.caller();
    let held = lease(&leader).acquire().await.unwrap();
    for fault in [Fault::Status(503), Fault::AnswerLost, Fault::Silent] {
        leader.fail(&WRITES, fault);
        assert!(timeout(Duration::from_secs(4), held.lost()).await.is_err());
        leader.heal();
        assert!(timeout(Duration::from_secs(20), held.lost()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn frozen_leader_gives_up_without_renewing() {
    let api = FakeApi::default();
    let leader = api.caller();
    let held = lease(&leader).acquire().await.unwrap();
    sleep(AT_ONCE).await;
    advance(RENEW_DEADLINE).await;
    let lost = timeout(AT_ONCE, held.lost()).await.unwrap();
    assert!(matches!(lost, Lost::Expired { .. }), "{lost}");
    assert_eq!(leader.requests.count(Verb::Update, "leases"), 0);
}

#[tokio::test(start_paused = true)]
async fn leader_replaced_by_hand_ends_at_its_next_renewal() {
    let api = FakeApi::default();
    for (put, found) in [(Some("somebody"), "somebody"), (None, "nobody")] {
        let leader = lease(&api.caller());
        let held = leader.acquire().await.unwrap();
        api.edit(|lease| lease.spec.as_mut().unwrap().holder_identity = put.map(String::from));
        let lost = timeout(Duration::from_secs(5), held.lost()).await.unwrap();
        assert!(matches!(&lost, Lost::Taken { holder } if holder == found), "{lost}");
        // Too late: it is not its own any more.
        held.release().await;
        assert_eq!(api.holder().as_deref(), put);
    }
}

#[tokio::test(start_paused = true)]
async fn unrelated_edit_costs_only_a_conflict() {
    let api = FakeApi::default();
    let held = lease(&api.caller()).acquire().await.unwrap();
    let note = || Some([("note".to_owned(), "kept".to_owned())].into());
    api.edit(|lease| lease.metadata.annotations = note());
    assert!(timeout(Duration::from_secs(60), held.lost()).await.is_err());
    api.edit(|lease| lease.metadata.labels = note());
    held.release().await;
    let left = api.lease().unwrap();
    assert_eq!((left.metadata.annotations, left.metadata.labels), (note(), note()));
    assert_eq!(left.spec.unwrap().holder_identity, None);
}

#[tokio::test(start_paused = true)]
async fn deleted_held_lease_is_recreated_by_its_holder() {
    let api = FakeApi::default();
    let leader = lease(&api.caller());
    let held = leader.acquire().await.unwrap();
    let next = lease(&api.caller());
    let taking = tokio::spawn(async move { next.acquire().await.unwrap() });
    for _ in 0..3 {
        sleep(Duration::from_secs(17)).await;
        api.delete();
        let lost = timeout(Duration::from_secs(20), held.lost()).await;
        assert!(lost.is_err(), "{lost:?}");
        assert_eq!(api.holder().as_deref(), Some(leader.identity()));
    }
    assert!(!taking.is_finished());
}

#[tokio::test(start_paused = true)]
async fn claim_with_a_lost_answer_counts() {
    let api = FakeApi::default();
    let caller = api.caller();
    caller.fail(&WRITES, Fault::AnswerLost);
    let lease = lease(&caller);
    let acquiring = tokio::spawn({
        let lease = lease.clone();
        async move { lease.acquire().await.unwrap() }
    });
    sleep(RETRY).await;
    assert_eq!(api.holder().as_deref(), Some(lease.identity()));
    caller.heal();
    let held = timeout(Duration::from_secs(10), acquiring).await.unwrap().unwrap();
    assert!(timeout(Duration::from_secs(60), held.lost()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn standby_that_cannot_watch_takes_over_at_the_expiry() {
    let api = FakeApi::default();
    drop(lease(&api.caller()).acquire().await.unwrap());
    for verb in [Verb::List, Verb::Watch] {
        let standby = api.caller();
        standby.fail(&[verb], Fault::Status(403));
        let since = Instant::now();
        drop(lease(&standby).acquire().await.unwrap());
        let after = since.elapsed();
        assert!(after >= DURATION && after < DURATION + RETRY + AT_ONCE, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn missing_permission_is_named_and_awaited() {
    let api = FakeApi::default();
    let caller = api.caller();
    caller.fail(&[Verb::Create], Fault::Status(403));
    let lease = lease(&caller);
    assert!(timeout(Duration::from_secs(60), lease.acquire()).await.is_err());

    let mut record = Record::new(Instant::now());
    record.observe(None, Instant::now());
    let failure = lease.access.acquire(&mut record).await.unwrap_err();
    let said = failure.chain();
    assert!(said.contains("the verb `create` on `leases.coordination.k8s.io` in namespace `system`"), "{said}");

    caller.heal();
    let _held = timeout(RETRY, lease.acquire()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn unanswered_release_ends_soon() {
    let api = FakeApi::default();
    let caller = api.caller();
    let held = lease(&caller).acquire().await.unwrap();
    caller.fail(&WRITES, Fault::Status(500));
    timeout(Duration::from_secs(5), held.release()).await.unwrap();
    assert!(api.holder().is_some());
}

#[test]
fn candidates_of_one_pod_differ() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let caller = FakeApi::default().caller();
    let (one, other) = (lease(&caller), lease(&caller));
    assert_ne!(one.identity(), other.identity());
}

#[tokio::test]
async fn failure_names_its_cause_once() {
    let caller = FakeApi::default().caller();
    caller.fail(&READS, Fault::Status(500));
    let mut unknown = Record::new(Instant::now());
    let failure = lease(&caller).access.acquire(&mut unknown).await.unwrap_err();
    assert_eq!(failure.chain(), "cannot get the lease: refused (500)");
}

#[tokio::test(start_paused = true)]
async fn holder_of_a_restored_cluster_has_lost_the_lease() {
    let api = FakeApi::default();
    let caller = api.caller();
    let held = lease(&caller).acquire().await.unwrap();
    sleep(DURATION * 4).await;
    api.restore("1");
    assert!(matches!(timeout(DURATION, held.lost()).await.unwrap(), Lost::Restored));
}

#[tokio::test(start_paused = true)]
async fn standby_of_a_restored_cluster_does_not_lead() {
    let api = FakeApi::default();
    let held = lease(&api.caller()).acquire().await.unwrap();
    let standby = lease(&api.caller());
    let waiting = tokio::spawn(async move { standby.acquire().await });
    sleep(DURATION * 4).await;
    drop(held);
    api.restore("1");
    assert!(matches!(timeout(DURATION * 4, waiting).await.unwrap().unwrap(), Err(Lost::Restored)));
}

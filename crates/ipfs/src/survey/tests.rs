//! Surveys of lists without peers.

mod unlisted;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

use super::{replication::NOTE, *};

/// The lists of a peer.
#[derive(Default)]
struct Fake {
    pins: Vec<Pin>,
    holds: Vec<String>,
    /// What it holds when it is asked for it by name.
    gets: Vec<String>,
    /// Whether the list of pins ends too early.
    is_cut: bool,
    read: AtomicUsize,
}

impl Lists for Fake {
    fn pins(&self) -> BoxStream<'_, Result<Pin, ipfs_cluster::Failure>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        let failure = temporal_stack_common::http::Failure::Cut {
            address: "10.0.0.1:9094".to_owned(),
            request: "GET /allocations".to_owned(),
            cause: "closed".to_owned(),
        };
        stream::iter(self.pins.iter().cloned().map(Ok).chain(self.is_cut.then_some(Err(failure)))).boxed()
    }

    fn holds(&self) -> BoxStream<'_, Result<String, ipfs_cluster::Failure>> {
        stream::iter(self.holds.iter().cloned().map(Ok)).boxed()
    }

    fn holds_of<'a>(&'a self, cids: &'a [String]) -> BoxStream<'a, Result<String, ipfs_cluster::Failure>> {
        stream::iter(self.gets.iter().filter(|cid| cids.contains(cid)).cloned().map(Ok)).boxed()
    }
}

fn pin(cid: &str, min: i64, max: i64, allocations: &[&str]) -> Pin {
    let pin = json!({
        "cid": cid, "replication_factor_min": min, "replication_factor_max": max, "type": "pin", "allocations": allocations,
    });
    serde_json::from_value(pin).unwrap()
}

fn member(id: &str, stays: bool, pins: &[Pin], holds: &[&str]) -> Member<Fake> {
    let holds = holds.iter().map(ToString::to_string).collect();
    Member { id: id.to_owned(), cluster: Fake { pins: pins.to_vec(), holds, ..Fake::default() }, stays }
}

fn now() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

async fn surveyed(peers: &[Member<Fake>]) -> Survey {
    survey_within(peers, &[], &mut Doubts::default(), TABLE, now()).await.unwrap()
}

#[tokio::test]
async fn pin_on_enough_peers_is_safe() {
    let pins = [pin("a", 1, 2, &["A", "B"]), pin("b", -1, -1, &[])];
    let survey = surveyed(&[member("A", true, &pins, &["a", "b"]), member("B", true, &pins, &["b"])]).await;
    assert_eq!((survey.pins, survey.short.count, survey.impossible.count), (2, 0, 0));
    assert!(survey.raise.is_empty() && survey.restore.is_empty());
}

#[tokio::test]
async fn copy_on_the_leaver_does_not_count() {
    let pins = [pin("a", 1, 1, &["A"])];
    let survey = surveyed(&[member("A", false, &pins, &["a"]), member("B", true, &pins, &[])]).await;
    assert_eq!(survey.short, ShortPins { count: 1, examples: vec!["a".to_owned()] });
    let raise = Raise { pin: Arc::new(pins[0].clone()), copies: 2, user_allocations: vec!["B".to_owned()] };
    assert_eq!((survey.raise, survey.to_raise), (vec![raise], 1));
}

#[tokio::test]
async fn pin_that_only_the_leaver_lists_is_counted() {
    let survey = surveyed(&[member("A", false, &[pin("a", -1, -1, &[])], &["a"]), member("B", true, &[], &[])]).await;
    assert_eq!((survey.pins, survey.short.count, survey.to_raise), (1, 1, 0));
}

#[tokio::test]
async fn empty_peer_proves_nothing() {
    let pins = [pin("a", -1, -1, &[])];
    let survey = surveyed(&[member("A", true, &pins, &["a"]), member("B", true, &[], &[])]).await;
    assert_eq!((survey.pins, survey.short.count), (1, 1));
}

#[tokio::test]
async fn allocation_is_no_copy() {
    let pins = [pin("a", 2, 2, &["A", "B"])];
    let survey = surveyed(&[member("A", true, &pins, &["a"]), member("B", true, &pins, &[])]).await;
    assert_eq!((survey.short.count, survey.to_raise), (1, 0));
}

#[tokio::test]
async fn list_that_ends_early_is_a_failure() {
    let mut peers = [member("A", true, &[pin("a", 1, 1, &["A"])], &["a"]), member("B", false, &[], &[])];
    peers[1].cluster.is_cut = true;
    let failure = survey_within(&peers, &[], &mut Doubts::default(), TABLE, now()).await.unwrap_err();
    assert_eq!(failure.to_string(), "peer B does not list its pins, so no pin is known to be safe");
}

#[tokio::test]
async fn raised_pin_and_pin_of_departed_peer_are_restored() {
    let mut raised = pin("b", 2, 2, &["A", "B"]);
    raised.metadata.insert(NOTE.to_owned(), "1,1".to_owned());
    let pins = [pin("a", 1, 2, &["A", "gone"]), raised];
    let peers = [member("A", true, &pins, &["a", "b"]), member("B", true, &pins, &[])];
    let survey = surveyed(&peers).await;
    // The raised one has its own floor again.
    assert_eq!((survey.short.count, survey.to_raise, survey.to_restore), (0, 0, 2));
    assert_eq!(survey.restore.len(), 2);
}

#[tokio::test]
async fn raised_pin_is_judged_by_its_original_factors() {
    let mut raised = pin("a", 3, 3, &["A", "B", "C"]);
    raised.metadata.insert(NOTE.to_owned(), "2,2".to_owned());
    let pins = [raised];
    let stays = |id| member(id, true, &pins, &["a"]);
    let survey = surveyed(&[stays("A"), stays("B"), member("C", false, &pins, &["a"])]).await;
    assert_eq!((survey.short.count, survey.impossible.count, survey.to_raise), (0, 0, 0));
}

#[tokio::test]
async fn floor_above_the_number_of_peers_is_impossible() {
    let pins = [pin("a", 3, 3, &["A", "B", "C"]), pin("b", 4, 4, &["A", "B", "C", "gone"]), pin("c", 1, 1, &["A"])];
    let stays = |id| member(id, true, &pins, &["a", "b", "c"]);
    let survey = surveyed(&[stays("A"), stays("B"), member("C", false, &pins, &[])]).await;
    let examples = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(survey.impossible, Impossible { count: 2, examples, highest: 4 });
    // They are short, too; and nothing is written that IPFS Cluster would refuse.
    assert_eq!((survey.short.count, survey.to_raise, survey.to_restore), (2, 0, 0));
}

#[tokio::test]
async fn when_all_leave_nothing_is_safe() {
    let pins = [pin("a", -1, -1, &[])];
    let survey = surveyed(&[member("A", false, &pins, &["a"])]).await;
    assert_eq!((survey.short.count, survey.impossible.highest), (1, 1));
}

#[tokio::test]
async fn shards_and_expired_pins_are_not_written() {
    let mut expired = pin("a", 1, 1, &["A"]);
    expired.expire_at = Some("2026-11-22T00:00:00Z".parse().unwrap());
    let [mut shard, mut meta] = [pin("b", 1, 1, &["A"]), pin("c", 1, 1, &[])];
    (shard.kind, meta.kind) = ("shard-pin".to_owned(), "meta-pin".to_owned());
    let pins = [expired, shard, meta];
    let survey = surveyed(&[member("A", false, &pins, &["a", "b"]), member("B", true, &pins, &[])]).await;
    assert_eq!((survey.pins, survey.short.count, survey.to_raise), (3, 1, 0));
}

#[tokio::test]
async fn new_pin_is_fresh_if_a_staying_peer_has_it() {
    let at = |time: &str| Pin { timestamp: Some(time.parse().unwrap()), ..pin("a", 2, 2, &["A", "B"]) };
    let judged = async |pin: Pin, held: &[&str], leaves: bool| {
        let pins = [pin];
        let peers =
            [member("A", true, &pins, held), member("B", true, &pins, &[]), member("C", !leaves, &pins, &["a"])];
        let survey = surveyed(&peers[..if leaves { 3 } else { 2 }]).await;
        (survey.short.count, survey.fresh)
    };
    let fresh = (now() - SignedDuration::from_secs(5)).to_string();
    let old = (now() - SignedDuration::from_secs(90)).to_string();
    assert_eq!(judged(at(&fresh), &["a"], true).await, (0, 1));
    // Its data may be with the leaver alone.
    assert_eq!(judged(at(&fresh), &[], true).await, (1, 0));
    assert_eq!(judged(at(&fresh), &[], false).await, (0, 1));
    assert_eq!(judged(at(&old), &["a"], true).await, (1, 0));
    let mut raised = at(&fresh);
    raised.metadata.insert(NOTE.to_owned(), "2,2".to_owned());
    assert_eq!(judged(raised, &["a"], true).await, (1, 0));
}

#[tokio::test]
async fn pin_made_during_the_survey_is_confirmed_by_name() {
    let made = |cid: &str, ago: i64| Pin {
        timestamp: Some(now() - SignedDuration::from_secs(ago)),
        ..pin(cid, 2, 2, &["A", "B"])
    };
    let pins = [made("new", 1), made("nowhere", 1), made("old", 90)];
    let mut peers =
        [member("A", true, &pins, &[]), member("B", true, &pins, &[]), member("C", false, &pins, &["nowhere"])];
    peers[1].cluster.gets = vec!["new".to_owned(), "old".to_owned()];
    peers[2].cluster.gets = vec!["nowhere".to_owned()];
    let survey = surveyed(&peers).await;
    assert_eq!((survey.pins, survey.fresh, survey.short.count), (3, 1, 2));
    assert_eq!(survey.short.examples, ["old", "nowhere"]);
}

#[tokio::test]
async fn restoring_lasts_until_all_peers_know_the_pin() {
    let mut raised = pin("a", 2, 2, &["A", "B"]);
    raised.metadata.insert(NOTE.to_owned(), "1,2".to_owned());
    let (newer, older) = ([pin("a", 1, 2, &["A", "B"])], [raised]);
    let survey = surveyed(&[member("A", true, &newer, &["a"]), member("B", true, &older, &["a"])]).await;
    assert_eq!((survey.pins, survey.to_restore), (1, 1));
    assert!(!survey.is_healthy());
}

#[tokio::test]
async fn allocation_to_a_foreign_peer_stays() {
    let pins = [pin("a", 1, 2, &["A", "theirs"]), pin("b", 1, 2, &["A", "gone"])];
    let peers = [member("A", true, &pins, &["a", "b"])];
    let survey = survey_within(&peers, &["theirs".to_owned()], &mut Doubts::default(), TABLE, now()).await.unwrap();
    let restored: Vec<_> = survey.restore.iter().map(|pin| pin.cid.as_str()).collect();
    assert_eq!(restored, ["b"]);
}

#[tokio::test]
async fn batch_is_listed_and_the_rest_counted() {
    let pins: Vec<_> = (0..BATCH + 50).map(|number| pin(&number.to_string(), 1, 1, &["A"])).collect();
    let survey = surveyed(&[member("A", false, &pins, &[]), member("B", true, &pins, &[])]).await;
    let all = pins.len() as u64;
    assert_eq!((survey.raise.len(), survey.to_raise), (BATCH, all));
    assert_eq!((survey.short.count, survey.short.examples.len()), (all, 3));
}

#[tokio::test]
async fn more_pins_than_the_table_holds_take_several_rounds() {
    let pins: Vec<_> = (0..1000).map(|number| pin(&number.to_string(), 2, 2, &["A", "B"])).collect();
    // A knows the first 700, B the last 700; A misses every tenth.
    let held_by_a: Vec<_> = pins.iter().map(|pin| pin.cid.as_str()).filter(|cid| !cid.ends_with('0')).collect();
    let held_by_b: Vec<_> = pins.iter().map(|pin| pin.cid.as_str()).collect();
    let peers = [member("A", true, &pins[..700], &held_by_a), member("B", true, &pins[300..], &held_by_b)];
    let survey = survey_within(&peers, &[], &mut Doubts::default(), 64, now()).await.unwrap();
    assert_eq!((survey.pins, survey.short.count), (1000, 100));
    assert!(peers[0].cluster.read.load(Ordering::Relaxed) > 1000 / 64);
    let survey = survey_within(&peers, &[], &mut Doubts::default(), 1000, now()).await.unwrap();
    assert_eq!((survey.pins, survey.short.count), (1000, 100));
}

#[test]
fn survey_can_be_sent_between_threads() {
    fn sendable<T: Send>(_: T) {}
    sendable(survey::<Cluster>(&[], &[], &mut Doubts::default()));
}

use super::*;
use crate::quota::on_behalf_of;

const SECRET: &str = "Secret/a";

fn reads(budget: &'static Quota) -> Reads {
    Reads { budget, ..Reads::default() }
}

fn read(version: &str) -> Reads {
    static BUDGET: Quota = Quota::new(MOST_KEPT, MOST_OF_NAMESPACE);
    let reads = reads(&BUDGET);
    reads.keep(SECRET, Some(version.into()), "{}".into(), false);
    reads
}

#[test]
fn read_is_good_for_the_seen_version() {
    let reads = read("7");
    assert!(reads.recall_version(SECRET, "8").is_none());
    // The watch may be behind the read.
    assert!(reads.recall_version(SECRET, "6").is_some());
    assert!(reads.recall_version(SECRET, "7").is_some());
}

#[test]
fn read_is_forgotten_when_the_watch_loses_the_object() {
    let reads = read("7");
    assert!(reads.recall(SECRET, RESYNC).is_some());
    assert!(reads.recall_version(SECRET, "7").is_some());
    assert!(reads.recall(SECRET, RESYNC).is_none());
}

#[tokio::test(start_paused = true)]
async fn older_version_that_stays_seen_is_used() {
    let reads = read("7");
    tokio::time::advance(RETRY).await;
    assert!(reads.recall_version(SECRET, "6").is_none());
    assert!(reads.recall_version(SECRET, "7").is_some());
}

#[test]
fn long_answer_is_not_remembered() {
    static BUDGET: Quota = Quota::new(MOST_KEPT, MOST_OF_NAMESPACE);
    let reads = reads(&BUDGET);
    reads.keep(SECRET, None, "x".repeat(LONGEST_KEPT).into(), false);
    assert!(reads.recall(SECRET, RESYNC).is_some());
    reads.keep(SECRET, None, "x".repeat(LONGEST_KEPT + 1).into(), false);
    assert!(reads.recall(SECRET, RESYNC).is_none());
}

/// How many objects of a namespace get an answer remembered that is as long as any may be.
async fn remembered(namespace: &str, all: &[Reads]) -> usize {
    on_behalf_of(namespace, async {
        for reads in all {
            reads.keep(SECRET, None, "x".repeat(LONGEST_KEPT).into(), false);
        }
    })
    .await;
    all.iter().filter(|reads| reads.recall(SECRET, RESYNC).is_some()).count()
}

#[tokio::test]
async fn remembered_answers_are_bounded_by_namespace_and_in_all() {
    static BUDGET: Quota = Quota::new(MOST_KEPT, MOST_OF_NAMESPACE);
    let many = || -> Vec<Reads> { (0..2 * MOST_KEPT / LONGEST_KEPT).map(|_| reads(&BUDGET)).collect() };
    let (hostile, other) = (many(), many());
    assert_eq!(remembered("hostile", &hostile).await, MOST_OF_NAMESPACE / LONGEST_KEPT);
    assert_eq!(remembered("other", &other).await, (MOST_KEPT - MOST_OF_NAMESPACE) / LONGEST_KEPT);
    drop((hostile, other));
    assert!(BUDGET.share().extend(MOST_OF_NAMESPACE));
}

#[tokio::test(start_paused = true)]
async fn answers_about_objects_that_are_gone_are_forgotten() {
    static BUDGET: Quota = Quota::new(1000, 1000);
    let reads = reads(&BUDGET);
    reads.keep("Secret/watched", Some("7".into()), "x".repeat(100).into(), true);
    for number in 0..100 {
        reads.keep(&format!("Events/{number}"), None, "x".repeat(100).into(), false);
        tokio::time::advance(RESYNC / 4).await;
    }
    assert!(reads.recall("Events/99", RESYNC).is_some());
    assert!(reads.recall_version("Secret/watched", "7").is_some());
}

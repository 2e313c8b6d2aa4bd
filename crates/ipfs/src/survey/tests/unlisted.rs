//! Surveys in which members differ about pins.

use super::*;

/// A cluster whose members list these CIDs, and have a copy of each.
fn listing(lists: &[&[&str]]) -> Vec<Member<Fake>> {
    let member = |(place, cids): (usize, &&[&str])| {
        let pins: Vec<_> = cids.iter().map(|cid| pin(cid, 1, 1, &["A"])).collect();
        member(["A", "B", "C", "D"][place], true, &pins, cids)
    };
    lists.iter().enumerate().map(member).collect()
}

async fn surveyed_after(peers: &[Member<Fake>], doubts: &mut Doubts, seconds: i64) -> Survey {
    let now = now() + SignedDuration::from_secs(seconds);
    survey_within(peers, &[], doubts, TABLE, now).await.unwrap()
}

/// The last survey at these times.
async fn surveyed_at(peers: &[Member<Fake>], seconds: &[i64]) -> Survey {
    let (mut doubts, mut survey) = (Doubts::default(), Survey::default());
    for seconds in seconds {
        survey = surveyed_after(peers, &mut doubts, *seconds).await;
    }
    survey
}

fn lacking(count: u64, cid: &str, peer: &str) -> Lacking {
    Lacking { count, cid: cid.to_owned(), peer: peer.to_owned() }
}

#[tokio::test]
async fn pin_that_one_of_three_lacks_is_written_after_a_minute() {
    let peers = listing(&[&["a", "b"], &["a", "b"], &["a"]]);
    for times in [&[0][..], &[0, 59], &[600]] {
        let survey = surveyed_at(&peers, times).await;
        assert_eq!((survey.unlisted.count(), survey.relist.len()), (0, 0), "{times:?}");
        assert!(survey.is_settled());
    }
    let survey = surveyed_at(&peers, &[0, 60]).await;
    assert_eq!(survey.unlisted, Unlisted { lost: lacking(1, "b", "C"), due: 1, ..Unlisted::default() });
    assert_eq!(survey.relist, [Relist { pin: Arc::new(pin("b", 1, 1, &["A"])), lacking: vec!["C".to_owned()] }]);
    assert!(!survey.is_healthy() && !survey.is_settled());
    let kept = survey.without_lists();
    assert_eq!((kept.unlisted, kept.relist.len()), (survey.unlisted, 0));
}

#[tokio::test]
async fn pins_that_are_new_or_expire_may_be_unlisted() {
    for (made, expires) in [(Some(30), None), (None, Some(-10))] {
        let mut peers = listing(&[&["a"], &["a"], &[]]);
        for pin in peers.iter_mut().flat_map(|peer| &mut peer.cluster.pins) {
            pin.timestamp = made.map(|seconds| now() + SignedDuration::from_secs(seconds));
            pin.expire_at = expires.map(|seconds| now() + SignedDuration::from_secs(seconds));
        }
        assert_eq!(surveyed_at(&peers, &[0, 65]).await.unlisted.count(), 0);
    }
}

#[tokio::test]
async fn pin_that_may_have_been_removed_is_only_reported() {
    let doubtful = |cid, peer| Unlisted { doubtful: lacking(1, cid, peer), ..Unlisted::default() };
    for (lists, peer) in [(&[&["a"][..], &[], &[]][..], "B"), (&[&["a"], &[]], "B"), (&[&[], &["a"], &[], &["a"]], "A")]
    {
        let survey = surveyed_at(&listing(lists), &[0, 60]).await;
        assert_eq!((survey.unlisted, survey.relist), (doubtful("a", peer), Vec::new()));
    }
    // Two versions, and a part of sharded content.
    let mut peers = listing(&[&["a"], &["a"], &[]]);
    peers[1].cluster.pins[0].name = "newer".to_owned();
    let survey = surveyed_at(&peers, &[0, 60]).await;
    assert_eq!((survey.unlisted, survey.relist), (doubtful("a", "C"), Vec::new()));
    let mut peers = listing(&[&["a"], &["a"], &[]]);
    for peer in &mut peers[..2] {
        peer.cluster.pins[0].kind = "shard-pin".to_owned();
    }
    assert_eq!(surveyed_at(&peers, &[0, 60]).await.unlisted, doubtful("a", "C"));
}

#[tokio::test]
async fn single_peer_lacks_nothing() {
    assert_eq!(surveyed_at(&listing(&[&["a"]]), &[0, 60]).await.unlisted.count(), 0);
}

#[tokio::test]
async fn removal_under_way_counts_for_nothing() {
    let mut doubts = Doubts::default();
    surveyed_after(&listing(&[&["a"], &["a"], &[]]), &mut doubts, 0).await;
    surveyed_after(&listing(&[&[], &[], &[]]), &mut doubts, 30).await;
    let survey = surveyed_after(&listing(&[&["a"], &["a"], &[]]), &mut doubts, 60).await;
    assert_eq!(survey.unlisted.count(), 0);
}

#[tokio::test]
async fn peer_that_learns_of_pins_is_given_time() {
    let mut doubts = Doubts::default();
    let all: &[&str] = &["a", "b", "c"];
    for (list, seconds, count) in
        [(&[][..], 0, 0), (&[], 50, 0), (&["a"], 70, 0), (&["a"], 120, 0), (&["a"], 130, 2), (&["a", "b", "c"], 140, 0)]
    {
        let survey = surveyed_after(&listing(&[all, all, list]), &mut doubts, seconds).await;
        assert_eq!(
            (survey.unlisted.lost.count, survey.relist.len()),
            (count, usize::try_from(count).unwrap()),
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn interruption_of_the_connections_begins_the_wait_again() {
    let peers = listing(&[&["a"], &["a"], &[]]);
    let mut doubts = Doubts::default();
    for (seconds, is_interrupted, count) in [(0, false, 0), (90, true, 0), (149, false, 0), (150, false, 1)] {
        if is_interrupted {
            doubts.restart();
        }
        assert_eq!(surveyed_after(&peers, &mut doubts, seconds).await.unlisted.lost.count, count, "{seconds}");
    }
}

#[tokio::test]
async fn other_pods_and_interruptions_are_remembered() {
    let peers = listing(&[&["a"], &["a"], &[]]);
    let memory = Memory::default();
    for (seconds, pods, count) in [(0, "1", 0), (60, "1", 1), (70, "2", 0), (130, "2", 1), (140, "", 0), (200, "", 1)] {
        let mut doubts = memory.doubts(pods);
        let survey = surveyed_after(&peers, &mut doubts, seconds).await;
        assert_eq!(survey.unlisted.count(), count, "{seconds}");
        memory.keep(pods.to_owned(), &survey, doubts, Duration::ZERO);
    }
    memory.note_disconnection();
    assert_eq!(surveyed_after(&peers, &mut memory.doubts(""), 300).await.unlisted.count(), 0);
}

#[tokio::test]
async fn pin_that_stays_unlisted_is_written_ever_less_often_and_then_no_more() {
    let mut peers = listing(&[&["a"], &["a"], &[]]);
    let mut doubts = Doubts::default();
    let mut written = Vec::new();
    for seconds in (0..4000).step_by(10) {
        let survey = surveyed_after(&peers, &mut doubts, seconds).await;
        let is_fresh = written.last().is_some_and(|last| seconds - last < 60);
        assert_eq!(survey.unlisted.count(), u64::from(seconds >= 60 && !is_fresh), "{seconds}");
        assert_eq!(survey.unlisted.due, survey.relist.len() as u64);
        assert_eq!(survey.unlisted.stuck.count > 0, written.len() == 5 && !is_fresh, "{seconds}");
        if !survey.relist.is_empty() {
            let at = now() + SignedDuration::from_secs(seconds);
            doubts.note_attempt("a", at);
            for pin in peers.iter_mut().flat_map(|peer| &mut peer.cluster.pins) {
                pin.timestamp = Some(at);
            }
            written.push(seconds);
        }
    }
    assert_eq!(written, [60, 180, 420, 900, 1860]);
    // It arrives, and is lost again later.
    let healed = listing(&[&["a"], &["a"], &["a"]]);
    assert!(surveyed_after(&healed, &mut doubts, 4000).await.is_healthy());
    assert_eq!(surveyed_after(&peers, &mut doubts, 4010).await.unlisted.count(), 0);
    assert_eq!(surveyed_after(&peers, &mut doubts, 4070).await.relist.len(), 1);
}

#[tokio::test]
async fn many_unlisted_pins_are_counted_and_a_batch_is_written() {
    let pins: Vec<_> = (0..15_000).map(|number| pin(&number.to_string(), 1, 1, &["A"])).collect();
    let peers = [member("A", true, &pins, &[]), member("B", true, &pins, &[]), member("C", true, &[], &[])];
    for table in [TABLE, 4000] {
        let mut doubts = Doubts::default();
        for seconds in [0, 60] {
            let now = now() + SignedDuration::from_secs(seconds);
            let survey = survey_within(&peers, &[], &mut doubts, table, now).await.unwrap();
            let is_counted = seconds > 0;
            assert_eq!(survey.unlisted.lost.count, if is_counted { 15_000 } else { 0 });
            assert_eq!(survey.relist.len(), if is_counted { BATCH } else { 0 });
        }
    }
}

#[tokio::test]
async fn large_unlisted_pins_are_counted_and_few_are_kept() {
    let mut pins: Vec<_> = (0..BATCH).map(|number| pin(&number.to_string(), 1, 1, &["A"])).collect();
    for pin in &mut pins {
        pin.metadata = (0..1000).map(|key| (key.to_string(), String::new())).collect();
    }
    let peers = [member("A", true, &pins, &[]), member("B", true, &pins, &[]), member("C", true, &[], &[])];
    let survey = surveyed_at(&peers, &[0, 60]).await;
    assert_eq!(survey.unlisted.lost.count, BATCH as u64);
    assert!((5..50).contains(&survey.relist.len()), "{}", survey.relist.len());
}

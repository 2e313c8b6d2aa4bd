use std::time::{Duration, Instant};

use super::*;

#[test]
fn large_pins_are_counted_and_few_are_kept() {
    let peers = Peers::new([("A", true)].into_iter(), &[], Timestamp::UNIX_EPOCH);
    let mut findings = Findings::default();
    for number in 0..BATCH {
        let metadata = (0..1000).map(|key| (key.to_string(), String::new())).collect();
        let pin = Pin {
            cid: number.to_string(),
            min: 1,
            max: 1,
            allocations: vec!["gone".to_owned()],
            metadata,
            ..Pin::default()
        };
        findings.judge(pin, 1, &peers);
    }
    let Findings { survey, raise_size, restore_size, .. } = findings;
    assert_eq!((survey.to_raise, survey.to_restore), (BATCH as u64, BATCH as u64));
    assert!((5..50).contains(&survey.raise.len()) && (5..50).contains(&survey.restore.len()));
    assert!(raise_size <= BATCH_SIZE && restore_size <= BATCH_SIZE);
}

#[test]
fn allocations_among_many_foreign_peers_are_judged_quickly() {
    let others: Vec<String> = (0..100_000).map(|number| format!("foreign-{number}")).collect();
    let peers = Peers::new([("A", true)].into_iter(), &others, Timestamp::UNIX_EPOCH);
    let pin = |allocations: &[String]| Pin { min: 1, max: 1, allocations: allocations.to_vec(), ..Pin::default() };
    let unknown = [&others[99_900..], &["gone".to_owned()]].concat();
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(!peers.is_to_restore(&pin(&others[99_900..])));
        assert!(peers.is_to_restore(&pin(&unknown)));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn pins_behind_an_unwritable_batch_get_their_turn() {
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let peers = Peers::new([("A", true)].into_iter(), &[], Timestamp::UNIX_EPOCH);
        let mut findings = Findings::default();
        for number in 0..3 * BATCH {
            let pin =
                Pin { cid: number.to_string(), min: 1, max: 1, allocations: vec!["gone".to_owned()], ..Pin::default() };
            findings.judge(pin, 1, &peers);
        }
        let survey = findings.survey;
        assert_eq!((survey.restore.len(), survey.to_restore), (BATCH, 3 * BATCH as u64));
        seen.extend(survey.restore.iter().map(|pin| pin.cid.clone()));
    }
    assert!(seen.len() > 3 * BATCH - 10, "{}", seen.len());
}

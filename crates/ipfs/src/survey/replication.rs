//! How pins get more copies before peers leave, and their own replication afterwards.
//!
//! While a pin is raised, its own replication factors are kept in its metadata: they are where the pin is, so no crash of the
//! controller loses them.
//!
//! IPFS Cluster never removes an allocation that it counts towards the minimum, and keeps those of dead peers as long as enough
//! others live. It drops them when more allocations are requested than peers live, which also allocates another peer. If there is
//! no other, or the pin may have no more, two consecutive updates make new allocations: first everywhere, which clears all
//! allocations, then the factors, with the peers that hold the pin already.

use std::collections::BTreeMap;

use crate::ipfs_cluster::{EVERYWHERE, Pin, PinUpdate};

use super::Raise;

/// The key of the metadata under which a raised pin keeps its own factors, as `min,max`.
pub(crate) const NOTE: &str = "temporal-stack.dev/replication";

/// Replication factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Factors {
    /// How many peers must hold the pin.
    pub(crate) min: i64,
    /// How many should hold it.
    pub(crate) max: i64,
}

impl Factors {
    /// The user's factors of a pin: the noted ones; the pin's own if none are noted, or if the note is invalid.
    pub(crate) fn original(pin: &Pin) -> Self {
        let noted = pin.metadata.get(NOTE).and_then(|note| {
            let (min, max) = note.split_once(',')?;
            Some(Self { min: min.parse().ok()?, max: max.parse().ok()? })
        });
        noted.filter(|noted| noted.is_valid()).unwrap_or(Self { min: pin.min, max: pin.max })
    }

    /// Whether the pin carries a note.
    pub(crate) fn is_noted(pin: &Pin) -> bool {
        pin.metadata.contains_key(NOTE)
    }

    /// Whether all peers should hold it.
    pub(crate) fn is_everywhere(self) -> bool {
        self.min <= 0
    }

    /// The check of IPFS Cluster.
    fn is_valid(self) -> bool {
        (self.min == EVERYWHERE && self.max == EVERYWHERE) || (self.min > 0 && self.max >= self.min)
    }

    /// The metadata that note them.
    fn note(self) -> BTreeMap<String, Option<String>> {
        BTreeMap::from([(NOTE.to_owned(), Some(format!("{},{}", self.min, self.max)))])
    }
}

/// The update by which additional peers hold a pin.
pub(crate) fn raised_factors(raise: &Raise) -> PinUpdate {
    PinUpdate {
        min: raise.copies,
        max: raise.copies,
        metadata: Factors::original(&raise.pin).note(),
        user_allocations: raise.user_allocations.clone(),
    }
}

/// The update that gives a pin the factors of its user.
pub(crate) fn original_factors(pin: &Pin) -> PinUpdate {
    let Factors { min, max } = Factors::original(pin);
    PinUpdate { min, max, metadata: BTreeMap::from([(NOTE.to_owned(), None)]), user_allocations: Vec::new() }
}

/// The consecutive updates that restore a pin's own factors and remove allocations to peers that are no members. `holders` are
/// the peers that report it as pinned; those of them that are members keep it.
pub(crate) fn restoring_updates(pin: &Pin, members: &[String], holders: &[String]) -> Vec<PinUpdate> {
    let original = Factors::original(pin);
    let mut last = original_factors(pin);
    if original.is_everywhere() {
        return vec![last];
    }
    last.user_allocations = holders.iter().filter(|holder| members.contains(holder)).cloned().collect();
    let live: Vec<_> = pin.allocations.iter().filter(|peer| members.contains(peer)).collect();
    let is_surplus = i64::try_from(live.len()).is_ok_and(|live| live > original.max);
    // Surplus allocations are dropped at random: that must not hit the only peer that holds the pin.
    let is_chance_safe = live.iter().all(|peer| holders.contains(peer));
    let has_departed = live.len() < pin.allocations.len();
    if !has_departed && (!is_surplus || is_chance_safe) {
        return vec![last];
    }
    let one_more = i64::try_from(live.len()).unwrap_or(i64::MAX).saturating_add(1);
    let can_be_one_more = has_departed && one_more <= original.max && live.len() < members.len();
    let factor = if can_be_one_more { one_more } else { EVERYWHERE };
    let user_allocations = if can_be_one_more { last.user_allocations.clone() } else { Vec::new() };
    vec![PinUpdate { min: factor, max: factor, metadata: original.note(), user_allocations }, last]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pin(min: i64, max: i64, allocations: &[&str], note: Option<&str>) -> Pin {
        let metadata: BTreeMap<_, _> = note.map(|note| (NOTE, note)).into_iter().collect();
        let pin = serde_json::json!({
            "cid": "a", "replication_factor_min": min, "replication_factor_max": max,
            "allocations": allocations, "metadata": metadata,
        });
        serde_json::from_value(pin).unwrap()
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    /// Factors, note and preferred peers of each update.
    fn texts(updates: &[PinUpdate]) -> Vec<String> {
        let text = |update: &PinUpdate| {
            let note = update.metadata[NOTE].as_deref().unwrap_or("removed");
            format!("{}/{} note {note} on {}", update.min, update.max, update.user_allocations.join(" "))
        };
        updates.iter().map(text).collect()
    }

    fn restored(pin: &Pin, holders: &[&str]) -> Vec<String> {
        texts(&restoring_updates(pin, &ids(&["A", "B", "C"]), &ids(holders)))
    }

    #[test]
    fn raising_notes_the_original_factors() {
        let raise = Raise { pin: Arc::new(pin(1, 2, &["A"], None)), copies: 2, user_allocations: ids(&["B"]) };
        assert_eq!(texts(&[raised_factors(&raise)]), ["2/2 note 1,2 on B"]);
    }

    #[test]
    fn raising_again_keeps_the_first_note() {
        let raise = Raise { pin: Arc::new(pin(3, 3, &["A"], Some("1,2"))), copies: 4, user_allocations: Vec::new() };
        assert_eq!(texts(&[raised_factors(&raise)]), ["4/4 note 1,2 on "]);
    }

    #[test]
    fn pin_of_departed_peer_is_reallocated_whenever_a_crash_comes() {
        let other = |copies: &str| format!("{copies}/{copies} note 2,3 on A");
        assert_eq!(restored(&pin(2, 3, &["A", "gone"], None), &["A"]), [&other("2"), "2/3 note removed on A"]);
        assert_eq!(restored(&pin(2, 2, &["A", "B", "gone"], None), &["A", "B"])[0], "-1/-1 note 2,2 on ");
        assert_eq!(
            restored(&pin(3, 3, &["A", "gone", "B"], Some("2,3")), &["A", "gone", "B"]),
            ["3/3 note 2,3 on A B", "2/3 note removed on A B"]
        );
        // After a crash between the two.
        assert_eq!(restored(&pin(-1, -1, &[], Some("2,3")), &["A"]), ["2/3 note removed on A"]);
    }

    #[test]
    fn surplus_is_dropped_by_the_original_factors() {
        assert_eq!(restored(&pin(2, 2, &["A", "B"], Some("1,1")), &["A", "B"]), ["1/1 note removed on A B"]);
    }

    #[test]
    fn surplus_is_not_dropped_by_chance_while_only_some_hold_it() {
        assert_eq!(
            restored(&pin(2, 2, &["A", "B"], Some("1,1")), &["A"]),
            ["-1/-1 note 1,1 on ", "1/1 note removed on A"]
        );
    }

    #[test]
    fn pin_that_belongs_everywhere_takes_one_update() {
        assert_eq!(restored(&pin(-1, -1, &[], Some("-1,-1")), &["A"]), ["-1/-1 note removed on "]);
    }

    #[test]
    fn senseless_note_is_ignored() {
        for note in ["", "1", "a,b", "3,1", "0,0", "-1,2"] {
            let pin = pin(1, 2, &["A"], Some(note));
            assert_eq!(Factors::original(&pin), Factors { min: 1, max: 2 });
            assert!(Factors::is_noted(&pin));
        }
    }
}

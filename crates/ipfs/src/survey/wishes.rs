//! How pins are told to have more copies before peers leave, and the old number of them afterwards.
//!
//! While a pin is raised, its own replication factors stand in its metadata: they are where the pin is, so no crash of the
//! controller loses them.
//!
//! IPFS Cluster never takes an allocation away that it counts towards the minimum, and leaves those of dead peers where they
//! are as long as enough others live. It drops them when it is asked for one more than live, which also puts another peer in
//! their place. Where there is no other, or the pin may have no more, fresh allocations come from saying twice in a row what
//! is wanted: first everywhere, which forgets all allocations, then the factors, with the peers that hold the pin already.

use std::collections::BTreeMap;

use crate::ipfs_cluster::{EVERYWHERE, Pin, Wish};

use super::Raise;

/// The key of the metadata under which a raised pin keeps its own factors, as `min,max`.
pub(crate) const NOTE: &str = "temporal-stack.dev/replication";

/// The replication factors that the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Original {
    /// How many peers must hold the pin.
    pub(crate) min: i64,
    /// How many are to hold it.
    pub(crate) max: i64,
}

impl Original {
    /// Those that are noted; the pin's own if none are, or if the note makes no sense.
    pub(crate) fn of(pin: &Pin) -> Self {
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

    /// Whether all peers are to hold it.
    pub(crate) fn is_everywhere(self) -> bool {
        self.min <= 0
    }

    /// As IPFS Cluster checks it.
    fn is_valid(self) -> bool {
        (self.min == EVERYWHERE && self.max == EVERYWHERE) || (self.min > 0 && self.max >= self.min)
    }

    /// The metadata that say so.
    fn note(self) -> BTreeMap<String, Option<String>> {
        BTreeMap::from([(NOTE.to_owned(), Some(format!("{},{}", self.min, self.max)))])
    }
}

/// What to say so that further peers hold a pin.
pub(crate) fn raise_wish(raise: &Raise) -> Wish {
    Wish {
        min: raise.copies,
        max: raise.copies,
        metadata: Original::of(&raise.pin).note(),
        user_allocations: raise.user_allocations.clone(),
    }
}

/// What to say so that a pin is as the user wants it.
pub(crate) fn original_wish(pin: &Pin) -> Wish {
    let Original { min, max } = Original::of(pin);
    Wish { min, max, metadata: BTreeMap::from([(NOTE.to_owned(), None)]), user_allocations: Vec::new() }
}

/// What to say, one after the other without a pause, so that a pin has its own factors again and no allocation to anybody who
/// is no member. `holders` are the peers that say they have it; those of them that are members are to keep it.
pub(crate) fn restore_wishes(pin: &Pin, members: &[String], holders: &[String]) -> Vec<Wish> {
    let original = Original::of(pin);
    let mut last = original_wish(pin);
    if original.is_everywhere() {
        return vec![last];
    }
    last.user_allocations = holders.iter().filter(|holder| members.contains(holder)).cloned().collect();
    let live: Vec<_> = pin.allocations.iter().filter(|peer| members.contains(peer)).collect();
    let is_surplus = i64::try_from(live.len()).is_ok_and(|live| live > original.max);
    // Which of too many allocations are dropped is left to chance: that must not hit the only peer that holds it.
    let is_chance_safe = live.iter().all(|peer| holders.contains(peer));
    let has_departed = live.len() < pin.allocations.len();
    if !has_departed && (!is_surplus || is_chance_safe) {
        return vec![last];
    }
    let one_more = i64::try_from(live.len()).unwrap_or(i64::MAX).saturating_add(1);
    let can_be_one_more = has_departed && one_more <= original.max && live.len() < members.len();
    let factor = if can_be_one_more { one_more } else { EVERYWHERE };
    let user_allocations = if can_be_one_more { last.user_allocations.clone() } else { Vec::new() };
    vec![Wish { min: factor, max: factor, metadata: original.note(), user_allocations }, last]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(min: i64, max: i64, allocations: &[&str], note: Option<&str>) -> Pin {
        let metadata: BTreeMap<_, _> = note.map(|note| (NOTE, note)).into_iter().collect();
        let pin = serde_json::json!({
            "cid": "a", "replication_factor_min": min, "replication_factor_max": max,
            "allocations": allocations, "metadata": metadata,
        });
        serde_json::from_value(pin).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// Factors, note and preferred peers of each.
    fn said(wishes: &[Wish]) -> Vec<String> {
        let say = |wish: &Wish| {
            let note = wish.metadata[NOTE].as_deref().unwrap_or("forgotten");
            format!("{}/{} note {note} on {}", wish.min, wish.max, wish.user_allocations.join(" "))
        };
        wishes.iter().map(say).collect()
    }

    fn restored(pin: &Pin, holders: &[&str]) -> Vec<String> {
        said(&restore_wishes(pin, &names(&["A", "B", "C"]), &names(holders)))
    }

    #[test]
    fn raising_notes_the_factors() {
        let raise = Raise { pin: pin(1, 2, &["A"], None), copies: 2, user_allocations: names(&["B"]) };
        assert_eq!(said(&[raise_wish(&raise)]), ["2/2 note 1,2 on B"]);
    }

    #[test]
    fn raising_again_keeps_the_first_note() {
        let raise = Raise { pin: pin(3, 3, &["A"], Some("1,2")), copies: 4, user_allocations: Vec::new() };
        assert_eq!(said(&[raise_wish(&raise)]), ["4/4 note 1,2 on "]);
    }

    #[test]
    fn a_pin_of_a_departed_peer_is_allocated_afresh_and_a_crash_between_loses_nothing() {
        let other = |copies: &str| format!("{copies}/{copies} note 2,3 on A");
        assert_eq!(restored(&pin(2, 3, &["A", "gone"], None), &["A"]), [&other("2"), "2/3 note forgotten on A"]);
        assert_eq!(restored(&pin(2, 2, &["A", "B", "gone"], None), &["A", "B"])[0], "-1/-1 note 2,2 on ");
        assert_eq!(
            restored(&pin(3, 3, &["A", "gone", "B"], Some("2,3")), &["A", "gone", "B"]),
            ["3/3 note 2,3 on A B", "2/3 note forgotten on A B"]
        );
        // After a crash between the two.
        assert_eq!(restored(&pin(-1, -1, &[], Some("2,3")), &["A"]), ["2/3 note forgotten on A"]);
    }

    #[test]
    fn a_surplus_is_dropped_by_saying_the_factors() {
        assert_eq!(restored(&pin(2, 2, &["A", "B"], Some("1,1")), &["A", "B"]), ["1/1 note forgotten on A B"]);
    }

    #[test]
    fn a_surplus_is_not_dropped_by_chance_while_only_some_hold_it() {
        assert_eq!(
            restored(&pin(2, 2, &["A", "B"], Some("1,1")), &["A"]),
            ["-1/-1 note 1,1 on ", "1/1 note forgotten on A"]
        );
    }

    #[test]
    fn what_is_everywhere_is_said_once() {
        assert_eq!(restored(&pin(-1, -1, &[], Some("-1,-1")), &["A"]), ["-1/-1 note forgotten on "]);
    }

    #[test]
    fn a_note_without_sense_is_none() {
        for note in ["", "1", "a,b", "3,1", "0,0", "-1,2"] {
            let pin = pin(1, 2, &["A"], Some(note));
            assert_eq!(Original::of(&pin), Original { min: 1, max: 2 });
            assert!(Original::is_noted(&pin));
        }
    }
}

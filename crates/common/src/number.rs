//! Numbers in names, labels and annotations, bounded where they are read.
//!
//! Anyone who may write to a namespace chooses them: a pod may be called `x-2000000000`, and a Secret may have 4294967295 in its
//! label. So numbers are parsed only here, and no loop runs over more than the component allows.

/// The longest series of Secrets. A real series grows by one with each request of the user.
const MOST: u32 = 1_000_000;

/// A place in a series of Secrets: 1 to a million, as decimal digits. `None` for anything else.
pub fn series_number(text: &str) -> Option<u32> {
    decimal(text).filter(|number| (1..=MOST).contains(number))
}

/// The ordinal of a pod of this set, if the set may have as many as `most` pods.
pub fn ordinal(pod: &str, set: &str, most: i32) -> Option<i32> {
    let text = pod.strip_prefix(set)?.strip_prefix('-')?;
    i32::try_from(decimal(text)?).ok().filter(|ordinal| *ordinal < most)
}

/// The number of pods of a set, within the bounds that the component allows: anyone may scale the set.
pub fn replicas(text: i32, most: i32) -> i32 {
    text.clamp(0, most.max(0))
}

/// Digits as Kubernetes writes them: without a sign and without leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_bounded_and_canonical() {
        assert_eq!((series_number("1"), series_number("1000000")), (Some(1), Some(1_000_000)));
        for wrong in ["0", "1000001", "4294967295", "4294967296", "-1", "+1", "01", "", " 1", "x"] {
            assert_eq!(series_number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ordinal_above_the_maximum_or_malformed_is_none() {
        assert_eq!(ordinal("t-ipfscluster-31", "t-ipfscluster", 32), Some(31));
        for wrong in [
            "t-ipfscluster-32",
            "t-ipfscluster-2000000000",
            "t-ipfscluster--1",
            "t-ipfscluster-01",
            "t-ipfscluster",
            "u-0",
        ] {
            assert_eq!(ordinal(wrong, "t-ipfscluster", 32), None, "{wrong:?}");
        }
    }

    #[test]
    fn replicas_beyond_the_allowed_range_are_clamped() {
        assert_eq!((replicas(2000, 32), replicas(-1, 32), replicas(3, 32)), (32, 0, 3));
    }
}

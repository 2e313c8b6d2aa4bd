//! Versions of Linkerd, as installations report them: `stable-2.20.0`, `enterprise-2.17.1`, `edge-26.6.1`.

use std::ops::RangeInclusive;

/// The minor versions of Linkerd 2 for which this controller was written.
const KNOWN: RangeInclusive<u32> = 14..=20;
/// The releases of `edge` from which these versions were made, by year and month.
const EDGE: RangeInclusive<(u32, u32)> = (23, 8)..=(26, 6);

/// What is known of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// This controller was written for it.
    Known,
    /// It is older.
    Older,
    /// It is newer.
    Newer,
    /// It is no version of Linkerd 2.
    Unreadable,
}

impl Version {
    /// What is known of the version with this text.
    pub(crate) fn read(text: &str) -> Self {
        let (channel, numbers) = text.rsplit_once('-').unwrap_or(("", text));
        let mut numbers = numbers.trim_start_matches('v').split('.').map(|number| number.parse::<u32>().ok());
        let (Some(Some(first)), Some(Some(second))) = (numbers.next(), numbers.next()) else { return Self::Unreadable };
        match (channel, first) {
            ("edge", _) => compare(&(first, second), &EDGE),
            (_, 2) => compare(&second, &KNOWN),
            (_, 3..) => Self::Newer,
            _ => Self::Unreadable,
        }
    }
}

fn compare<T: PartialOrd>(version: &T, known: &RangeInclusive<T>) -> Version {
    if version < known.start() {
        Version::Older
    } else if version > known.end() {
        Version::Newer
    } else {
        Version::Known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_with_the_known_ones() {
        for (text, version) in [
            ("stable-2.14.10", Version::Known),
            ("stable-2.20.0", Version::Known),
            ("2.17.1", Version::Known),
            ("v2.18.0", Version::Known),
            ("enterprise-2.16.2", Version::Known),
            ("edge-26.6.1", Version::Known),
            ("stable-2.13.0", Version::Older),
            ("edge-23.7.3", Version::Older),
            ("stable-2.21.0", Version::Newer),
            ("edge-27.1.1", Version::Newer),
            ("3.15.0", Version::Newer),
            ("acme-nightly", Version::Unreadable),
            ("", Version::Unreadable),
            ("2", Version::Unreadable),
        ] {
            assert_eq!(Version::read(text), version, "{text}");
        }
    }
}

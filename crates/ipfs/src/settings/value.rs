//! Values as IPFS Cluster reads them: Go's booleans, numbers and durations. An invalid one keeps it from starting.

use temporal_stack_common::config::Ruling;

/// Any text.
pub(super) fn text(_: &str) -> Ruling {
    Ruling::Honoured
}

/// Yes or no.
pub(super) fn boolean(value: &str) -> Ruling {
    let known = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
    if known.contains(&value) { Ruling::Honoured } else { refused("is neither true nor false") }
}

/// A whole number.
pub(super) fn number(value: &str) -> Ruling {
    if value.parse::<i64>().is_ok() { Ruling::Honoured } else { refused("is not a whole number") }
}

/// A number with a fraction.
pub(super) fn fraction(value: &str) -> Ruling {
    if value.parse::<f64>().is_ok() { Ruling::Honoured } else { refused("is not a number") }
}

/// A duration such as `30s` or `1h30m`. IPFS Cluster keeps its default for an empty one.
pub(super) fn duration(value: &str) -> Ruling {
    if value.is_empty() || seconds(value).is_some() {
        Ruling::Honoured
    } else {
        refused("is not a duration such as 30s or 1h30m")
    }
}

/// An address such as `/ip4/0.0.0.0/tcp/8888`, or several with commas between.
pub(super) fn addresses(value: &str) -> Ruling {
    if value.split(',').all(|one| one.trim().starts_with('/')) {
        Ruling::Honoured
    } else {
        refused("is not a multiaddress such as /ip4/0.0.0.0/tcp/8888")
    }
}

/// The most metrics for choosing peers: IPFS Cluster has five, and each is read in every pass.
const MOST_METRICS: usize = 8;

/// Names of metrics such as `tag:group,freespace`.
pub(super) fn metrics(value: &str) -> Ruling {
    let is_word = |c: char| c.is_ascii_alphanumeric() || ":-_".contains(c);
    let mut names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    if value.split(',').count() <= MOST_METRICS && names.all(|name| name.chars().all(is_word)) {
        Ruling::Honoured
    } else {
        refused("is not a list of at most 8 metrics such as tag:group,freespace")
    }
}

/// Whether a value means true.
pub(super) fn is_true(value: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&value)
}

fn refused(wrong: &str) -> Ruling {
    Ruling::Refused(format!("{wrong} and is not used; correct it"))
}

/// A duration as Go reads it, in seconds.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 8] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
    if signed == "0" {
        return Some(0.0);
    }
    let mut rest = signed;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|digits| *digits > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        sum += number * factor;
        rest = &rest[digits + unit.len()..];
    }
    (!signed.is_empty()).then_some(if text.starts_with('-') { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_of_metrics_is_refused() {
        for good in ["tag:group,freespace", "freespace", " pinqueue , reposize", ""] {
            assert_eq!(metrics(good), Ruling::Honoured, "{good}");
        }
        for bad in ["..".to_owned(), "a/b".to_owned(), "freespace,".repeat(100_000)] {
            assert!(matches!(metrics(&bad), Ruling::Refused(_)), "{bad:.20}");
        }
    }

    #[test]
    fn durations_of_go_are_accepted() {
        for good in ["30s", "1h30m", "1.5s", "0", "100ms", "-1s", ""] {
            assert_eq!(duration(good), Ruling::Honoured, "{good}");
        }
        for bad in ["30", "s", "1x", "1h30", "five"] {
            assert!(matches!(duration(bad), Ruling::Refused(_)), "{bad}");
        }
    }

    #[test]
    fn empty_numbers_and_odd_booleans_are_refused() {
        assert!(matches!(number(""), Ruling::Refused(_)));
        assert!(matches!(boolean("yes"), Ruling::Refused(_)));
    }

    #[test]
    fn durations_have_their_value_in_seconds() {
        for (text, read) in [("12h", Some(43_200.0)), ("1h30m", Some(5400.0)), ("1.5h", Some(5400.0)), ("0", Some(0.0))]
        {
            assert_eq!(seconds(text), read, "{text}");
        }
        for text in ["", "12", "h", "12x", "1 h", "1h30"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}

//! Values as IPFS Cluster reads them: Go's booleans, numbers and durations. One that it cannot read keeps it from starting.

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
    if value.parse::<i64>().is_ok() { Ruling::Honoured } else { refused("is no whole number") }
}

/// A number with a fraction.
pub(super) fn fraction(value: &str) -> Ruling {
    if value.parse::<f64>().is_ok() { Ruling::Honoured } else { refused("is no number") }
}

/// A time such as `30s` or `1h30m`.
pub(super) fn duration(value: &str) -> Ruling {
    // IPFS Cluster keeps its default for an empty one.
    if value.is_empty() || value == "0" || is_duration(value) {
        Ruling::Honoured
    } else {
        refused("is no time such as 30s or 1h30m")
    }
}

/// An address such as `/ip4/0.0.0.0/tcp/8888`, or several with commas between.
pub(super) fn addresses(value: &str) -> Ruling {
    if value.split(',').all(|one| one.trim().starts_with('/')) {
        Ruling::Honoured
    } else {
        refused("is no multiaddress such as /ip4/0.0.0.0/tcp/8888")
    }
}

/// Whether a value says yes.
pub(super) fn is_true(value: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&value)
}

fn refused(wrong: &str) -> Ruling {
    Ruling::Refused(format!("{wrong} and is not used; correct it"))
}

fn is_duration(value: &str) -> bool {
    let mut rest = value.strip_prefix(['-', '+']).unwrap_or(value);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].into_iter().filter(|unit| after.starts_with(unit));
        let Some(unit) = unit.max_by_key(|unit| unit.len()) else { return false };
        if number.parse::<f64>().is_err() {
            return false;
        }
        rest = &after[unit.len()..];
    }
    !value.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_go() {
        for good in ["30s", "1h30m", "1.5s", "0", "100ms", "-1s", ""] {
            assert_eq!(duration(good), Ruling::Honoured, "{good}");
        }
        for bad in ["30", "s", "1x", "1h30", "five"] {
            assert!(matches!(duration(bad), Ruling::Refused(_)), "{bad}");
        }
    }

    #[test]
    fn an_empty_number_would_keep_the_product_from_starting() {
        assert!(matches!(number(""), Ruling::Refused(_)));
        assert!(matches!(boolean("yes"), Ruling::Refused(_)));
    }
}

//! Quantities of Kubernetes (`1Gi`, `500m`, `1e3`), compared exactly.

use std::cmp::Ordering;

/// Compares two quantities; `None` if one of them is not a quantity.
pub fn compare(left: &str, right: &str) -> Option<Ordering> {
    Some(in_nano(left)?.cmp(&in_nano(right)?))
}

/// The bytes that a quantity of memory or storage stands for, rounded down; `None` if it is no quantity, or below zero.
pub fn bytes(text: &str) -> Option<u64> {
    u64::try_from(in_nano(text)? / 1_000_000_000).ok()
}

/// Whether a quantity has no fraction; `None` if it is no quantity.
pub fn is_whole(text: &str) -> Option<bool> {
    Some(in_nano(text)? % 1_000_000_000 == 0)
}

/// The value in billionths, the smallest unit that Kubernetes knows.
fn in_nano(text: &str) -> Option<i128> {
    let (number, scale) = split(text)?;
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa: i128 = 0;
    for digit in whole.chars().chain(fraction.chars()) {
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit.to_digit(10)?))?;
    }
    let decimals = u32::try_from(fraction.len()).ok()?;
    let (factor, power) = scale;
    // mantissa · factor · 10^(power + 9 − decimals)
    let exponent = power.checked_add(9)?.checked_sub(i32::try_from(decimals).ok()?)?;
    let scaled = mantissa.checked_mul(factor)?;
    let ten = |n: i32| 10_i128.checked_pow(u32::try_from(n).ok()?);
    let value = if exponent >= 0 {
        scaled.checked_mul(ten(exponent)?)?
    } else {
        let divisor = ten(exponent.checked_neg()?)?;
        scaled.checked_add(divisor - 1)? / divisor
    };
    Some(if negative { -value } else { value })
}

/// The number, and its suffix as factor and power of ten.
fn split(text: &str) -> Option<(&str, (i128, i32))> {
    const SUFFIXES: [(&str, (i128, i32)); 15] = [
        ("Ki", (1 << 10, 0)),
        ("Mi", (1 << 20, 0)),
        ("Gi", (1 << 30, 0)),
        ("Ti", (1 << 40, 0)),
        ("Pi", (1 << 50, 0)),
        ("Ei", (1 << 60, 0)),
        ("n", (1, -9)),
        ("u", (1, -6)),
        ("m", (1, -3)),
        ("k", (1, 3)),
        ("M", (1, 6)),
        ("G", (1, 9)),
        ("T", (1, 12)),
        ("P", (1, 15)),
        ("E", (1, 18)),
    ];
    if let Some((suffix, scale)) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix)) {
        return Some((text.strip_suffix(suffix)?, *scale));
    }
    match text.split_once(['e', 'E']) {
        Some((number, exponent)) => Some((number, (1, exponent.parse().ok()?))),
        None => Some((text, (1, 0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excessive_exponent_is_no_quantity() {
        for text in ["1e2147483647", "1e-2147483648", "1E99999999999"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        assert_eq!(bytes("1Gi"), Some(1 << 30));
        assert_eq!(bytes("1.5k"), Some(1500));
        assert_eq!(bytes("-1"), None);
        assert_eq!(bytes("much"), None);
    }

    #[test]
    fn forms_of_the_same_value_are_equal() {
        for (left, right) in
            [("1024Mi", "1Gi"), ("0.5", "500m"), ("1e3", "1k"), ("1000M", "1G"), ("1.5Gi", "1536Mi"), ("1E", "1e18")]
        {
            assert_eq!(compare(left, right), Some(Ordering::Equal), "{left} and {right}");
        }
    }

    #[test]
    fn different_values_are_ordered() {
        assert_eq!(compare("1G", "1Gi"), Some(Ordering::Less));
        assert_eq!(compare("10Gi", "9Gi"), Some(Ordering::Greater));
    }

    #[test]
    fn invalid_quantity_has_no_order() {
        for text in ["", "ten", "1Qi", "1.2.3", "Gi", "--1", "1e2147483647", "1e-2147483648", "1e99"] {
            assert_eq!(compare(text, "1"), None, "{text}");
        }
    }
}

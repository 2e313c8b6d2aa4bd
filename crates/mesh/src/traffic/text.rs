//! Lines of the Prometheus text format, as borrowed parts.
//!
//! A pod decides what its metrics say, so nothing is copied, and what does not parse is garbage rather than an error. The libraries
//! for this format collect a whole answer with all its labels before they return; here nearly every line is dropped by its name.

/// The most labels of a series; those of proxies have at most 22.
const LABELS: usize = 48;
/// The largest counter that is believed: beyond it, `f64` no longer counts in ones.
const LARGEST: f64 = 9e15;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// A comment or an empty line.
    Nothing,
    /// A value of a series.
    Value(Series<'a>, f64),
    /// Anything else.
    Garbage,
}

/// A series: the name of the metric, and its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Series<'a> {
    /// The name of the metric.
    pub(super) name: &'a str,
    /// Name and labels as they were written, which identifies the series of a proxy.
    pub(super) text: &'a str,
    labels: &'a str,
}

/// The name with which a line begins, without looking at the rest.
pub(super) fn name(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| !is_of_name(*byte)).unwrap_or(line.len());
    &line[..end]
}

/// Parses a line.
pub(super) fn parse(line: &[u8]) -> Line<'_> {
    let Ok(line) = str::from_utf8(line) else { return Line::Garbage };
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with('#') {
        return Line::Nothing;
    }
    value(line).map_or(Line::Garbage, |(series, value)| Line::Value(series, value))
}

fn value(line: &str) -> Option<(Series<'_>, f64)> {
    let end = name(line.as_bytes()).len();
    let name = &line[..end];
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let rest = &line[end..];
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => {
            let length = labels_end(inside)?;
            (&inside[..length], &inside[length + 1..])
        }
        None => ("", rest),
    };
    let text = line[..line.len() - rest.len()].trim_ascii_end();
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    // After the value there may be a time, and in OpenMetrics an exemplar.
    let number = rest.split_ascii_whitespace().next()?;
    Some((Series { name, text, labels }, number.parse().ok()?))
}

/// Where the labels end: a `}` outside of the quotes.
fn labels_end(inside: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (place, byte) in inside.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return Some(place),
            _ => {}
        }
    }
    None
}

impl<'a> Series<'a> {
    /// The labels in their order, up to the first that is malformed. Values are as written, with their escapes.
    pub(super) fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.labels;
        let next = move || {
            let (name, after) = rest.trim_ascii_start().split_once("=\"")?;
            let name = name.trim_ascii_end();
            if name.is_empty() || !name.bytes().all(is_of_name) {
                return None;
            }
            let end = quoted_end(after)?;
            rest = after[end + 1..].trim_ascii_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
            Some((name, &after[..end]))
        };
        std::iter::from_fn(next).take(LABELS)
    }
}

fn quoted_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// The value if a counter or a gauge of a proxy can have it: `NaN` and infinities compare and add up wrongly.
pub(super) fn believed(value: f64) -> Option<f64> {
    (0.0..=LARGEST).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(line: &str) -> Vec<(&str, &str)> {
        match parse(line.as_bytes()) {
            Line::Value(series, _) => series.labels().collect(),
            other => panic!("{line:?} is {other:?}"),
        }
    }

    fn number(line: &str) -> Option<f64> {
        match parse(line.as_bytes()) {
            Line::Value(_, value) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn series_has_its_name_labels_and_value() {
        let line = r#"response_total{direction="inbound",error=""} 31"#;
        let Line::Value(series, value) = parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!((series.name, value), ("response_total", 31.0));
        assert_eq!(series.text, r#"response_total{direction="inbound",error=""}"#);
        assert_eq!(series.labels().collect::<Vec<_>>(), [("direction", "inbound"), ("error", "")]);
    }

    #[test]
    fn every_form_of_the_format_is_read() {
        for (line, expected) in [
            ("up 1", 1.0),
            ("up{} 2", 2.0),
            ("up{a=\"b\",} 3 1700000000000", 3.0),
            ("up{a=\"}\"} 4 # {trace=\"x\"} 1", 4.0),
            ("a:b\t5e3", 5000.0),
            ("up{ a = \"b\" , c=\"d\" } +Inf", f64::INFINITY),
        ] {
            assert_eq!(number(line), Some(expected), "{line}");
        }
        assert!(number("up NaN").unwrap().is_nan());
        assert_eq!(labels(r#"up{a="q\"}\\",b="c"} 1"#), [("a", r#"q\"}\\"#), ("b", "c")]);
    }

    #[test]
    fn comments_are_nothing_and_the_rest_is_garbage() {
        for line in ["", "  ", "# TYPE up gauge", "# EOF"] {
            assert_eq!(parse(line.as_bytes()), Line::Nothing, "{line}");
        }
        for line in ["up", "up x", "1up 1", "up{a=\"b\" 1", "{a=\"b\"} 1", "up{a=\"b\"}", "up=1", "<html>"] {
            assert_eq!(parse(line.as_bytes()), Line::Garbage, "{line}");
        }
        assert_eq!(parse(b"up\xff 1"), Line::Garbage);
    }

    #[test]
    fn malformed_label_ends_the_labels() {
        assert_eq!(labels(r#"up{a="b",c,d="e"} 1"#), [("a", "b")]);
        let many = (0..100).map(|label| format!("l{label}=\"\",")).collect::<Vec<_>>().concat();
        assert_eq!(labels(&format!("up{{{many}}} 1")).len(), LABELS);
    }

    #[test]
    fn impossible_counters_are_not_believed() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
            assert_eq!(believed(value), None, "{value}");
        }
        assert_eq!(believed(0.5), Some(0.5));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Line::Value(series, _) = parse(&line) {
                prop_assert!(series.labels().count() <= LABELS);
            }
        }

        #[test]
        fn any_mixture_of_the_formats_signs_is_parsed_without_panic(line in "[a-c_{}\"\\\\,= #1\\PC]{0,80}") {
            if let Line::Value(series, _) = parse(line.as_bytes()) {
                prop_assert!(series.labels().all(|(name, _)| !name.is_empty()));
            }
        }

        #[test]
        fn written_series_is_read_back(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
            pairs in proptest::collection::vec(("[a-z_]{1,9}", "[^\"\\\\\\p{C}]{0,20}"), 0..8),
            value in 0.0..1e12f64,
        ) {
            let written: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let line = format!("{name}{{{}}} {value}", written.join(","));
            let Line::Value(series, read) = parse(line.as_bytes()) else { panic!("{line}") };
            prop_assert_eq!(series.name, &name);
            prop_assert_eq!(read.to_bits(), value.to_bits());
            let expected: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            prop_assert_eq!(series.labels().collect::<Vec<_>>(), expected);
        }
    }
}

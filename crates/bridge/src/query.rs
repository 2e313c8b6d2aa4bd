//! The arguments of Kubo's RPC, which are in the query.

use percent_encoding::percent_decode_str;

/// The values of each `arg` in order, decoded; they may be binary.
pub(crate) fn arguments(query: Option<&str>) -> Vec<Vec<u8>> {
    pairs(query).filter(|(key, _)| *key == "arg").map(|(_, value)| decoded(value)).collect()
}

/// The query without any `arg`, as it was written.
pub(crate) fn without_arguments(query: Option<&str>) -> String {
    let others = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && key(pair) != "arg");
    others.collect::<Vec<_>>().join("&")
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&');
    pairs.map(|pair| (key(pair), pair.split_once('=').map_or("", |(_, value)| value)))
}

fn key(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(key, _)| key)
}

fn decoded(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_decoded_as_go_encodes_them() {
        let query = Some("arg=a+topic&encoding=json&arg=50%25+%2B+%C3%BC%FF&arg");
        assert_eq!(arguments(query), [b"a topic".to_vec(), b"50% + \xc3\xbc\xff".to_vec(), Vec::new()]);
        assert_eq!(without_arguments(query), "encoding=json");
    }

    #[test]
    fn absent_query_has_no_arguments() {
        assert!(arguments(None).is_empty());
        assert_eq!(without_arguments(Some("")), "");
    }
}

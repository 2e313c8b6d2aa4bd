//! Failures as text for users.

use std::error::Error;

/// The error and its causes, as one line of at most [`LONGEST`] characters; of an answer of the API server only its message.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    bounded(&whole_chain(error), LONGEST)
}

fn whole_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(kube::Error::Api(status)) = error.downcast_ref() {
            return format!("{text}: {}", status.message);
        }
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// The innermost cause: the outer errors of libraries often lack it.
pub fn deepest(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

/// How many characters a message has at most, in a condition or in the log: it may quote other programs, and the API server accepts
/// at most 32,768 bytes.
pub(crate) const LONGEST: usize = 4096;
/// How many characters of another program's text are shown.
const SHOWN: usize = 300;

/// Text of another program, as a message may quote it: printable, on one line, and short.
pub fn printable(text: &str) -> String {
    bounded(text, SHOWN)
}

/// A text on one line without control characters, and with at most `most` characters.
pub(crate) fn bounded(text: &str, most: usize) -> String {
    let is_hidden = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let printable = text.chars().map(|c| if c.is_control() || is_hidden(c) { ' ' } else { c });
    let mut shown: String = printable.take(most).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_printable_and_short() {
        assert_eq!(printable(" a\u{1b}[31m\r\nb\0\u{202e}c ü "), "a [31m  b  c ü");
        assert_eq!(printable(&"ü".repeat(1000)).chars().count(), SHOWN + 1);
    }
    #[test]
    fn chain_of_a_long_answer_is_bounded() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not {0}")]
        struct Failed(String, #[source] kube::Error);

        let status = kube::core::Status { message: "no\n".repeat(100_000), ..kube::core::Status::default() };
        let failed = Failed("write".to_owned(), kube::Error::Api(Box::new(status)));
        assert!(chain(&failed).starts_with("could not write: no no"), "{}", chain(&failed));
        assert_eq!(chain(&failed).chars().count(), LONGEST + 1);
        assert_eq!(chain(&std::io::Error::other("x".repeat(100_000))).chars().count(), LONGEST + 1);
    }
}

//! Failures as users read them.

use std::error::Error;

/// The error and its causes, as one line; of an answer of the API server what it says, without its whole anatomy.
pub fn chain(error: &(dyn Error + 'static)) -> String {
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

/// What really went wrong: the error of a library often says only that something did.
pub fn deepest(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

/// How many characters are shown of what somebody else says.
const SHOWN: usize = 300;

/// What somebody else says, as a message may repeat it: printable, on one line, and not long.
pub fn words(text: &str) -> String {
    bounded(text, SHOWN)
}

/// A text on one line without anything that a terminal would obey, and with at most so many characters.
pub fn bounded(text: &str, most: usize) -> String {
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
    fn words_of_others_are_printable_and_short() {
        assert_eq!(words(" a\u{1b}[31m\r\nb\0\u{202e}c ü "), "a [31m  b  c ü");
        assert_eq!(words(&"ü".repeat(1000)).chars().count(), SHOWN + 1);
    }
}

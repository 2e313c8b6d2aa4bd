//! Text that a user has written, cleaned once.

/// The replacement for bytes that are not UTF-8.
const NOT_UTF_8: char = '\u{fffd}';
/// The mark that editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The text without the removed characters.
    pub text: &'a str,
    /// A remark for the user.
    pub remark: Option<&'static str>,
}

/// Cleans a text that a user has written; `Err` is the error with the remedy.
pub fn clean(written: &str) -> Result<Text<'_>, &'static str> {
    let text = written.strip_prefix(BYTE_ORDER_MARK).unwrap_or(written);
    let has_mark = text.len() < written.len();
    let whole = text;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.contains(NOT_UTF_8) {
        return Err("is not UTF-8 text; encode it as UTF-8");
    }
    if text.contains(['\n', '\r']) {
        return Err("contains a line break; write it on one line");
    }
    let is_invisible =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | BYTE_ORDER_MARK);
    if text.contains(is_invisible) {
        return Err("contains a control or invisible character; remove it");
    }
    let remark = match (has_mark, text.len() < whole.len()) {
        (true, _) => Some("begins with a byte order mark, which is removed"),
        (_, true) => Some("ends with a line break, which is removed"),
        _ if text.trim().len() < text.len() => {
            Some("begins or ends with a space, which is kept; remove it if it is a mistake")
        }
        _ => None,
    };
    Ok(Text { text, remark })
}

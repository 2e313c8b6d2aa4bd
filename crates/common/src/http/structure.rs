//! The number of values of a JSON text, counted before it is parsed.

/// The values so far: each object, list, key and further element, by the characters that begin them. Where the text is not JSON,
/// a parser fails before it has read more values than were counted.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// How many.
    pub(super) values: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Structure {
    /// Counts those of the next piece.
    pub(super) fn follow(&mut self, piece: &[u8]) {
        for byte in piece {
            if self.is_escaped {
                self.is_escaped = false;
            } else if self.is_in_text {
                self.is_escaped = *byte == b'\\';
                self.is_in_text = *byte != b'"';
            } else if *byte == b'"' {
                self.is_in_text = true;
            } else {
                self.values += usize::from(matches!(byte, b'{' | b'[' | b',' | b':'));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_of_strings_are_counted() {
        for (text, values) in
            [("", 0), ("{}", 1), ("[[],{\"a:[\":1,\"\\\\\":2}]", 7), ("\"\\\",:[\"", 0), ("[1,2,3]", 3)]
        {
            let mut whole = Structure::default();
            whole.follow(text.as_bytes());
            assert_eq!(whole.values, values, "{text}");
            let mut cut = Structure::default();
            text.as_bytes().chunks(1).for_each(|piece| cut.follow(piece));
            assert_eq!(cut.values, values, "{text}");
        }
    }
}

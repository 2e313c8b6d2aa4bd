//! Keys that change with the inputs of a build.

use sha2::{Digest as _, Sha256};

/// A key under construction.
#[derive(Debug, Default)]
pub struct Key(Sha256);

impl Key {
    /// Adds an input of the result.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        // With the length: the same bytes in other parts give another key.
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// The key: 16 hexadecimal digits.
    pub fn finish(self) -> String {
        let mut start = [0; 8];
        start.copy_from_slice(&self.0.finalize()[..8]);
        format!("{:016x}", u64::from_be_bytes(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_depends_on_where_parts_end() {
        let one = Key::default().with("ab").with("c").finish();
        let other = Key::default().with("a").with("bc").finish();
        assert_ne!(one, other);
        assert_eq!(one.len(), 16);
    }
}

//! Entity tags as S3 computes them: the MD5 of an object's bytes; of one in parts, that of their MD5s.

use md5::{Digest as _, Md5};

use crate::manifest::hex;

/// The entity tag of an object that is stored at once.
pub fn md5_of(content: &[u8]) -> String {
    hex(&Md5::digest(content))
}

/// Whether an entity tag looks like an MD5, and not like that of an object in parts.
pub(super) fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The entity tag of an object in parts.
#[derive(Clone, Debug, Default)]
pub struct OfParts {
    digests: Vec<u8>,
    count: usize,
}

impl OfParts {
    /// Adds the next part; its own entity tag.
    pub fn push(&mut self, content: &[u8]) -> String {
        let digest = Md5::digest(content);
        self.digests.extend_from_slice(&digest);
        self.count += 1;
        hex(&digest)
    }

    /// The entity tag of all parts.
    pub fn finish(&self) -> String {
        format!("{}-{}", md5_of(&self.digests), self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_is_the_md5_of_the_bytes() {
        assert_eq!(md5_of(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(md5_of(b"hello"), "5d41402abc4b2a76b9719d911017c592");
        assert!(is_md5(&md5_of(b"")) && !is_md5(&format!("{}-1", md5_of(b""))) && !is_md5(""));
    }

    #[test]
    fn tag_of_parts_is_the_md5_of_their_md5s() {
        let mut parts = OfParts::default();
        assert_eq!(parts.push(b"hello"), md5_of(b"hello"));
        parts.push(b"");
        // md5(unhex("5d41402abc4b2a76b9719d911017c592" + "d41d8cd98f00b204e9800998ecf8427e"))
        assert_eq!(parts.finish(), "a169f9255cc30bf56198c64ae2a09832-2");
    }
}

//! Paths of URLs, whose parts may be names that others chose.

use crate::binding::uri_part as encode;

use super::Failure;

/// A path with its query, without the first `/` of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    path: String,
    query: String,
}

impl Path {
    /// A path that is fixed in the program.
    pub fn fixed(path: &'static str) -> Self {
        Self { path: path.to_owned(), query: String::new() }
    }

    /// A path of segments, each of which may be any name that a URL can have: `.` and `..` would change the path, encoded or not,
    /// and so would an empty one.
    pub fn from_segments(segments: &[&str]) -> Result<Self, Failure> {
        if let Some(segment) = segments.iter().find(|segment| !is_segment(segment)) {
            return Err(Failure::Name { name: (*segment).to_owned() });
        }
        let path: Vec<String> = segments.iter().map(|segment| encode(segment)).collect();
        Ok(Self { path: path.join("/"), query: String::new() })
    }

    /// A path and a query that a library has encoded.
    pub fn encoded(path: &str, query: &str) -> Self {
        Self { path: path.trim_start_matches('/').to_owned(), query: query.to_owned() }
    }

    /// The path of an object in a storage, of the segments before it and its key, whose slashes separate segments. Empty segments
    /// are kept, because `a//b` is another object than `a/b`.
    pub(crate) fn of_object(before: &[&str], key: &str) -> Result<Self, Failure> {
        let name = || Failure::Name { name: key.to_owned() };
        if key.is_empty() || key.split('/').any(|segment| [".", ".."].contains(&segment)) {
            return Err(name());
        }
        let mut path = Self::from_segments(before)?;
        let key: Vec<String> = key.split('/').map(encode).collect();
        let separator = if before.is_empty() { "" } else { "/" };
        path.path = format!("{}{separator}{}", path.path, key.join("/"));
        Ok(path)
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let separator = if self.query.is_empty() { "" } else { "&" };
        self.query = format!("{}{separator}{}={}", self.query, encode(key), encode(value));
        self
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query; empty if there is none.
    pub fn query(&self) -> &str {
        &self.query
    }
}

/// Whether a name can be a segment of a path.
pub fn is_segment(name: &str) -> bool {
    !["", ".", ".."].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_each_as_one_segment() {
        let path = Path::from_segments(&["queues", "/", "a b?#%2e/..", "…"]).unwrap().with("k=1", "a&b");
        assert_eq!((path.path(), path.query()), ("queues/%2F/a%20b%3F%23%252e%2F../%E2%80%A6", "k%3D1=a%26b"));
    }

    #[test]
    fn keys_of_objects_keep_their_slashes() {
        for (before, key, expected) in
            [(&["b"][..], "a/ü?#%2e", "b/a/%C3%BC%3F%23%252e"), (&["b"], "/a//b/", "b//a//b/"), (&[], "//a", "//a")]
        {
            assert_eq!(Path::of_object(before, key).unwrap().path(), expected);
        }
        for key in ["", ".", "..", "a/../b", "./a", "a/."] {
            assert!(Path::of_object(&["b"], key).is_err(), "{key}");
        }
    }

    #[test]
    fn names_that_mean_another_path_are_refused() {
        for name in ["", ".", ".."] {
            let failure = Path::from_segments(&["queues", "v", name]).unwrap_err();
            assert!(failure.to_string().contains(&format!("{name:?}")), "{failure}");
        }
        for name in ["...", ". ", "%2e", "%2e%2e", " .."] {
            assert!(Path::from_segments(&[name]).is_ok(), "{name}");
        }
    }
}

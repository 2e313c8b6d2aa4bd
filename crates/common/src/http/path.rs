//! Paths of URLs, whose parts may be names that others chose.

use crate::binding::uri_part as encode;

use super::Failure;

/// A path with its query, as it stands behind the first `/` of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    path: String,
    query: String,
}

impl Path {
    /// A path that the program itself spells.
    pub fn fixed(path: &'static str) -> Self {
        Self { path: path.to_owned(), query: String::new() }
    }

    /// A path of segments, each of which may be any name but those of which a URL has no room: `.` and `..` mean another path,
    /// encoded or not, and an empty one another thing.
    pub fn of(segments: &[&str]) -> Result<Self, Failure> {
        if let Some(segment) = segments.iter().find(|segment| !is_segment(segment)) {
            return Err(Failure::Name { name: (*segment).to_owned() });
        }
        let path: Vec<String> = segments.iter().map(|segment| encode(segment)).collect();
        Ok(Self { path: path.join("/"), query: String::new() })
    }

    /// A path and a query that a library has spelled and encoded.
    pub fn encoded(path: &str, query: &str) -> Self {
        Self { path: path.trim_start_matches('/').to_owned(), query: query.to_owned() }
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
        let path = Path::of(&["queues", "/", "a b?#%2e/..", "…"]).unwrap().with("k=1", "a&b");
        assert_eq!((path.path(), path.query()), ("queues/%2F/a%20b%3F%23%252e%2F../%E2%80%A6", "k%3D1=a%26b"));
    }

    #[test]
    fn names_that_mean_another_path_are_refused() {
        for name in ["", ".", ".."] {
            let failure = Path::of(&["queues", "v", name]).unwrap_err();
            assert!(failure.to_string().contains(&format!("{name:?}")), "{failure}");
        }
        for name in ["...", ". ", "%2e", "%2e%2e", " .."] {
            assert!(Path::of(&[name]).is_ok(), "{name}");
        }
    }
}

//! One request to an object storage, as data.

use std::{fmt, time::Duration};

use crate::http::Method;

/// How long a call may take, unless it says otherwise.
const WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of an answer, unless the call says otherwise.
const LIMIT: usize = 64 << 10;

/// A request: what is not set is not sent. `Debug` shows neither headers nor body, which may contain secrets.
#[derive(Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content: Option<(String, Vec<u8>)>,
    pub(super) within: Duration,
    pub(super) limit: usize,
    pub(super) values: Option<usize>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.method, self.target)
    }
}

/// What a call is about.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// The storage itself: the list of its buckets.
    Service,
    /// A bucket.
    Bucket(String),
    /// An object of a bucket.
    Object(String, String),
    /// A path of one's own, such as the engine's API for administration.
    Path(Vec<String>),
}

impl Call {
    fn new(method: Method, target: Target) -> Self {
        // The documents of S3 have limits of their own, and objects are not parsed. What an API of the engine answers is JSON.
        let values = if matches!(target, Target::Path(_)) { None } else { Some(usize::MAX) };
        Self {
            method,
            target,
            query: Vec::new(),
            headers: Vec::new(),
            content: None,
            within: WITHIN,
            limit: LIMIT,
            values,
        }
    }

    /// A call about the storage itself.
    pub fn service(method: Method) -> Self {
        Self::new(method, Target::Service)
    }

    /// A call about a bucket.
    pub fn bucket(method: Method, bucket: &str) -> Self {
        Self::new(method, Target::Bucket(bucket.to_owned()))
    }

    /// A call about an object.
    pub fn object(method: Method, bucket: &str, key: &str) -> Self {
        Self::new(method, Target::Object(bucket.to_owned(), key.to_owned()))
    }

    /// A call to a path of one's own: `&["minio", "admin", "v3", "info"]`.
    pub fn path(method: Method, segments: &[&str]) -> Self {
        Self::new(method, Target::Path(segments.iter().map(|segment| (*segment).to_owned()).collect()))
    }

    /// With a parameter; those without a value get an empty one.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.query.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With a header. It is signed.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// With a body of this media type.
    #[must_use]
    pub fn with_content(mut self, kind: &str, content: Vec<u8>) -> Self {
        self.content = Some((kind.to_owned(), content));
        self
    }

    /// With another limit for the bytes of the answer: 64 KiB by default.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// With another limit for the values of an answer in JSON: that of [`crate::http`] by default.
    #[must_use]
    pub fn with_values(mut self, most: usize) -> Self {
        self.values = Some(most);
        self
    }

    /// With another time for the whole call: 10 s by default.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }
}

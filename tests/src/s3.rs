//! What applications may expect of S3, as a list of calls: each is made with the keys of bindings, and compared with what S3 does.
//!
//! ```text
//!   Stage   three buckets with a key each: without versions, with versions, with object lock; and a bucket of somebody else
//!   Row     a call, what S3 does, and how that is checked
//!   run     all rows at a stage, in order      table   the results of several engines, as a page of the documentation
//! ```

pub mod access;
pub mod conditions;
pub mod copies;
pub mod lists;
pub mod locks;
pub mod objects;
pub mod parts;
pub mod presigned;
pub mod table;
pub mod tags;
pub mod versions;

use futures::future::BoxFuture;
use temporal_stack_common::{
    http::{self, Answer},
    s3::{Address, Attributes, Call, Client, Failure, Key},
};

/// The most bytes of an object of the list.
pub const LIMIT: usize = 32 << 20;

/// A bucket, and the key to it.
#[derive(Clone)]
pub struct Place {
    /// As the owner of the key.
    pub client: Client,
    /// Where it is.
    pub address: Address,
    /// The key.
    pub key: Key,
    /// The bucket.
    pub bucket: String,
}

impl Place {
    /// A bucket as a binding describes it.
    pub fn new(address: &Address, key: &Key, bucket: &str) -> Result<Self, Failure> {
        let client = Client::new(address, key)?;
        Ok(Self { client, address: address.clone(), key: key.clone(), bucket: bucket.to_owned() })
    }

    /// Puts a text.
    pub async fn put(&self, key: &str, text: &str) -> Result<String, Deviation> {
        Ok(self.client.put(&self.bucket, key, text.as_bytes().to_vec()).await?.etag)
    }

    /// Puts a text with headers.
    pub async fn put_with(&self, key: &str, text: &str, headers: &[(&str, &str)]) -> Result<(), Deviation> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: Attributes = headers.collect();
        self.client.put_with(&self.bucket, key, text.as_bytes().to_vec(), &headers).await?;
        Ok(())
    }

    /// Reads a text.
    pub async fn get(&self, key: &str) -> Result<String, Deviation> {
        let content = self.client.get(&self.bucket, key, LIMIT).await?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// A call about an object.
    pub fn object(&self, method: http::Method, key: &str) -> Call {
        Call::object(method, &self.bucket, key).with_limit(LIMIT)
    }

    /// A call about the bucket.
    pub fn bucket(&self, method: http::Method) -> Call {
        Call::bucket(method, &self.bucket).with_limit(LIMIT)
    }

    /// Makes a call.
    pub async fn call(&self, call: Call) -> Result<Answer, Deviation> {
        Ok(self.client.call(call).await?)
    }
}

/// Where the list is run.
#[derive(Clone)]
pub struct Stage {
    /// A bucket that keeps no versions.
    pub plain: Place,
    /// One that does.
    pub versioned: Place,
    /// One that locks new objects for a day (governance).
    pub locked: Place,
    /// A bucket of somebody else, with an object `object`.
    pub other: String,
}

/// What an engine does instead of what S3 does: a status and a code, or a few words; without anything that differs between runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Deviation(pub String);

impl From<Failure> for Deviation {
    fn from(failure: Failure) -> Self {
        Self(match failure {
            Failure::Refused { status, code, .. } if code.as_str() == status.to_string() => status.to_string(),
            Failure::Refused { status, code, .. } => format!("{status} {code}"),
            Failure::Http(http::Failure::Redirect { status, .. }) => status.to_string(),
            Failure::Unreadable { cause, .. } => cause,
            Failure::Http(failure) => failure.to_string(),
            failure => failure.to_string(),
        })
    }
}

/// Whether the engine does as S3 does.
pub type Checked = Result<(), Deviation>;

/// A call of the list.
pub struct Row {
    /// What it is about.
    pub section: &'static str,
    /// The call.
    pub call: &'static str,
    /// What S3 does.
    pub expected: &'static str,
    check: fn(Stage) -> BoxFuture<'static, Checked>,
}

/// Rows of a section: a call, what S3 does, and the check.
macro_rules! section {
    ($section:literal, $($call:literal, $expected:literal, $check:path;)+) => {
        /// The rows of this section.
        pub fn rows() -> Vec<$crate::s3::Row> {
            vec![$($crate::s3::row($section, $call, $expected, |stage| Box::pin($check(stage)))),+]
        }
    };
}
pub(crate) use section;

fn row(
    section: &'static str,
    call: &'static str,
    expected: &'static str,
    check: fn(Stage) -> BoxFuture<'static, Checked>,
) -> Row {
    Row { section, call, expected, check }
}

/// All calls of the list.
pub fn rows() -> Vec<Row> {
    let sections = [
        objects::rows,
        conditions::rows,
        copies::rows,
        lists::rows,
        tags::rows,
        parts::rows,
        versions::rows,
        locks::rows,
        access::rows,
        presigned::rows,
    ];
    sections.into_iter().flat_map(|rows| rows()).collect()
}

/// Makes all calls, one after another; the results are in the order of the rows.
pub async fn run(stage: &Stage) -> Vec<Checked> {
    let mut results = Vec::new();
    for row in rows() {
        results.push((row.check)(stage.clone()).await);
    }
    results
}

/// A fact that S3 guarantees, or what is there instead.
pub(crate) fn expect(is_so: bool, instead: impl Into<String>) -> Checked {
    if is_so { Ok(()) } else { Err(Deviation(instead.into())) }
}

/// A refusal that S3 guarantees, as status and code; HEAD and conditions have no code.
pub(crate) fn refused<T>(result: Result<T, impl Into<Deviation>>, expected: &str) -> Checked {
    match result {
        Ok(_) => Err(Deviation("accepted".to_owned())),
        Err(failure) => {
            let Deviation(instead) = failure.into();
            let is_status = |text: &str| expected.len() == 3 && text.split(' ').next() == Some(expected);
            expect(instead == expected || is_status(&instead), instead)
        }
    }
}

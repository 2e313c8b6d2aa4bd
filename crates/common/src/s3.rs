//! The client of object storage: S3 over HTTP, signed with the signature of AWS, version 4.
//!
//! ```text
//!   address    an endpoint and a key
//!   call       one request, as data                         ── for requests that have no function here
//!   client     signs a call, sends it, and reads a refusal
//!   bucket     buckets, and their settings: versioning, policy
//!   rules      object lock and expiration
//!   object     objects                                         tags       tags of objects and buckets
//!   listing    pages of objects; deleting many             versions   pages of versions
//!   multipart  objects in parts
//!   etag       entity tags, to compare contents
//!   policy     the document that restricts a user to one bucket
//! ```
//!
//! # Guarantees
//!
//! * Everything that [`http`](crate::http) guarantees: no redirect is followed, and each answer is limited in bytes and time.
//! * Answers are XML without a document type, of limited depth and number of elements.
//! * Neither a key's secret nor its ID is shown by `Debug` or by a [`Failure`], not even where the server repeats it: some
//!   engines have flaws by which the ID alone is enough to write.
//! * A key of an object is sent as it is, or not at all: those that a URL cannot carry (`a/../b`) are refused.
//!
//! # Caveats
//!
//! A request is not repeated: the callers retry with backoff. Clocks that differ by more than 15 minutes are
//! [`Code::RequestTimeTooSkewed`].

mod address;
mod bucket;
mod call;
mod client;
mod code;
pub mod etag;
mod failure;
#[cfg(any(test, feature = "test-kit"))]
pub mod fake;
mod listing;
mod multipart;
mod object;
pub mod policy;
mod rules;
mod sign;
mod tags;
#[cfg(test)]
mod tests;
mod versions;
mod xml;

pub use address::{Address, Key, Style};
pub use bucket::{Existence, Versioning};
pub use call::Call;
pub use client::Client;
pub use code::Code;
pub use failure::Failure;
pub use listing::{Item, Object, Page, Undeleted};
pub use multipart::{Part, Upload};
pub use object::{Attributes, Head, Stored};
pub use rules::{Lock, Locking, Mode};
pub use tags::Tags;
pub use versions::{Marker, Version, VersionPage};
pub use xml::plain_document;

//! Why a request has no usable answer.

use crate::mesh::PERMIT;

/// Why a request has no usable answer. Messages quote at most a few printable words of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is invalid or refused.
    #[error("{address} is not the address of a server: the host {cause}")]
    Address {
        /// Host and port.
        address: String,
        /// The error in it.
        cause: String,
    },
    /// A name cannot be a part of a URL.
    #[error("name {name:?} cannot be used in a URL: it would address another path; choose another name")]
    Name {
        /// The name.
        name: String,
    },
    /// A header cannot be sent.
    #[error("header {name:?} cannot be sent: its value or name has characters that HTTP cannot carry; correct it")]
    Header {
        /// Its name, shortened and printable.
        name: String,
    },
    /// The server does not answer.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The error.
        cause: String,
    },
    /// The server takes too long, at the beginning or in the middle of its answer.
    #[error("{address} did not finish its answer to {request}: it took more than {seconds} s")]
    Slow {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The timeout.
        seconds: u64,
    },
    /// The server sends the request elsewhere.
    #[error(
        "{address} redirects {request} ({status}): redirects are not followed, because they could lead to another tenant's server; correct the address"
    )]
    Redirect {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The status of the answer.
        status: u16,
    },
    /// The proxy of a mesh has no server to pass the request to.
    #[error(
        "{address} is starting: nothing listens behind the mesh's proxy ({request}: {status}); retried with backoff"
    )]
    Starting {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The status of the answer.
        status: u16,
    },
    /// The policy of a mesh does not let the request pass.
    #[error("{address} is refused by the mesh's policy ({request}: 403); {PERMIT}")]
    RefusedByMesh {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
    },
    /// The server does not do as it was asked.
    #[error("{address} refuses {request} ({status}): {cause}")]
    Refused {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The status of the answer.
        status: u16,
        /// The server's words.
        cause: String,
    },
    /// The answer is longer than any valid one.
    #[error("{address} answered {request} with more than {limit} bytes: {cause}")]
    TooLarge {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The limit.
        limit: usize,
        /// The explanation, with the remedy.
        cause: &'static str,
    },
    /// The answer has more values than any valid one.
    #[error("{address} answered {request} with more than {limit} values: {cause}")]
    TooManyValues {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The limit.
        limit: usize,
        /// The explanation, with the remedy.
        cause: &'static str,
    },
    /// Too many other large answers are being read.
    #[error(
        "the answer of {address} to {request} is large, and too many other large answers are being read; retried with backoff"
    )]
    Busy {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
    },
    /// The answer is not one of the product.
    #[error("{address} gave an unexpected answer to {request}: {cause}")]
    Unreadable {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The error in it.
        cause: String,
    },
    /// An answer ended early.
    #[error("{address} did not finish its answer to {request}: {cause}")]
    Cut {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The server's error, or the error of the connection.
        cause: String,
    },
}

//! Why there is no answer that could be used.

/// Why there is no answer that could be used. No message has more of an answer than a few printable words.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is none, or one that is not connected to.
    #[error("{address} is no address of a server: the host {cause}")]
    Address {
        /// Host and port.
        address: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A name cannot be a part of a URL.
    #[error("the name {name:?} has no URL: it stands for another path; choose another name")]
    Name {
        /// The name.
        name: String,
    },
    /// The server does not answer.
    #[error("{address} does not answer: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
    /// The server takes too long, be it at the beginning or in the middle of its answer.
    #[error("{address} did not finish its answer to {request}: it took more than {seconds} s")]
    Slow {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// How long was waited.
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
    /// The answer is longer than any that is right.
    #[error("{address} answers {request} with more than {limit} bytes: {cause}")]
    TooLarge {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The limit.
        limit: usize,
        /// What that means, and what to do.
        cause: &'static str,
    },
    /// Others are reading large answers at the same time.
    #[error(
        "the answer of {address} to {request} is large, and other large answers are being read; retried with backoff"
    )]
    Busy {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
    },
    /// The answer is not what the product would say.
    #[error("{address} answers {request} with something else than was expected: {cause}")]
    Unreadable {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// What is wrong with it.
        cause: String,
    },
    /// An answer ended before all of it was said.
    #[error("{address} did not finish its answer to {request}: {cause}")]
    Cut {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// What the server says, or what happened to the connection.
        cause: String,
    },
}

//! The errors that clients receive if there is no answer for them.

use http::StatusCode;
use temporal_stack_common::failure::deepest;
use tower::BoxError;

use crate::{answer::Answer, answer::json, product::Product};

/// Why a call has no answer that a client could use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The connection is refused.
    #[error("{} cannot be reached at {address}: {cause}; check that it is running, and that --{} of the bridge names it", product.name(), product.label())]
    Unreachable {
        /// The upstream.
        product: Product,
        /// Host and port.
        address: String,
        /// The error.
        cause: String,
    },
    /// The connection was not accepted in time.
    #[error("{} at {address} did not accept the connection within {seconds} s; check that it is running, and that --{} of the bridge names it", product.name(), product.label())]
    Slow {
        /// The upstream.
        product: Product,
        /// Host and port.
        address: String,
        /// The timeout.
        seconds: u64,
    },
    /// The connection ended before there was an answer.
    #[error("{} at {address} closed the connection without an answer: {cause}; retry when it is running", product.name())]
    Unanswered {
        /// The upstream.
        product: Product,
        /// Host and port.
        address: String,
        /// The error.
        cause: String,
    },
    /// The connection ended within an answer to translate.
    #[error("the answer ended before it was complete: {0}; retry")]
    Broken(String),
    /// An answer to translate is longer than any known one.
    #[error("the answer is longer than {0} bytes, so the bridge does not translate it")]
    TooLong(usize),
    /// The answer reported an error at its end, in the trailer `X-Stream-Error`.
    #[error("{0}")]
    Stream(String),
    /// An answer to translate has an unknown form.
    #[error("the bridge cannot translate the answer: {0}; it knows Kubo 0.42 and IPFS Cluster 1.1")]
    Untranslatable(String),
}

impl Failure {
    /// Its answer, in the shape that clients of this product decode.
    pub(crate) fn answer(&self, product: Product) -> Answer {
        let status = match self {
            Self::Slow { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Stream(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_GATEWAY,
        };
        let mut answer = json(&product.error(status.as_u16(), &self.to_string()));
        *answer.status_mut() = status;
        answer
    }

    pub(crate) fn broken(cause: &BoxError) -> Self {
        Self::Broken(deepest(cause.as_ref()))
    }

    pub(crate) fn untranslatable(cause: &serde_json::Error) -> Self {
        Self::Untranslatable(cause.to_string())
    }
}

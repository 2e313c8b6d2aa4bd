//! What clients are told when there is no answer to give them.

use http::StatusCode;
use temporal_stack_common::failure::deepest;
use tower::BoxError;

use crate::{answer::Answer, answer::json, product::Product};

/// Why a call has no answer that a client could use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody takes the connection.
    #[error("{} cannot be reached at {address}: {cause}; see that it runs, and that --{} of the bridge names it", product.name(), product.label())]
    Unreachable {
        /// Who was called.
        product: Product,
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
    /// The connection was not taken in time.
    #[error("{} at {address} did not take the connection within {seconds} s; see that it runs, and that --{} of the bridge names it", product.name(), product.label())]
    Slow {
        /// Who was called.
        product: Product,
        /// Host and port.
        address: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The connection ended before there was an answer.
    #[error("{} at {address} ended the connection without an answer: {cause}; call again when its log says that it runs", product.name())]
    Unanswered {
        /// Who was called.
        product: Product,
        /// Host and port.
        address: String,
        /// What happened instead.
        cause: String,
    },
    /// The connection ended within an answer that was to be translated.
    #[error("the answer ended before it was whole: {0}; call again")]
    Broken(String),
    /// An answer that was to be translated is longer than any known one.
    #[error("the answer is longer than {0} bytes, so the bridge does not translate it")]
    TooLong(usize),
    /// The answer said at its end that it is none: the trailer `X-Stream-Error`.
    #[error("{0}")]
    Stream(String),
    /// An answer that was to be translated is not what the bridge knows.
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

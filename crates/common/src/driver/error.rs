//! Why a pass failed, and how it is reported.

use crate::failure::chain;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error<E: std::error::Error + 'static> {
    /// The observed state could not be read.
    #[error("observation failed")]
    Observe(#[source] E),
    /// A write to the product failed.
    #[error("could not {action}")]
    Act {
        /// The action.
        action: String,
        /// The cause.
        #[source]
        source: E,
    },
    /// The API server refused a request.
    #[error("the API server refused to {step}")]
    Api {
        /// The request.
        step: String,
        /// Its answer.
        #[source]
        source: kube::Error,
    },
}

impl<E: std::error::Error + 'static> Error<E> {
    /// Names the request that an error of the client is about.
    pub(super) fn api(step: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let step = step.into();
        move |source| Self::Api { step, source }
    }

    /// The error and its causes, as one line.
    pub(super) fn chain(&self) -> String {
        chain(self)
    }
}

//! Why a pass failed, and how it is told.

use crate::failure::chain;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error<E: std::error::Error + 'static> {
    /// What the pass needs to know could not be read.
    #[error("observing failed")]
    Observe(#[source] E),
    /// The product did not do what it was told.
    #[error("could not {action}")]
    Act {
        /// What it was told.
        action: String,
        /// Why it did not.
        #[source]
        source: E,
    },
    /// The API server refused a request.
    #[error("the API server refused to {step}")]
    Api {
        /// What it was asked.
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

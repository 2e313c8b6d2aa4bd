//! Why a call to an object storage failed.

use super::code::Code;
use crate::http;

/// Why a call to an object storage failed. No message shows a key, or its ID.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is malformed.
    #[error("the address of the object storage is invalid: {cause}")]
    Address {
        /// The error in it, with the remedy.
        cause: &'static str,
    },
    /// The key is malformed.
    #[error(
        "the access key is invalid: its ID or secret is empty, or the ID has a character that a signature cannot contain"
    )]
    Key,
    /// No bucket has such a name.
    #[error(
        "bucket name {bucket:?} is invalid: it would address another resource; use 3 to 63 lower-case letters, digits, hyphens and dots"
    )]
    Bucket {
        /// The name, shortened and printable.
        bucket: String,
    },
    /// No usable answer arrived.
    #[error(transparent)]
    Http(http::Failure),
    /// The server refuses.
    #[error("{address} refuses {request} ({status} {code}): {message}")]
    Refused {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The status of the answer.
        status: u16,
        /// Its code.
        code: Code,
        /// The server's words.
        message: String,
    },
    /// The answer is not one of an object storage.
    #[error("{address} gave an unexpected answer to {request}: {cause}")]
    Unreadable {
        /// Host and port.
        address: String,
        /// Method and path.
        request: String,
        /// The error in it.
        cause: String,
    },
}

impl Failure {
    /// The code of a refusal.
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether it is a refusal with this code.
    pub fn is(&self, expected: &Code) -> bool {
        self.code() == Some(expected)
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

//! The codes of S3's refusals.

use std::fmt;

use crate::failure::printable;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The code of a refusal.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// Another one, or the status of an answer without a code.
            Other(String),
        }

        impl Code {
            /// The code of that name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $(stringify!($name) => Self::$name,)*
                    _ => Self::Other(printable(name)),
                }
            }

            /// Its name.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Other(name) => name,
                }
            }
        }
    };
}

codes! {
    /// The key may not do that.
    AccessDenied,
    /// The bucket exists and belongs to another account.
    BucketAlreadyExists,
    /// The bucket exists and belongs to the key's owner.
    BucketAlreadyOwnedByYou,
    /// The bucket has objects, or versions of some.
    BucketNotEmpty,
    /// No key has that ID.
    InvalidAccessKeyId,
    /// The name is not one of a bucket.
    InvalidBucketName,
    /// The bucket is in another state than the request needs.
    InvalidBucketState,
    /// A part of a multipart upload is missing or different.
    InvalidPart,
    /// The request has an invalid value, or the object is locked.
    InvalidRequest,
    /// The document of the request is invalid.
    MalformedXML,
    /// The method is not allowed on this resource.
    MethodNotAllowed,
    /// No such bucket.
    NoSuchBucket,
    /// The bucket has no policy.
    NoSuchBucketPolicy,
    /// No such object.
    NoSuchKey,
    /// The bucket has no lifecycle rules.
    NoSuchLifecycleConfiguration,
    /// The object or bucket has no tags.
    NoSuchTagSet,
    /// No such multipart upload.
    NoSuchUpload,
    /// No such version.
    NoSuchVersion,
    /// The engine does not support this.
    NotImplemented,
    /// The bucket has no object lock.
    ObjectLockConfigurationNotFoundError,
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// The bucket's quota is used up.
    QuotaExceeded,
    /// The clocks of client and server differ too much.
    RequestTimeTooSkewed,
    /// The secret of the key is wrong.
    SignatureDoesNotMatch,
    /// The server asks for fewer requests.
    SlowDown,
    /// The server cannot answer at the moment.
    ServiceUnavailable,
}

/// What stands in the place of the code where a refusal has none.
const UNNAMED: &str = "without an S3 error code";

impl Code {
    /// That of a refusal that names none although it could: it is not an object storage that refuses.
    pub(super) fn unnamed() -> Self {
        Self::Other(UNNAMED.to_owned())
    }

    /// Whether the refusal names none although it could: it is not an object storage that refuses.
    pub fn is_unnamed(&self) -> bool {
        self.as_str() == UNNAMED
    }

    /// The code of an answer to HEAD, which has no body.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            403 => Self::AccessDenied,
            404 => Self::NoSuchKey,
            405 => Self::MethodNotAllowed,
            412 => Self::PreconditionFailed,
            501 => Self::NotImplemented,
            503 => Self::ServiceUnavailable,
            _ => Self::Other(status.to_string()),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_keeps_its_name() {
        for name in ["NoSuchBucket", "RequestTimeTooSkewed", "XMinioAdminNoSuchUser"] {
            assert_eq!(Code::from_name(name).to_string(), name);
        }
        assert_eq!(Code::from_name("NoSuchKey"), Code::NoSuchKey);
        assert_eq!(Code::from_name("a\u{1b}b"), Code::Other("a b".to_owned()));
    }
}

//! What a failure of an object storage means, and who can correct it.

use temporal_stack_common::{
    condition::Reason,
    http,
    s3::{Code, Failure},
};

use crate::reason;

/// Who can correct an object storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManagedBy {
    /// The controller, which runs it.
    Controller,
    /// Rook, and its administrator.
    Rook,
    /// The user, whose Secret describes it.
    User,
}

/// What a failure means for the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// The reason.
    pub(crate) reason: Reason,
    /// The cause and the remedy.
    pub(crate) message: String,
    /// Whether only the user can correct it.
    pub(crate) needs_user: bool,
}

/// What can be done where the controller does not keep the object storage.
struct Remedies {
    /// About the key and the address.
    secret: &'static str,
    /// About a key that may not do something.
    access: &'static str,
    /// About a server that does not answer.
    network: &'static str,
    /// About a certificate that is not trusted.
    trust: &'static str,
    /// About everything else.
    storage: &'static str,
}

const ROOK: Remedies = Remedies {
    secret: "restore the Secret and the ConfigMap with the name of the ObjectBucketClaim, which Rook's operator writes",
    access: "check the CephObjectStore, and the policy of the bucket",
    network: "check the CephObjectStore, and the network between it and the controller",
    trust: "check spec.gateway.sslCertificateRef of the CephObjectStore: the authority of its certificate is trusted",
    storage: "check the CephObjectStore",
};
const USER: Remedies = Remedies {
    secret: "correct the Secret that spec.provider.external names",
    access: "grant the key access to the bucket, or correct the Secret that spec.provider.external names",
    network: "correct the endpoint in the Secret that spec.provider.external names, or check the object storage and the network between it and the controller",
    trust: "set the key ca.crt of the Secret that spec.provider.external names to the authority of the server's certificate, and endpoint to a host that the certificate has",
    storage: "check the object storage",
};

/// What a failure means: in an engine of the controller the next pass corrects what is missing; elsewhere only its keeper can.
pub(crate) fn diagnose(failure: &Failure, managed_by: ManagedBy) -> Diagnosis {
    let diagnosis =
        |reason, needs_user, remedy: &str| Diagnosis { reason, message: format!("{failure}; {remedy}"), needs_user };
    let is_user = managed_by == ManagedBy::User;
    let Remedies { secret, access, network, trust, storage } = match managed_by {
        ManagedBy::Controller => return diagnosis(reason::VERIFICATION_FAILED, false, "retried with backoff"),
        ManagedBy::Rook => ROOK,
        ManagedBy::User => USER,
    };
    match (failure, failure.code()) {
        (_, Some(Code::InvalidAccessKeyId | Code::SignatureDoesNotMatch)) => {
            diagnosis(reason::LOGIN_REFUSED, is_user, secret)
        }
        (_, Some(Code::RequestTimeTooSkewed)) => {
            diagnosis(reason::CLOCK_SKEWED, false, "synchronise the clocks of the cluster and of the object storage")
        }
        (_, Some(Code::AccessDenied)) => diagnosis(reason::LOGIN_REFUSED, is_user, access),
        (
            Failure::Address { .. }
            | Failure::Key
            | Failure::Http(http::Failure::Address { .. } | http::Failure::Redirect { .. }),
            _,
        ) => diagnosis(reason::SECRET_INCOMPLETE, is_user, secret),
        (Failure::Http(http::Failure::Unreachable { cause, .. }), _) if cause.contains("certificate") => {
            diagnosis(reason::STORAGE_UNREACHABLE, false, trust)
        }
        (Failure::Http(_) | Failure::Unreadable { .. }, _) => diagnosis(reason::STORAGE_UNREACHABLE, false, network),
        (_, Some(code)) if code.is_unnamed() => diagnosis(reason::STORAGE_UNREACHABLE, false, network),
        _ => diagnosis(reason::VERIFICATION_FAILED, false, storage),
    }
}

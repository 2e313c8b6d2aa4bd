//! What the proxy of a mesh answers in the place of the server behind it.
//!
//! | seen | meaning |
//! |---|---|
//! | 502 or 503, marked or without a body | nothing listens behind the proxy: the server is starting |
//! | 403 without a body | the policy of the mesh refuses the client |
//! | the connection is accepted, and closed without an answer | the same, on a port whose protocol the mesh cannot read |
//!
//! Our own pods are only asked when they are ready by probes that no proxy answers, so a connection that is closed there is refused.

use std::{error::Error, io};

/// The header by which Linkerd marks its own answers.
pub(crate) const MARK: &str = "l5d-proxy-error";

/// The remedy for a refusal by policy.
pub(crate) const PERMIT: &str = "permit the controller's pods on that port, in Linkerd by an AuthorizationPolicy with a NetworkAuthentication of their addresses";

/// The message about a server, as the subject of a sentence, whose connections the policy of a mesh closes.
pub fn closed(server: &str) -> String {
    format!("{server} closed the connection without an answer, as a mesh's policy does; {PERMIT}")
}

/// Whether the failure of an opening session is a connection that the other end closed.
pub fn is_closed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            return matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
        }
        cause = error.source();
    }
    false
}

/// The answer of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing listens behind it.
    Starting,
    /// The policy refuses the client.
    Refused,
}

impl Answer {
    /// The answer with this status, with the proxy's mark or without, and whether it has a body.
    pub(crate) fn read(status: u16, is_marked: bool, is_empty: bool) -> Option<Self> {
        match status {
            502 | 503 if is_marked || is_empty => Some(Self::Starting),
            403 if is_empty => Some(Self::Refused),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_proxies_are_told_from_those_of_servers() {
        for (status, is_marked, is_empty, answer) in [
            (502, false, true, Some(Answer::Starting)),
            (502, true, false, Some(Answer::Starting)),
            (503, true, true, Some(Answer::Starting)),
            (403, false, true, Some(Answer::Refused)),
            (502, false, false, None),
            (503, false, false, None),
            (504, true, true, None),
            (403, false, false, None),
            (500, false, true, None),
        ] {
            assert_eq!(Answer::read(status, is_marked, is_empty), answer, "{status} {is_marked} {is_empty}");
        }
    }

    #[test]
    fn closed_connection_is_found_among_the_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("opening failed")]
        struct Opening(#[source] io::Error);
        assert!(is_closed(&Opening(io::ErrorKind::ConnectionReset.into())));
        assert!(is_closed(&io::Error::from(io::ErrorKind::UnexpectedEof)));
        assert!(!is_closed(&Opening(io::ErrorKind::ConnectionRefused.into())));
    }
}

//! Verification: uses the broker as an application does, with the login, virtual host and address of the binding.

use temporal_stack_common::{component::Verdict, login::Access};

use crate::amqp::{ECHO, Failure, Session};

use crate::reason;

/// The access to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The application's access.
    pub(crate) access: Access,
    /// Whether the broker runs elsewhere, so that only the user can correct a refusal.
    pub(crate) is_external: bool,
    /// Whether nothing may be published.
    pub(crate) is_inspection: bool,
}

/// Publishes a message and consumes it; an inspection only connects.
pub(crate) async fn verify(Probe { access, is_external, is_inspection }: &Probe) -> Verdict {
    let (username, virtual_host) = (&access.username, &access.scope);
    match echo(access, !is_inspection).await {
        Ok(()) if *is_inspection => Verdict::Verified(format!("accepts connections as {username} on {virtual_host}")),
        Ok(()) => Verdict::Verified(format!("a message published as {username} on {virtual_host} was consumed")),
        Err(failure) => verdict_of(&failure, *is_external),
    }
}

async fn echo(access: &Access, publishes: bool) -> Result<(), Failure> {
    let session = Session::open(access, ECHO).await?;
    if publishes { session.echo().await } else { Ok(()) }
}

/// On our own broker the next pass corrects what is missing; on an external one only the user can.
pub(crate) fn verdict_of(failure: &Failure, is_external: bool) -> Verdict {
    if !is_external {
        let is_mesh = matches!(failure, Failure::Closed { .. });
        let reason = if is_mesh { reason::REFUSED_BY_MESH } else { reason::VERIFICATION_FAILED };
        return Verdict::Failed { reason, message: format!("{failure}; retried with backoff") };
    }
    let (reason, remedy) = match failure {
        Failure::LoginRefused { .. } => {
            (reason::LOGIN_REFUSED, "correct username and password in the Secret that spec.provider.external names")
        }
        Failure::NoVirtualHost { .. } => (
            reason::VIRTUAL_HOST_REFUSED,
            "create the virtual host and permit the login to use it, or correct the Secret",
        ),
        Failure::Unreachable { .. } | Failure::Closed { .. } | Failure::Slow { .. } => (
            reason::BROKER_UNREACHABLE,
            "correct the address in the Secret, or check the broker and the network between it and the controller",
        ),
        Failure::Broker { .. } | Failure::Lost { .. } | Failure::TooLarge { .. } => {
            (reason::VERIFICATION_FAILED, "check the broker")
        }
    };
    let message = format!("{failure}; {remedy}");
    match reason {
        reason::LOGIN_REFUSED | reason::VIRTUAL_HOST_REFUSED => Verdict::Stalled { reason, message },
        _ => Verdict::Failed { reason, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_stalls_only_where_the_user_must_correct_it() {
        let address = || "mq:5672".to_owned();
        let refused = Failure::LoginRefused { address: address(), username: "app".to_owned() };
        let missing =
            Failure::NoVirtualHost { address: address(), username: "app".to_owned(), virtual_host: "v".to_owned() };
        for (failure, reason) in [(refused, reason::LOGIN_REFUSED), (missing, reason::VIRTUAL_HOST_REFUSED)] {
            assert!(matches!(verdict_of(&failure, true), Verdict::Stalled { reason: got, .. } if got == reason));
            assert!(matches!(verdict_of(&failure, false), Verdict::Failed { .. }));
        }
        let unreachable = Failure::Unreachable { address: address(), cause: "no route".to_owned() };
        assert!(matches!(verdict_of(&unreachable, true), Verdict::Failed { reason: reason::BROKER_UNREACHABLE, .. }));
    }
}

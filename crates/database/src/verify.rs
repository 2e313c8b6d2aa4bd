//! Using the database as an application does: the binding's login and database, at the address of the binding's Service.

use temporal_stack_common::{component::Verdict, login::Access};

use crate::postgres::{self, Failure};

use crate::reason;

/// The access to verify. The query writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The application's access.
    pub(crate) access: Access,
    /// Whether the server runs elsewhere, so that only the user can correct a refusal.
    pub(crate) is_external: bool,
}

/// Runs a query.
pub(crate) async fn verify(Probe { access, is_external }: &Probe) -> Verdict {
    match query(access).await {
        Ok(()) => Verdict::Verified(format!("ran a query as {} on database {}", access.username, access.scope)),
        Err(failure) => verdict_of(&failure, *is_external),
    }
}

async fn query(access: &Access) -> Result<(), Failure> {
    postgres::connect(access).await?.select_one().await
}

/// On our own server the next pass corrects what is missing; on an external one only the user can.
fn verdict_of(failure: &Failure, is_external: bool) -> Verdict {
    let (reason, remedy) = match failure {
        Failure::LoginRefused { .. } => {
            (reason::LOGIN_REFUSED, "correct username and password in the Secret that spec.provider.external names")
        }
        Failure::NoDatabase { .. } => {
            (reason::DATABASE_MISSING, "create the database, or correct the key database of the Secret")
        }
        Failure::Closed { .. } if !is_external => (reason::REFUSED_BY_MESH, ""),
        _ => (reason::VERIFICATION_FAILED, "check the server, and the network between it and the controller"),
    };
    match reason {
        reason::REFUSED_BY_MESH => Verdict::Failed { reason, message: format!("{failure}; retried with backoff") },
        _ if !is_external => Verdict::Failed { reason, message: format!("{failure}; retried with backoff") },
        reason::VERIFICATION_FAILED => Verdict::Failed { reason, message: format!("{failure}; {remedy}") },
        _ => Verdict::Stalled { reason, message: format!("{failure}; {remedy}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_stalls_only_where_the_user_must_correct_it() {
        let refused = || Failure::LoginRefused { address: "db:5432".to_owned(), username: "app".to_owned() };
        let missing = || Failure::NoDatabase { address: "db:5432".to_owned(), database: "app".to_owned() };
        for (failure, reason) in [(refused(), reason::LOGIN_REFUSED), (missing(), reason::DATABASE_MISSING)] {
            assert!(matches!(verdict_of(&failure, true), Verdict::Stalled { reason: got, .. } if got == reason));
            assert!(matches!(verdict_of(&failure, false), Verdict::Failed { reason: got, .. } if got == reason));
        }
        let unreachable = Failure::Unreachable { address: "db:5432".to_owned(), cause: "no route".to_owned() };
        assert!(matches!(verdict_of(&unreachable, true), Verdict::Failed { reason: reason::VERIFICATION_FAILED, .. }));
    }
}

//! The administrators in the spec: created by the program if they do not exist, and given their rights once.

use temporal_stack_common::{
    api::TemporalSpec,
    component::{Stalled, Waiting},
};

use crate::{
    access,
    names::Names,
    observed::{Observed, Run, Tables},
    reason,
};

/// An administrator in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin<'a> {
    /// The Secret that describes the account.
    pub(crate) secret: &'a str,
    /// The Job that creates the account.
    pub(crate) job: String,
    /// Its state.
    pub(crate) account: Account,
}

/// The state of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// Its Secret does not describe an account.
    Invalid(Stalled),
    /// The database has not been read.
    Unknown,
    /// It does not exist.
    Missing {
        /// Why its Job cannot create it.
        trouble: Option<String>,
    },
    /// Its Job has created it, or is about to end; it is not an administrator yet.
    Created {
        username: String,
        /// Whether the Job has succeeded: before that it is not complete.
        is_complete: bool,
    },
    /// It has no rights, and the controller must not grant them: the account existed before, or its rights were revoked.
    Foreign { username: String },
    /// It is an administrator.
    Ready,
}

impl Admin<'_> {
    /// Whether its Job must exist. It stays until its account is an administrator: it proves that the controller created the
    /// account.
    pub(crate) fn needs_job(&self) -> bool {
        matches!(self.account, Account::Missing { .. } | Account::Created { .. })
    }

    /// What is still awaited.
    pub(super) fn find_waiting(&self) -> Option<Waiting> {
        let message = match &self.account {
            Account::Missing { trouble } => {
                let trouble = trouble.as_deref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
                format!("account of Secret/{} is being created{trouble}", self.secret)
            }
            Account::Created { username, .. } => format!("account {username} is being made an administrator"),
            _ => return None,
        };
        Some(Waiting::new(reason::ADMIN_MISSING, message))
    }
}

/// Judges each administrator of the spec.
pub(super) fn judge_all<'a>(names: &Names, spec: &'a TemporalSpec, observed: &Observed) -> Vec<Admin<'a>> {
    let tables = observed.tables.as_ref().and_then(|tables| tables.as_ref().ok());
    let admin = |secret: &'a String| {
        let job = names.account(secret);
        let username = access::read_admin(secret, observed.named.get(secret).and_then(Option::as_ref));
        let account = match username {
            Ok(username) => classify(username, tables, observed.jobs.get(&job)),
            Err(stalled) => Account::Invalid(stalled),
        };
        Admin { secret, job, account }
    };
    spec.admins.iter().map(|wanted| admin(&wanted.secret_name)).collect()
}

fn classify(username: String, tables: Option<&Tables>, run: Option<&Run>) -> Account {
    let Some(Tables { accounts, admins, .. }) = tables else { return Account::Unknown };
    match run {
        _ if !accounts.contains(&username) => Account::Missing { trouble: run.and_then(|run| run.trouble.clone()) },
        _ if admins.contains(&username) => Account::Ready,
        Some(run) => Account::Created { username, is_complete: run.is_done },
        None => Account::Foreign { username },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of the account `admin`.
    fn account(exists: bool, is_admin: bool, run: Option<bool>) -> Account {
        let named = |is_in: bool| is_in.then(|| "admin".to_owned()).into_iter().collect();
        let tables = Tables { accounts: named(exists), admins: named(is_admin), ..Tables::default() };
        let run = run.map(|is_done| Run { is_done, trouble: None });
        classify("admin".to_owned(), Some(&tables), run.as_ref())
    }

    #[test]
    fn account_that_its_job_created_is_granted_rights_once() {
        assert!(matches!(account(false, false, None), Account::Missing { .. }));
        // It is not complete before its run has succeeded.
        assert!(matches!(account(true, false, Some(false)), Account::Created { is_complete: false, .. }));
        assert!(matches!(account(true, false, Some(true)), Account::Created { is_complete: true, .. }));
        assert_eq!(account(true, true, Some(true)), Account::Ready);
    }

    #[test]
    fn account_without_a_job_is_left_alone() {
        // Somebody has registered under the name, or the right was taken away.
        assert!(matches!(account(true, false, None), Account::Foreign { .. }));
        assert_eq!(account(true, true, None), Account::Ready);
    }
}

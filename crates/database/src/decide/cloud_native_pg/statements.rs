//! The conditions of a database that CloudNativePG runs.

use std::time::Duration;

use k8s_openapi::jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use temporal_stack_common::{api::DataDurability, condition::Statement, failure::printable, world::Admission};

use super::{View, phase, silent};
use crate::{
    cloud_native_pg::ClusterStatus,
    names::{OPERATOR, PROVIDER},
    reason,
};

/// Whether CloudNativePG runs the cluster as it was asked to.
const DELEGATED: &str = "Delegated";
/// Whether a server may fail without an outage.
const FAILOVER_READY: &str = "FailoverReady";
/// Whether the certificates of the servers are valid.
const CERTIFICATES_VALID: &str = "CertificatesValid";
/// Whether the write-ahead log is archived; the name is CloudNativePG's, too.
const CONTINUOUS_ARCHIVING: &str = "ContinuousArchiving";
/// How long before its end a certificate is reported: CloudNativePG renews it seven days before.
const EXPIRING: Duration = Duration::from_secs(3 * 24 * 3600);

impl View<'_> {
    /// The conditions.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let mut statements = vec![self.delegated(), self.failover()];
        if let Some(status) = self.status() {
            statements.extend(self.certificates(status));
            statements.extend(self.archiving(status));
        }
        statements
    }

    fn delegated(&self) -> Statement {
        let name = &self.names.base;
        let Some(status) = self.status() else {
            let message = format!("Cluster/{name} unknown: CloudNativePG has not reported anything about it");
            return Statement::unknown(DELEGATED, reason::CLUSTER_PENDING, message);
        };
        if has_rivals(&self.observed.operators) {
            let message = format!(
                "Cluster/{name} contested: two operators of CloudNativePG write its status in turn; remove one of them, or limit each to other namespaces: {}",
                OPERATOR.pods
            );
            return Statement::fails(DELEGATED, reason::OPERATOR_CONFLICT, message);
        }
        if let Admission::Silent(words) = &self.observed.admission {
            return Statement::unknown(DELEGATED, reason::OPERATOR_NOT_READY, silent(words));
        }
        if self.is_hibernated() {
            let message = format!("Cluster/{name} hibernated: CloudNativePG runs no server");
            return Statement::fails(DELEGATED, reason::HIBERNATED, message);
        }
        match phase::trouble(name, status) {
            Some((reason, message)) => Statement::fails(DELEGATED, reason, message),
            None => Statement::holds(DELEGATED, reason::AS_EXPECTED, "CloudNativePG reports a healthy cluster"),
        }
    }

    fn failover(&self) -> Statement {
        let Some(status) = self.status() else {
            let message = "failover unknown: CloudNativePG has not reported any server";
            return Statement::unknown(FAILOVER_READY, reason::CLUSTER_PENDING, message);
        };
        if let Admission::Silent(words) = &self.observed.admission {
            return Statement::unknown(FAILOVER_READY, reason::OPERATOR_NOT_READY, silent(words));
        }
        let (ready, instances) = (status.ready_instances, self.provider.instances);
        if instances == 1 {
            let message = format!(
                "no failover: there is one server, whose failure is an outage; set spec.provider.{PROVIDER}.instances to 3"
            );
            return Statement::fails(FAILOVER_READY, reason::SINGLE_INSTANCE, message);
        }
        let spare = self.spare(ready);
        if ready < instances || !status.has_primary() {
            let message =
                format!("{ready} of {instances} servers ready: {spare}; check the pods of Cluster/{}", self.names.base);
            return Statement::fails(FAILOVER_READY, reason::UNDER_REPLICATED, message);
        }
        let place = if status.topology.nodes_used == 1 { ", all on one machine" } else { "" };
        Statement::holds(FAILOVER_READY, reason::AS_EXPECTED, format!("all {instances} servers ready{place}: {spare}"))
    }

    /// How many servers may fail.
    fn spare(&self, ready: i32) -> String {
        let spare = (ready - 1).max(0);
        let synchronous = self.provider.synchronous;
        match synchronous.filter(|synchronous| synchronous.data_durability == DataDurability::Required) {
            Some(synchronous) => {
                let (safe, writable) = (spare.min(synchronous.number), (spare - synchronous.number).max(0));
                format!("{safe} may fail without loss of data, {writable} without a stop of writes")
            }
            None => format!("{spare} may fail, with loss of the newest transactions"),
        }
    }

    fn certificates(&self, status: &ClusterStatus) -> Option<Statement> {
        let ends = status.certificates.expirations.iter().filter_map(|(secret, text)| Some((end(text)?, secret)));
        let (end, secret) = ends.min()?;
        let now = self.observed.now;
        let remedy =
            "check the log of CloudNativePG's operator, which renews its own certificates; renew yours yourself";
        Some(if end <= now {
            let message = format!("certificate in Secret/{secret} expired: {remedy}");
            Statement::fails(CERTIFICATES_VALID, reason::CERTIFICATE_EXPIRED, message)
        } else if end.duration_since(now).unsigned_abs() < EXPIRING {
            let message =
                format!("certificate in Secret/{secret} expires within 3 days, and was not renewed: {remedy}");
            Statement::fails(CERTIFICATES_VALID, reason::CERTIFICATE_EXPIRING, message)
        } else {
            Statement::holds(CERTIFICATES_VALID, reason::AS_EXPECTED, "the certificates of the servers are valid")
        })
    }

    /// CloudNativePG's own condition, passed on.
    fn archiving(&self, status: &ClusterStatus) -> Option<Statement> {
        let condition = status.condition(CONTINUOUS_ARCHIVING)?;
        let words = printable(&condition.message);
        Some(match condition.status.as_str() {
            "True" => Statement::holds(CONTINUOUS_ARCHIVING, reason::AS_EXPECTED, "the write-ahead log is archived"),
            "False" => {
                let message = format!(
                    "write-ahead log not archived: {words}; correct the backup settings of Cluster/{}",
                    self.names.base
                );
                Statement::fails(CONTINUOUS_ARCHIVING, reason::ARCHIVING_FAILED, message)
            }
            _ => {
                Statement::unknown(CONTINUOUS_ARCHIVING, reason::CLUSTER_PENDING, format!("archiving unknown: {words}"))
            }
        })
    }
}

/// Whether an operator has come back after another one: an update changes it once.
fn has_rivals(operators: &[String]) -> bool {
    operators.windows(3).any(|three| three[0] == three[2])
}

/// The end of a certificate, as Go writes a time: `2026-12-24 18:00:00 +0000 UTC`.
fn end(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.get(..19)?).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_that_comes_back_has_a_rival() {
        let operators = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(!has_rivals(&operators(&["a"])) && !has_rivals(&operators(&["a", "b"])));
        assert!(!has_rivals(&operators(&["a", "b", "c"])));
        assert!(has_rivals(&operators(&["x", "a", "b", "a"])));
    }

    #[test]
    fn times_of_go_are_read() {
        assert_eq!(end("1970-01-02 00:00:00 +0000 UTC"), Timestamp::from_second(86_400).ok());
        for text in ["", "tomorrow", "2026-13-01 00:00:00 +0000 UTC"] {
            assert_eq!(end(text), None, "{text}");
        }
    }
}

//! The conditions that are passed on.

use super::*;

#[test]
fn two_operators_are_reported() {
    let operators = ["a", "b", "a"].map(str::to_owned).to_vec();
    assert_condition(Found { operators, ..found(&json!({})) }, "Delegated", &["OperatorConflict", "two operators"]);
}

#[test]
fn failover_depends_on_the_servers() {
    assert_condition(found(&json!({})), "FailoverReady", &["holds: true", "AsExpected", "2 may fail"]);
    let change = json!({"status": {"readyInstances": 2}});
    assert_condition(found(&change), "FailoverReady", &["holds: false", "UnderReplicated", "2 of 3", "1 may fail"]);
    let single = object(&json!({"provider": {"cloudNativePg": {"instances": 1}}}));
    let alone = condition(&single, found(&json!({})), "FailoverReady").unwrap();
    assert!(alone.contains("SingleInstance") && alone.contains("instances to 3"), "{alone}");
    let synchronous = object(&json!({"provider": {"cloudNativePg": {"synchronous": {"number": 1}}}}));
    let safe = condition(&synchronous, found(&json!({})), "FailoverReady").unwrap();
    assert!(safe.contains("1 may fail without loss of data, 1 without a stop of writes"), "{safe}");
    let together = found(&json!({"status": {"topology": {"nodesUsed": 1}}}));
    assert_condition(together, "FailoverReady", &["holds: true", "ready, all on one machine: 2 may fail"]);
}

#[test]
fn first_certificate_to_expire_is_reported() {
    let found = |day: &str| {
        let ends =
            json!({"c-ca": "1970-03-01 00:00:00 +0000 UTC", "c-server": format!("1970-01-{day} 00:00:00 +0000 UTC")});
        found(&json!({"status": {"certificates": {"expirations": ends}}}))
    };
    assert_condition(found("20"), "CertificatesValid", &["holds: true", "AsExpected"]);
    assert_condition(found("03"), "CertificatesValid", &["holds: false", "CertificateExpiring", "Secret/c-server"]);
    assert_condition(found("01"), "CertificatesValid", &["holds: false", "CertificateExpired"]);
    assert_eq!(condition(&object(&spec()), self::found(&json!({})), "CertificatesValid"), None);
}

#[test]
fn archiving_is_passed_on() {
    let found = |status: &str| {
        let condition = json!({"type": "ContinuousArchiving", "status": status, "message": "no bucket"});
        found(&json!({"status": {"conditions": [condition]}}))
    };
    assert_condition(found("True"), "ContinuousArchiving", &["holds: true"]);
    assert_condition(found("False"), "ContinuousArchiving", &["holds: false", "ArchivingFailed", "no bucket"]);
    assert_condition(found("Unknown"), "ContinuousArchiving", &["is_known: false"]);
}

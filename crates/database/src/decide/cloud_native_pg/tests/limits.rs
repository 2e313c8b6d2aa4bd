//! What CloudNativePG does not change in a cluster.

use super::*;

#[test]
fn smaller_volume_stalls() {
    let change = json!({"spec": {"storage": {"size": "20Gi"}}});
    let stalled = stalls(&object(&spec()), &delegated(Some(cluster(&change)), &[], None));
    assert_eq!(stalled.reason, reason::INVALID_SPEC);
    assert!(stalled.message.contains("storage.size is 10Gi, below 20Gi"), "{stalled:?}");
}

#[test]
fn adopted_cluster_that_cannot_become_as_the_spec_stalls() {
    let adopting = |provider: Value, live: Value| {
        let object = object(&json!({"provider": {"cloudNativePg": provider}}));
        decide(&object, &delegated(Some(cluster(&json!({ "spec": live }))), &[], None), &defaults()).intent.err()
    };
    let user = adopting(json!({}), json!({"postgresUID": 999})).unwrap();
    assert_eq!(user.reason, reason::INVALID_SPEC);
    assert!(user.message.contains("runAsUser is 26, and") && user.message.contains("set it to 999"), "{user:?}");
    let wal = adopting(json!({}), json!({"walStorage": {"size": "2Gi"}})).unwrap();
    assert!(wal.message.contains("walStorage missing") && wal.message.contains("to 2Gi or more"), "{wal:?}");
    let same = json!({"runAsUser": 999, "walStorage": {"size": "2Gi"}});
    assert_eq!(adopting(same, json!({"postgresUID": 999, "walStorage": {"size": "2Gi"}})), None);
    assert_eq!(adopting(json!({"walStorage": {"size": "2Gi"}}), json!({"postgresUID": 26})), None);
}

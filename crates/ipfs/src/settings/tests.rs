use serde_json::json;

use super::*;

fn object(spec: &serde_json::Value) -> IpfsCluster {
    crate::fixture::object(spec)
}

/// The settings, and the condition as text.
fn read(spec: &serde_json::Value, config: &[(&str, &str)]) -> (Settings, String) {
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let (settings, remarks) = Settings::read(&object(spec), "ConfigMap/ipfs-cluster-config", Some(&config));
    (settings, format!("{:?}", remarks.statement("as written")))
}

/// The example that is published with the stack, key by key.
const EXAMPLE: &[(&str, &str)] = &[
    ("CLUSTER_PEERNAME", "cluster"),
    ("CLUSTER_SECRET", ""),
    ("CLUSTER_LEAVEONSHUTDOWN", "false"),
    ("CLUSTER_LISTENMULTIADDRESS", "/ip4/0.0.0.0/tcp/9096"),
    ("CLUSTER_REPLICATIONFACTORMAX", "-1"),
    ("API_IPFSPROXY_LISTENMULTIADDRESS", "/ip4/127.0.0.1/tcp/9095"),
    ("API_IPFSPROXY_NODEMULTIADDRESS", "/ip4/127.0.0.1/tcp/5001"),
    ("API_RESTAPI_HTTPLISTENMULTIADDRESS", "/ip4/127.0.0.1/tcp/9094"),
    ("IPFSCONNECTOR_IPFSHTTP_NODEMULTIADDRESS", "/ip4/127.0.0.1/tcp/5001"),
    ("IPFS_API_CONNECTION_HOST", "127.0.0.1"),
    ("IPFS_API_CONNECTION_PORT", "5001"),
    ("IPFS_KEYSTORE_PATH", "/tmp"),
    ("IPFS_CLUSTER_API_CONNECTION_HOST", "127.0.0.1"),
    ("IPFS_CLUSTER_API_CONNECTION_PORT", "9094"),
];

#[test]
fn every_key_of_the_example_has_its_ruling() {
    let (settings, text) = read(&json!({"replicas": 3}), EXAMPLE);
    assert_eq!(settings.peer_name.as_deref(), Some("cluster"));
    assert_eq!(settings.secret, None);
    assert_eq!(settings.replication, EVERYWHERE);
    let passed: Vec<_> = settings.variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(passed, [("CLUSTER_LEAVEONSHUTDOWN", "false")]);
    assert!(text.contains("Adapted"), "{text}");
    for part in [
        "CLUSTER_SECRET is empty",
        "API_RESTAPI_HTTPLISTENMULTIADDRESS is read as CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS",
        "API_RESTAPI_HTTPLISTENMULTIADDRESS is set to /ip4/0.0.0.0/tcp/9094, because clients must reach it",
        "API_IPFSPROXY_LISTENMULTIADDRESS is read as CLUSTER_IPFSPROXY_LISTENMULTIADDRESS",
        "API_IPFSPROXY_NODEMULTIADDRESS is read as CLUSTER_IPFSPROXY_NODEMULTIADDRESS",
        "IPFSCONNECTOR_IPFSHTTP_NODEMULTIADDRESS is read as CLUSTER_IPFSHTTP_NODEMULTIADDRESS",
        "IPFS_API_CONNECTION_HOST belongs to temporal-config",
        "IPFS_KEYSTORE_PATH belongs to temporal-config",
        "IPFS_CLUSTER_API_CONNECTION_PORT belongs to temporal-config",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    for silent in
        ["CLUSTER_LISTENMULTIADDRESS is", "CLUSTER_LEAVEONSHUTDOWN is", "CLUSTER_IPFSPROXY_LISTENMULTIADDRESS is /"]
    {
        assert!(!text.contains(silent), "{silent} is in: {text}");
    }
}

#[test]
fn commented_out_keys_of_the_example_are_translated() {
    let written = [
        ("OBSERVATIONS_METRICS_ENABLESTATS", "true"),
        ("OBSERVATIONS_METRICS_PROMETHEUSENDPOINT", "/ip4/0.0.0.0/tcp/8888"),
    ];
    let (settings, text) = read(&json!({}), &written);
    assert_eq!(settings.variables["CLUSTER_METRICS_ENABLESTATS"], "true");
    assert_eq!(settings.variables["CLUSTER_METRICS_PROMETHEUSENDPOINT"], "/ip4/0.0.0.0/tcp/8888");
    assert!(text.contains("Adapted"));
}

#[test]
fn impossible_factors_are_refused_as_a_pair() {
    for (min, max) in [("1", "-1"), ("3", "2"), ("-1", "2"), ("0", "0")] {
        let written = [("CLUSTER_REPLICATIONFACTORMIN", min), ("CLUSTER_REPLICATIONFACTORMAX", max)];
        let (settings, text) = read(&json!({"replicas": 3}), &written);
        assert_eq!(settings.replication, EVERYWHERE, "{min} {max}");
        assert!(text.contains("Refused"), "{min} {max}");
    }
    let written = [("CLUSTER_REPLICATIONFACTORMIN", "2"), ("CLUSTER_REPLICATIONFACTORMAX", "3")];
    let (settings, text) = read(&json!({"replicas": 3}), &written);
    assert_eq!(settings.replication, Replication { min: 2, max: 3 });
    assert!(text.contains("AsWritten"));
}

#[test]
fn spec_beats_the_config_map() {
    let spec = json!({
        "replicas": 3,
        "replication": {"min": 2, "max": 2},
        "provider": {"kubo": {"clusterConfig": {"CLUSTER_IPFSHTTP_PINTIMEOUT": "5s"}}},
    });
    let written = [("CLUSTER_IPFSHTTP_PINTIMEOUT", "1m"), ("CLUSTER_REPLICATIONFACTORMAX", "-1")];
    let (settings, _) = read(&spec, &written);
    assert_eq!(settings.variables["CLUSTER_IPFSHTTP_PINTIMEOUT"], "5s");
    assert_eq!(settings.replication, Replication { min: 2, max: 2 });
}

#[test]
fn values_that_wipe_or_open_the_cluster_are_refused() {
    for (key, value) in [
        ("CLUSTER_LEAVEONSHUTDOWN", "true"),
        ("CLUSTER_SECRET", "not hexadecimal"),
        ("CLUSTER_FOLLOWERMODE", "true"),
        ("CLUSTER_RESTAPI_BASICAUTHCREDENTIALS", "user:password"),
        ("CLUSTER_STATESYNCINTERVAL", "soon"),
    ] {
        let (settings, text) = read(&json!({}), &[(key, value)]);
        assert!(text.contains("Refused"), "{key}");
        assert!(!text.contains("password\""), "{key}");
        assert_eq!(settings.variables.get(key), None, "{key}");
    }
}

#[test]
fn unknown_key_is_named_with_the_nearest() {
    let (_, text) = read(&json!({}), &[("CLUSTER_REPLICATION_FACTOR_MAX", "2")]);
    assert!(text.contains("did you mean CLUSTER_REPLICATIONFACTORMAX?"), "{text}");
}

use serde_json::json;
use temporal_stack_common::condition::{CONFIG_HONOURED, Statement};

use super::*;
use crate::{
    access::Dependencies,
    fixture::{self, settings},
    observed::References,
    reason,
};

fn honoured(variables: &[(&str, &str)]) -> Statement {
    settings(variables).condition()
}

/// The seed's ConfigMap, word for word.
fn seed() -> BTreeMap<String, String> {
    let text = include_str!("../../../../deploy/stack/configuration/temporal-config.yaml");
    let data = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("  ")?.split_once(": ")?;
        (!name.starts_with(['#', ' ']) && name == name.to_uppercase())
            .then(|| (name.to_owned(), value.trim().trim_matches('"').to_owned()))
    });
    data.collect()
}

#[test]
fn each_key_of_the_example_has_its_ruling() {
    let seed = seed();
    assert_eq!(seed.len(), 14, "{seed:?}");
    let read = || Settings::read(&fixture::referring().spec, Some(&seed), &DefaultSource::Ours);
    let managed = [
        (key::DATABASE_URL, "temporal-postgresdatabase.default.svc"),
        (key::DATABASE_PORT, "5432"),
        (key::DATABASE_USERNAME, "postgres"),
        (key::DATABASE_PASSWORD, "password123"),
        (key::RABBITMQ_URL, "amqp://temporal_a:x@temporal-messagequeue.default.svc:5672/temporal"),
        (key::IPFS_HOST, "127.0.0.1"),
        (key::IPFS_PORT, "5001"),
        (key::CLUSTER_HOST, "127.0.0.1"),
        (key::CLUSTER_PORT, "9094"),
    ];
    let overridden =
        managed.into_iter().fold(read(), |settings, (key, value)| settings.overridden(key, Some(value), "the spec"));
    assert_eq!(overridden.certificate_paths(), Some(("/temporal/api.cert", "/temporal/api.key")));
    let remarks = [
        "IPFS_KEYSTORE_PATH is replaced by the key server's volume: elsewhere, keys would be lost on a restart",
        "DATABASE_URL is overridden by the spec",
        "RABBITMQ_URL is overridden by the spec",
    ];
    let message = format!("ConfigMap/temporal-config: {}", remarks.join("; "));
    assert_eq!(overridden.condition(), Statement::holds(CONFIG_HONOURED, reason::ADAPTED, message).lasting());
    // Without references they are the user's, and cannot work.
    let spec = fixture::object(&json!({})).spec;
    let dependencies = Dependencies::new(&spec, "default", &read(), &References::default());
    for lack in [dependencies.database.lack, dependencies.queue.lack, dependencies.ipfs.lack] {
        assert!(lack.unwrap_err().message.contains("ConfigMap/temporal-config: "));
    }
}

#[test]
fn programs_own_spelling_wins() {
    let both = settings(&[("IPFS_API_CONNECTION_HOST", "b"), ("IPFS_APICONNECTION_HOST", "a")]);
    assert_eq!(both.get(key::IPFS_HOST), Some("a"));
    let other = settings(&[("IPFS_API_CONNECTION_HOST", "b")]);
    assert_eq!(other.get(key::IPFS_HOST), Some("b"));
    let empty = settings(&[("IPFS_API_CONNECTION_HOST", "b"), ("IPFS_APICONNECTION_HOST", "")]);
    assert_eq!(empty.get(key::IPFS_HOST), Some("b"));
    let small = settings(&[("logdir", "/logs/")]);
    assert_eq!(small.get(key::LOG_DIR), Some("/logs/"));
}

#[test]
fn ignored_key_is_named_with_the_nearest_valid_one() {
    let stated = format!("{:?}", honoured(&[("KRAB_URL", "x"), ("RABBITMQ_TLS_CONFIG_CA_CERT_FILE", "/x")]));
    assert!(stated.contains("RABBITMQ_TLS_CONFIG_CA_CERT_FILE is not a known key"), "{stated}");
    assert!(stated.contains("did you mean RABBITMQ_TLSCONFIG_CACERTFILE?"), "{stated}");
    assert!(stated.contains("KRAB_URL is not a known key and is ignored; did you mean SERVICES_KRAB_URL?"), "{stated}");
    let read = settings(&[("KRAB_URL", "x")]);
    assert!(read.variables.is_empty());
}

#[test]
fn value_that_cannot_work_is_refused() {
    for (name, value) in [
        ("CONFIG_DAG", "/temporal/config.json"),
        ("DATABASE_NAME", "other"),
        ("SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE", "fast"),
        ("API_CONNECTION_LIMIT", "0"),
        ("API_CONNECTION_CERTIFICATES_CERTPATH", "api.cert"),
        ("SERVICES_NEXUS_TLS_CERTPATH", "/x.pem"),
    ] {
        let read = settings(&[(name, value)]);
        let stated = format!("{:?}", read.condition());
        assert!(stated.contains("Refused") && stated.contains(name), "{stated}");
        assert!(read.variables.is_empty(), "{name}");
    }
}

#[test]
fn value_that_is_too_long_is_refused_alone() {
    let long = "x".repeat(1 << 20);
    let read = settings(&[("API_JWT_REALM", &long), ("LOGDIR", "/logs")]);
    assert_eq!(read.get(key::REALM), None);
    assert_eq!(read.get(key::LOG_DIR), Some("/logs/"));
    assert!(format!("{:?}", read.condition()).contains("Refused"));
}

#[test]
fn certificate_path_without_the_other_is_not_used() {
    let read = settings(&[("API_CONNECTION_CERTIFICATES_CERTPATH", "/a.cert")]);
    assert_eq!(read.certificate_paths(), None);
    assert!(format!("{:?}", read.condition()).contains("Adapted"));
}

#[test]
fn messages_name_the_config_map_of_the_spec() {
    let spec = fixture::object(&json!({"config": {"configMap": "mine"}})).spec;
    let settings = Settings::read(&spec, Some(&BTreeMap::new()), &DefaultSource::Ours);
    let expected = Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, "ConfigMap/mine is used as written").lasting();
    assert_eq!(settings.condition(), expected);
}

#[test]
fn paths_that_would_cover_each_other_are_refused() {
    let read = settings(&[
        ("LOGDIR", "/tmp/"),
        ("API_CONNECTION_CERTIFICATES_CERTPATH", "/a"),
        ("API_CONNECTION_CERTIFICATES_KEYPATH", "/a"),
    ]);
    assert_eq!((read.get(key::LOG_DIR), read.certificate_paths()), (None, None));
    let stated = format!("{:?}", read.condition());
    assert!(stated.contains("Refused") && stated.contains("LOGDIR") && stated.contains("KEYPATH"), "{stated}");
}

use serde_json::json;
use temporal_stack_common::{
    api::Temporal,
    condition::{CONFIG_HONOURED, Statement, reason},
};

use super::*;
use crate::{access, fixture};

fn honoured(variables: &[(&str, &str)]) -> Statement {
    fixture::settings(variables).statement()
}

/// The seed's ConfigMap, word for word.
fn seed() -> BTreeMap<String, String> {
    let text = include_str!("../../../../deploy/stack/seed/temporal-config.yaml");
    let data = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("  ")?.split_once(": ")?;
        (!name.starts_with(['#', ' ']) && name == name.to_uppercase())
            .then(|| (name.to_owned(), value.trim().trim_matches('"').to_owned()))
    });
    data.collect()
}

#[test]
fn each_key_of_the_seed_has_its_ruling() {
    let seed = seed();
    assert_eq!(seed.len(), 14, "{seed:?}");
    let settings = Settings::read(&fixture::whole(), Some(&seed));
    let mut settings_without_references = settings.clone();
    let decided = [
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
    let mut settings = settings;
    for (key, value) in decided {
        settings.decide(key, Some(value), "the spec");
    }
    assert_eq!(settings.certificate(), Some(("/temporal/api.cert", "/temporal/api.key")));
    let said = [
        "IPFS_KEYSTORE_PATH is replaced by the key server's volume: there, keys would be lost at a restart",
        "DATABASE_URL is decided by the spec",
        "RABBITMQ_URL is decided by the spec",
    ];
    let message = format!("ConfigMap/temporal-config: {}", said.join("; "));
    assert_eq!(settings.statement(), Statement::holds(CONFIG_HONOURED, reason::ADAPTED, message));
    // Without references they are the user's, and cannot work.
    for wrong in [
        access::users_database(&settings_without_references).map(drop),
        access::users_broker(&settings_without_references).map(drop),
        access::users_ipfs(&settings_without_references).map(drop),
    ] {
        assert!(format!("{wrong:?}").contains("ConfigMap/temporal-config: "), "{wrong:?}");
    }
    settings_without_references.decide(key::DATABASE_URL, Some("0.0.0.0.0"), "x");
}

#[test]
fn both_spellings_count_and_the_one_that_the_program_prefers_wins() {
    let both = fixture::settings(&[("IPFS_API_CONNECTION_HOST", "b"), ("IPFS_APICONNECTION_HOST", "a")]);
    assert_eq!(both.get(key::IPFS_HOST), Some("a"));
    let other = fixture::settings(&[("IPFS_API_CONNECTION_HOST", "b")]);
    assert_eq!(other.get(key::IPFS_HOST), Some("b"));
    let empty = fixture::settings(&[("IPFS_API_CONNECTION_HOST", "b"), ("IPFS_APICONNECTION_HOST", "")]);
    assert_eq!(empty.get(key::IPFS_HOST), Some("b"));
    let small = fixture::settings(&[("logdir", "/logs/")]);
    assert_eq!(small.get(key::LOG_DIR), Some("/logs/"));
}

#[test]
fn what_temporal_would_ignore_is_named_with_the_nearest_name() {
    let said = format!("{:?}", honoured(&[("KRAB_URL", "x"), ("RABBITMQ_TLS_CONFIG_CA_CERT_FILE", "/x")]));
    assert!(said.contains("RABBITMQ_TLS_CONFIG_CA_CERT_FILE is not a key"), "{said}");
    assert!(said.contains("did you mean RABBITMQ_TLSCONFIG_CACERTFILE?"), "{said}");
    assert!(
        said.contains("KRAB_URL is not a key of this component and is not used; did you mean SERVICES_KRAB_URL?"),
        "{said}"
    );
    let settings = fixture::settings(&[("KRAB_URL", "x")]);
    assert!(settings.variables.is_empty());
}

#[test]
fn what_cannot_work_is_refused() {
    for (name, value, part) in [
        ("CONFIG_DAG", "/temporal/config.json", "reads no variable at all"),
        ("DATABASE_NAME", "other", "the name temporal built in"),
        ("SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE", "fast", "no whole number"),
        ("API_CONNECTION_LIMIT", "0", "no whole number above 0"),
        ("API_CONNECTION_CERTIFICATES_CERTPATH", "api.cert", "no absolute path"),
        ("SERVICES_NEXUS_TLS_CERTPATH", "/x.pem", "in no pod"),
    ] {
        let settings = fixture::settings(&[(name, value)]);
        let said = format!("{:?}", settings.statement());
        assert!(said.contains("Refused") && said.contains(part), "{said}");
        assert!(settings.variables.is_empty(), "{name}");
    }
}

#[test]
fn a_value_that_is_too_long_for_a_variable_is_refused_and_the_others_count() {
    let long = "x".repeat(1 << 20);
    let settings = fixture::settings(&[("API_JWT_REALM", &long), ("LOGDIR", "/logs")]);
    assert_eq!(settings.get(key::REALM), None);
    assert_eq!(settings.get(key::LOG_DIR), Some("/logs/"));
    assert!(format!("{:?}", settings.statement()).contains("64 KiB of text at the most"));
}

#[test]
fn a_path_without_the_other_makes_no_tls() {
    let settings = fixture::settings(&[("API_CONNECTION_CERTIFICATES_CERTPATH", "/a.cert")]);
    assert_eq!(settings.certificate(), None);
    assert!(format!("{:?}", settings.statement()).contains("the API speaks no TLS"));
}

#[test]
fn an_empty_config_map_says_nothing_and_another_name_is_used_for_messages() {
    let object: Temporal = fixture::object(&json!({"config": {"configMap": "mine"}}));
    let settings = Settings::read(&object, Some(&BTreeMap::new()));
    let expected = Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, "ConfigMap/mine was taken as it is written");
    assert_eq!(settings.statement(), expected);
}

#[test]
fn files_and_directories_in_each_others_place_are_refused() {
    let settings = fixture::settings(&[
        ("LOGDIR", "/tmp/"),
        ("API_CONNECTION_CERTIFICATES_CERTPATH", "/a"),
        ("API_CONNECTION_CERTIFICATES_KEYPATH", "/a"),
    ]);
    assert_eq!((settings.get(key::LOG_DIR), settings.certificate()), (None, None));
    let said = format!("{:?}", settings.statement());
    assert!(said.contains("name another") && said.contains("must be two files"), "{said}");
}

//! Every variable that Temporal reads, and the rule for the user's value.
//!
//! The names follow from the fields of Temporal's configuration by the rule of the library that reads them: the path of the
//! field in capitals, with an underscore at each dot, and either none or one at each boundary of words. Nothing in between.
//! (`RTradeLtd/config`, `vrischmann/envconfig` 1.2.0.)

use std::sync::LazyLock;

use temporal_stack_common::config::{Key, Ruling};

use crate::names::{API, DATABASE, KEYSTORE, RTNS};

/// A field of Temporal's configuration.
pub(super) struct Field {
    /// Its variable without underscores between the words of a name, which takes precedence.
    pub(super) name: &'static str,
    /// Its other variable; empty if there are no such words.
    pub(super) other: &'static str,
    rule: fn(&str) -> Ruling,
}

const fn field(name: &'static str, other: &'static str, rule: fn(&str) -> Ruling) -> Field {
    Field { name, other, rule }
}

/// The rules for values, by name.
pub(super) static TABLE: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let of_field = |field: &Field| {
        let both = [field.name, field.other].into_iter().filter(|name| !name.is_empty());
        both.map(|name| Key { name, rule: field.rule }).collect::<Vec<_>>()
    };
    FIELDS.iter().flat_map(of_field).chain(READ_ELSEWHERE.iter().copied()).collect()
});

/// Variables that the program reads besides its configuration.
const READ_ELSEWHERE: &[Key] = &[
    Key { name: "CONFIG_DAG", rule: config_dag },
    Key { name: "GIN_MODE", rule: honoured },
    Key { name: "CMC_API", rule: published },
    Key { name: "RECAPTCHA_KEY", rule: published },
    Key { name: "PGSSLMODE", rule: honoured },
];

fn honoured(_: &str) -> Ruling {
    Ruling::Honoured
}

fn published(_: &str) -> Ruling {
    Ruling::Remarked("is a credential in a ConfigMap, which anyone who may read ConfigMaps can see".to_owned())
}

fn unread(_: &str) -> Ruling {
    Ruling::Elsewhere("is not read by Temporal, and is not passed")
}

/// Not read, but the program does not start with a value that is not a number.
fn unread_number(_: &str) -> Ruling {
    unread("")
}

fn number(value: &str) -> Ruling {
    if value.parse::<i64>().is_ok() {
        return Ruling::Honoured;
    }
    Ruling::Refused("is not a whole number: Temporal would not start; correct it".to_owned())
}

fn count(value: &str) -> Ruling {
    if value.parse::<u32>().is_ok_and(|count| count > 0) {
        return Ruling::Honoured;
    }
    Ruling::Refused("is not a whole number above 0; the default is used until you correct it".to_owned())
}

fn config_dag(value: &str) -> Ruling {
    if value.is_empty() {
        return Ruling::Managed(None);
    }
    Ruling::Refused("names a file: Temporal would then ignore all variables, so it is not passed; remove it".to_owned())
}

fn certificate(value: &str) -> Ruling {
    if value.is_empty() || is_file(value) {
        return Ruling::Honoured;
    }
    Ruling::Refused("is not an absolute path of a file; correct it, or remove both for an API without TLS".to_owned())
}

/// Whether a file can be put there.
fn is_file(path: &str) -> bool {
    let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
    parts.all(|part| !part.is_empty() && part != "." && part != "..") && !path.contains(':')
}

fn listen_address(value: &str) -> Ruling {
    let all = ["", "0.0.0.0", "::"].contains(&value);
    Ruling::Managed(
        (!all).then(|| format!("is set by the controller: all addresses, port {API}, so that clients can reach it")),
    )
}

fn database_name(value: &str) -> Ruling {
    if value == DATABASE || value.is_empty() {
        return Ruling::Managed(None);
    }
    Ruling::Refused(format!("is not used: the name {DATABASE} is built into Temporal; set it to that, or remove it"))
}

fn keystore(value: &str) -> Ruling {
    let remark = "is replaced by the key server's volume: elsewhere, keys would be lost on a restart";
    Ruling::Managed((value != KEYSTORE).then(|| remark.to_owned()))
}

fn datastore(value: &str) -> Ruling {
    Ruling::Managed((value != RTNS).then(|| format!("is set by the controller: {RTNS}")))
}

fn krab_url(_: &str) -> Ruling {
    Ruling::Managed(Some("is set by the controller: the key server that it runs".to_owned()))
}

fn krab_key(_: &str) -> Ruling {
    Ruling::Managed(Some("is set by the controller: a generated key, kept with the key server's volume".to_owned()))
}

fn krab_tls(_: &str) -> Ruling {
    Ruling::Elsewhere("is not passed: the key server and its clients use no TLS, behind a NetworkPolicy")
}

/// A file of the user, which no pod has, and without which the API does not start.
fn file(_: &str) -> Ruling {
    Ruling::Refused("names a file that exists in no pod, and Temporal does not start without it; remove it".to_owned())
}

fn log_dir(value: &str) -> Ruling {
    if !is_file(value.trim_end_matches('/')) {
        return Ruling::Refused("is not an absolute path of a directory; correct it".to_owned());
    }
    if value.ends_with('/') {
        return Ruling::Honoured;
    }
    Ruling::Replaced(
        format!("{value}/"),
        "lacks a trailing /, without which Temporal takes it for a prefix of file names; a / is added".to_owned(),
    )
}

/// The fields, in the order of Temporal's source.
pub(super) const FIELDS: &[Field] = &[
    field("V3_API_VERIFYDOMAIN", "V3_API_VERIFY_DOMAIN", unread),
    field("V3_API_ADDRESS", "", unread),
    field("V3_API_JWT_KEY", "", unread),
    field("V3_API_JWT_REALM", "", unread),
    field("V3_API_JWT_TIMEOUT", "", unread_number),
    field("V3_API_TLS_CERTPATH", "V3_API_TLS_CERT_PATH", unread),
    field("V3_API_TLS_KEYPATH", "V3_API_TLS_KEY_PATH", unread),
    field("V3_GATEWAY_ADDRESS", "", unread),
    field("V3_GATEWAY_TARGETADDRESS", "V3_GATEWAY_TARGET_ADDRESS", unread),
    field("V3_GATEWAY_TLS_CERTPATH", "V3_GATEWAY_TLS_CERT_PATH", unread),
    field("V3_GATEWAY_TLS_KEYPATH", "V3_GATEWAY_TLS_KEY_PATH", unread),
    field("API_CONNECTION_CERTIFICATES_CERTPATH", "API_CONNECTION_CERTIFICATES_CERT_PATH", certificate),
    field("API_CONNECTION_CERTIFICATES_KEYPATH", "API_CONNECTION_CERTIFICATES_KEY_PATH", certificate),
    field("API_CONNECTION_LISTENADDRESS", "API_CONNECTION_LISTEN_ADDRESS", listen_address),
    field("API_CONNECTION_PROMETHEUS_IP", "", unread),
    field("API_CONNECTION_PROMETHEUS_PORT", "", unread),
    field("API_CONNECTION_CORS_ALLOWEDORIGINS", "API_CONNECTION_CORS_ALLOWED_ORIGINS", honoured),
    field("API_CONNECTION_LIMIT", "", count),
    field("API_JWT_KEY", "", published),
    field("API_JWT_REALM", "", honoured),
    field("API_SIZELIMITINGIGABYTES", "API_SIZE_LIMIT_IN_GIGA_BYTES", count),
    field("APIKEYS_CHAINRIDER", "API_KEYS_CHAIN_RIDER", honoured),
    field("APIKEYS_COINMARKETCAP", "API_KEYS_COIN_MARKET_CAP", honoured),
    field("APIKEYS_RECAPTCHA", "API_KEYS_RE_CAPTCHA", honoured),
    field("AWS_KEYID", "AWS_KEY_ID", unread),
    field("AWS_SECRET", "", unread),
    field("DATABASE_NAME", "", database_name),
    field("DATABASE_URL", "", honoured),
    field("DATABASE_PORT", "", honoured),
    field("DATABASE_USERNAME", "", honoured),
    field("DATABASE_PASSWORD", "", honoured),
    field("SERVICES_MONERORPC", "SERVICES_MONERO_RPC", unread),
    field("SERVICES_LENS_URL", "", honoured),
    field("SERVICES_LENS_TLS_CERTPATH", "SERVICES_LENS_TLS_CERT_PATH", file),
    field("SERVICES_LENS_TLS_KEYFILE", "SERVICES_LENS_TLS_KEY_FILE", file),
    field("SERVICES_LENS_AUTHKEY", "SERVICES_LENS_AUTH_KEY", published),
    field("SERVICES_LENS_OPTIONS_ENGINE_STOREPATH", "SERVICES_LENS_OPTIONS_ENGINE_STORE_PATH", honoured),
    field("SERVICES_LENS_OPTIONS_ENGINE_QUEUE_RATE", "", number),
    field("SERVICES_LENS_OPTIONS_ENGINE_QUEUE_BATCH", "", number),
    field("SERVICES_NEXUS_HOST", "", honoured),
    field("SERVICES_NEXUS_PORT", "", honoured),
    field("SERVICES_NEXUS_KEY", "", published),
    field("SERVICES_NEXUS_TLS_CERTPATH", "SERVICES_NEXUS_TLS_CERT_PATH", file),
    field("SERVICES_NEXUS_TLS_KEYPATH", "SERVICES_NEXUS_TLS_KEY_PATH", file),
    field("SERVICES_NEXUS_DELEGATOR_PORT", "", honoured),
    field("SERVICES_MONGODB_URL", "SERVICES_MONGO_DB_URL", unread),
    field("SERVICES_MONGODB_DB", "SERVICES_MONGO_DB_DB", unread),
    field("SERVICES_MONGODB_UPLOADCOLLECTION", "SERVICES_MONGO_DB_UPLOAD_COLLECTION", unread),
    field("SERVICES_RAVEN_URL", "", unread),
    field("SERVICES_RAVEN_USER", "", unread),
    field("SERVICES_RAVEN_PASS", "", unread),
    field("SERVICES_BCHGRPC_URL", "SERVICES_BCH_GRPC_URL", unread),
    field("SERVICES_BCHGRPC_CERTFILE", "SERVICES_BCH_GRPC_CERT_FILE", unread),
    field("SERVICES_BCHGRPC_KEYFILE", "SERVICES_BCH_GRPC_KEY_FILE", unread),
    field("SERVICES_BCHGRPC_WALLET_URL", "SERVICES_BCH_GRPC_WALLET_URL", honoured),
    field("SERVICES_BCHGRPC_WALLET_CERTFILE", "SERVICES_BCH_GRPC_WALLET_CERT_FILE", file),
    field("SERVICES_BCHGRPC_WALLET_KEYFILE", "SERVICES_BCH_GRPC_WALLET_KEY_FILE", file),
    field("SERVICES_KRAB_URL", "", krab_url),
    field("SERVICES_KRAB_TLS_CERTPATH", "SERVICES_KRAB_TLS_CERT_PATH", krab_tls),
    field("SERVICES_KRAB_TLS_KEYFILE", "SERVICES_KRAB_TLS_KEY_FILE", krab_tls),
    field("SERVICES_KRAB_AUTHKEY", "SERVICES_KRAB_AUTH_KEY", krab_key),
    field("SERVICES_KRAB_LOGFILE", "SERVICES_KRAB_LOG_FILE", unread),
    field("SERVICES_KRAB_KEYSTOREPASSWORD", "SERVICES_KRAB_KEYSTORE_PASSWORD", krab_key),
    field("SERVICES_KRABFALLBACK_URL", "SERVICES_KRAB_FALLBACK_URL", honoured),
    field("SERVICES_KRABFALLBACK_TLS_CERTPATH", "SERVICES_KRAB_FALLBACK_TLS_CERT_PATH", file),
    field("SERVICES_KRABFALLBACK_TLS_KEYFILE", "SERVICES_KRAB_FALLBACK_TLS_KEY_FILE", file),
    field("SERVICES_KRABFALLBACK_AUTHKEY", "SERVICES_KRAB_FALLBACK_AUTH_KEY", published),
    field("SERVICES_KRABFALLBACK_LOGFILE", "SERVICES_KRAB_FALLBACK_LOG_FILE", unread),
    field("SERVICES_KRABFALLBACK_KEYSTOREPASSWORD", "SERVICES_KRAB_FALLBACK_KEYSTORE_PASSWORD", unread),
    field("SERVICES_RTNS_MULTIADDRESSES", "SERVICES_RTNS_MULTI_ADDRESSES", unread),
    field("SERVICES_RTNS_KEYNAME", "SERVICES_RTNS_KEY_NAME", honoured),
    field("SERVICES_RTNS_DATASTOREPATH", "SERVICES_RTNS_DATASTORE_PATH", datastore),
    field("ETHEREUM_ACCOUNT_ADDRESS", "", unread),
    field("ETHEREUM_ACCOUNT_KEYFILE", "ETHEREUM_ACCOUNT_KEY_FILE", unread),
    field("ETHEREUM_ACCOUNT_KEYPASS", "ETHEREUM_ACCOUNT_KEY_PASS", unread),
    field("ETHEREUM_CONNECTION_RPC_IP", "", unread),
    field("ETHEREUM_CONNECTION_RPC_PORT", "", unread),
    field("ETHEREUM_CONNECTION_IPC_PATH", "", unread),
    field("ETHEREUM_CONNECTION_INFURA_URL", "", unread),
    field("ETHEREUM_CONTRACTS_RTCADDRESS", "ETHEREUM_CONTRACTS_RTC_ADDRESS", unread),
    field("ETHEREUM_CONTRACTS_PAYMENTCONTRACTADDRESS", "ETHEREUM_CONTRACTS_PAYMENT_CONTRACT_ADDRESS", unread),
    field("ETHEREUM_SWARM_URL1", "", honoured),
    field("ETHEREUM_SWARM_URL2", "", honoured),
    field("IPFSCLUSTER_APICONNECTION_HOST", "IPFS_CLUSTER_API_CONNECTION_HOST", honoured),
    field("IPFSCLUSTER_APICONNECTION_PORT", "IPFS_CLUSTER_API_CONNECTION_PORT", honoured),
    field("IPFS_APICONNECTION_HOST", "IPFS_API_CONNECTION_HOST", honoured),
    field("IPFS_APICONNECTION_PORT", "IPFS_API_CONNECTION_PORT", honoured),
    field("IPFS_KEYSTOREPATH", "IPFS_KEYSTORE_PATH", keystore),
    field("PAY_ADDRESS", "", honoured),
    field("PAY_PORT", "", honoured),
    field("PAY_PROTOCOL", "", honoured),
    field("PAY_TLS_CERTPATH", "PAY_TLS_CERT_PATH", file),
    field("PAY_TLS_KEYPATH", "PAY_TLS_KEY_PATH", file),
    field("PAY_AUTHKEY", "PAY_AUTH_KEY", published),
    field("RABBITMQ_URL", "RABBIT_MQ_URL", honoured),
    field("RABBITMQ_TLSCONFIG_CERTFILE", "RABBIT_MQ_TLS_CONFIG_CERT_FILE", file),
    field("RABBITMQ_TLSCONFIG_KEYFILE", "RABBIT_MQ_TLS_CONFIG_KEY_FILE", file),
    field("RABBITMQ_TLSCONFIG_CACERTFILE", "RABBIT_MQ_TLS_CONFIG_CA_CERT_FILE", file),
    field("SENDGRID_APIKEY", "SENDGRID_API_KEY", published),
    field("SENDGRID_EMAILADDRESS", "SENDGRID_EMAIL_ADDRESS", honoured),
    field("SENDGRID_EMAILNAME", "SENDGRID_EMAIL_NAME", honoured),
    field("STRIPE_PUBLISHABLEKEY", "STRIPE_PUBLISHABLE_KEY", honoured),
    field("STRIPE_SECRETKEY", "STRIPE_SECRET_KEY", published),
    field("WALLETS_ETH", "", unread),
    field("WALLETS_RTC", "", unread),
    field("WALLETS_XMR", "", unread),
    field("WALLETS_DASH", "", honoured),
    field("WALLETS_BTC", "", unread),
    field("WALLETS_LTC", "", unread),
    field("LOGDIR", "LOG_DIR", log_dir),
];

//! The variables of IPFS Cluster's environment (v1.1.6, `*/config.go`), and the rule for each.

use temporal_stack_common::config::{Key, Ruling};

use super::value::{addresses, boolean, duration, fraction, is_true, metrics, number, text};

const fn key(name: &'static str, rule: fn(&str) -> Ruling) -> Key {
    Key { name, rule }
}

/// All keys. Names that IPFS Cluster ignores are read under the correct name.
pub(super) const TABLE: &[Key] = &[
    // The cluster itself.
    key("CLUSTER_PEERNAME", peer_name),
    key("CLUSTER_SECRET", secret),
    key("CLUSTER_ID", identity),
    key("CLUSTER_PRIVATEKEY", identity),
    key("CLUSTER_LEAVEONSHUTDOWN", leave_on_shutdown),
    key("CLUSTER_LISTENMULTIADDRESS", |value| decided(value, "/ip4/0.0.0.0/tcp/9096")),
    key("CLUSTER_ANNOUNCEMULTIADDRESS", |_| peers()),
    key("CLUSTER_NOANNOUNCEMULTIADDRESS", |_| peers()),
    key("CLUSTER_PEERADDRESSES", |_| peers()),
    key("CLUSTER_PEERSTOREFILE", |_| peers()),
    key("CLUSTER_MDNSINTERVAL", |value| {
        Ruling::Managed(
            (!["0", "0s"].contains(&value)).then(|| "is set to 0: peers find each other by name".to_owned()),
        )
    }),
    key("CLUSTER_REPLICATIONFACTORMIN", number),
    key("CLUSTER_REPLICATIONFACTORMAX", number),
    key("CLUSTER_FOLLOWERMODE", follower),
    key("CLUSTER_DISABLEREPINNING", repinning),
    key("CLUSTER_ENABLERELAYHOP", boolean),
    key("CLUSTER_CONNECTIONMANAGER_HIGHWATER", number),
    key("CLUSTER_CONNECTIONMANAGER_LOWWATER", number),
    key("CLUSTER_CONNECTIONMANAGER_GRACEPERIOD", duration),
    key("CLUSTER_RESOURCEMANAGER_ENABLED", boolean),
    key("CLUSTER_RESOURCEMANAGER_MEMORYLIMITBYTES", number),
    key("CLUSTER_RESOURCEMANAGER_FILEDESCRIPTORSLIMIT", number),
    key("CLUSTER_PUBSUB_SEENMESSAGESTTL", duration),
    key("CLUSTER_PUBSUB_HEARTBEATINTERVAL", duration),
    key("CLUSTER_PUBSUB_DFACTOR", number),
    key("CLUSTER_PUBSUB_HISTORYGOSSIP", number),
    key("CLUSTER_PUBSUB_HISTORYLENGTH", number),
    key("CLUSTER_PUBSUB_FLOODPUBLISH", boolean),
    key("CLUSTER_DIALPEERTIMEOUT", duration),
    key("CLUSTER_STATESYNCINTERVAL", duration),
    key("CLUSTER_PINRECOVERINTERVAL", duration),
    key("CLUSTER_MONITORPINGINTERVAL", duration),
    key("CLUSTER_PEERWATCHINTERVAL", duration),
    key("CLUSTER_PINONLYONTRUSTEDPEERS", boolean),
    key("CLUSTER_PINONLYONUNTRUSTEDPEERS", only_untrusted),
    // Its REST API, proxy and pinning service.
    key("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", rest_listen),
    key("CLUSTER_RESTAPI_LIBP2PLISTENMULTIADDRESS", |_| rest()),
    key("CLUSTER_RESTAPI_ID", |_| rest()),
    key("CLUSTER_RESTAPI_PRIVATEKEY", |_| rest()),
    key("CLUSTER_RESTAPI_SSLCERTFILE", |_| rest()),
    key("CLUSTER_RESTAPI_SSLKEYFILE", |_| rest()),
    key("CLUSTER_RESTAPI_BASICAUTHCREDENTIALS", credentials),
    key("CLUSTER_RESTAPI_READTIMEOUT", duration),
    key("CLUSTER_RESTAPI_READHEADERTIMEOUT", duration),
    key("CLUSTER_RESTAPI_WRITETIMEOUT", duration),
    key("CLUSTER_RESTAPI_IDLETIMEOUT", duration),
    key("CLUSTER_RESTAPI_MAXHEADERBYTES", number),
    key("CLUSTER_RESTAPI_HTTPLOGFILE", |_| logs()),
    key("CLUSTER_RESTAPI_HEADERS", text),
    key("CLUSTER_RESTAPI_CORSALLOWEDORIGINS", text),
    key("CLUSTER_RESTAPI_CORSALLOWEDMETHODS", text),
    key("CLUSTER_RESTAPI_CORSALLOWEDHEADERS", text),
    key("CLUSTER_RESTAPI_CORSEXPOSEDHEADERS", text),
    key("CLUSTER_RESTAPI_CORSALLOWCREDENTIALS", boolean),
    key("CLUSTER_RESTAPI_CORSMAXAGE", duration),
    key("CLUSTER_IPFSPROXY_LISTENMULTIADDRESS", proxy_listen),
    key("CLUSTER_IPFSPROXY_NODEMULTIADDRESS", node),
    key("CLUSTER_IPFSPROXY_NODEHTTPS", |_| node("")),
    key("CLUSTER_IPFSPROXY_LOGFILE", |_| logs()),
    key("CLUSTER_IPFSPROXY_READTIMEOUT", duration),
    key("CLUSTER_IPFSPROXY_READHEADERTIMEOUT", duration),
    key("CLUSTER_IPFSPROXY_WRITETIMEOUT", duration),
    key("CLUSTER_IPFSPROXY_IDLETIMEOUT", duration),
    key("CLUSTER_IPFSPROXY_MAXHEADERBYTES", number),
    key("CLUSTER_IPFSPROXY_EXTRACTHEADERSEXTRA", text),
    key("CLUSTER_IPFSPROXY_EXTRACTHEADERSPATH", text),
    key("CLUSTER_IPFSPROXY_EXTRACTHEADERSTTL", duration),
    // The connector to Kubo.
    key("CLUSTER_IPFSHTTP_NODEMULTIADDRESS", node),
    key("CLUSTER_IPFSHTTP_CONNECTSWARMSDELAY", duration),
    key("CLUSTER_IPFSHTTP_IPFSREQUESTTIMEOUT", duration),
    key("CLUSTER_IPFSHTTP_PINTIMEOUT", duration),
    key("CLUSTER_IPFSHTTP_UNPINTIMEOUT", duration),
    key("CLUSTER_IPFSHTTP_REPOGCTIMEOUT", duration),
    key("CLUSTER_IPFSHTTP_INFORMERTRIGGERINTERVAL", number),
    key("CLUSTER_IPFSHTTP_UNPINDISABLE", boolean),
    // Consensus and state.
    key("CLUSTER_CRDT_CLUSTERNAME", |_| state()),
    key("CLUSTER_CRDT_DATASTORENAMESPACE", |_| state()),
    key("CLUSTER_CRDT_PEERSETMETRIC", |_| state()),
    key("CLUSTER_CRDT_TRUSTEDPEERS", |value| {
        Ruling::Managed((value != "*").then(|| "is set to *: every peer with the cluster secret is trusted".to_owned()))
    }),
    key("CLUSTER_CRDT_BATCHING_MAXBATCHSIZE", batching),
    key("CLUSTER_CRDT_BATCHING_MAXBATCHAGE", batching),
    key("CLUSTER_CRDT_BATCHING_MAXQUEUESIZE", batching),
    key("CLUSTER_CRDT_REPAIRINTERVAL", duration),
    key("CLUSTER_CRDT_REBROADCASTINTERVAL", duration),
    key("CLUSTER_PEBBLE_PEBBLEOPTIONS_CACHESIZEBYTES", number),
    key("CLUSTER_PEBBLE_PEBBLEOPTIONS_MEMTABLESIZE", number),
    // The rest.
    key("CLUSTER_STATELESS_MAXPINQUEUESIZE", number),
    key("CLUSTER_STATELESS_CONCURRENTPINS", number),
    key("CLUSTER_STATELESS_PRIORITYPINMAXAGE", duration),
    key("CLUSTER_STATELESS_PRIORITYPINMAXRETRIES", number),
    key("CLUSTER_PUBSUBMON_CHECKINTERVAL", duration),
    key("CLUSTER_BALANCED_ALLOCATEBY", metrics),
    key("CLUSTER_DISK_METRICTTL", duration),
    key("CLUSTER_DISK_METRICTYPE", text),
    key("CLUSTER_TAGS_METRICTTL", duration),
    key("CLUSTER_TAGS_TAGS", text),
    key("CLUSTER_PINQUEUE_METRICTTL", duration),
    key("CLUSTER_PINQUEUE_WEIGHTBUCKETSIZE", number),
    key("CLUSTER_METRICS_ENABLESTATS", boolean),
    key("CLUSTER_METRICS_PROMETHEUSENDPOINT", addresses),
    key("CLUSTER_METRICS_REPORTINGINTERVAL", duration),
    key("CLUSTER_TRACING_ENABLETRACING", boolean),
    key("CLUSTER_TRACING_JAEGERAGENTENDPOINT", addresses),
    key("CLUSTER_TRACING_SAMPLINGPROB", fraction),
    key("CLUSTER_TRACING_SERVICENAME", text),
    key("IPFS_CLUSTER_LOG_LEVEL", text),
    key("IPFS_CLUSTER_PATH", |_| logs()),
    key("IPFS_CLUSTER_CONSENSUS", |value| {
        Ruling::Managed(
            (value != "crdt").then(|| "is set to crdt, the only consensus whose peers can come and go".to_owned()),
        )
    }),
    // Paths in service.json, which are not names of variables.
    key("API_RESTAPI_HTTPLISTENMULTIADDRESS", |_| Ruling::Renamed("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS")),
    key("API_IPFSPROXY_LISTENMULTIADDRESS", |_| Ruling::Renamed("CLUSTER_IPFSPROXY_LISTENMULTIADDRESS")),
    key("API_IPFSPROXY_NODEMULTIADDRESS", |_| Ruling::Renamed("CLUSTER_IPFSPROXY_NODEMULTIADDRESS")),
    key("IPFSCONNECTOR_IPFSHTTP_NODEMULTIADDRESS", |_| Ruling::Renamed("CLUSTER_IPFSHTTP_NODEMULTIADDRESS")),
    key("OBSERVATIONS_METRICS_ENABLESTATS", |_| Ruling::Renamed("CLUSTER_METRICS_ENABLESTATS")),
    key("OBSERVATIONS_METRICS_PROMETHEUSENDPOINT", |_| Ruling::Renamed("CLUSTER_METRICS_PROMETHEUSENDPOINT")),
    // Another program's.
    key("IPFS_API_CONNECTION_HOST", |_| TEMPORAL),
    key("IPFS_API_CONNECTION_PORT", |_| TEMPORAL),
    key("IPFS_KEYSTORE_PATH", |_| TEMPORAL),
    key("IPFS_CLUSTER_API_CONNECTION_HOST", |_| TEMPORAL),
    key("IPFS_CLUSTER_API_CONNECTION_PORT", |_| TEMPORAL),
];

const TEMPORAL: Ruling = Ruling::Elsewhere("belongs to temporal-config and is not passed");

fn managed(instead: &str) -> Ruling {
    Ruling::Managed(Some(instead.to_owned()))
}

/// A setting with a fixed value.
fn decided(value: &str, is: &str) -> Ruling {
    Ruling::Managed((value != is).then(|| format!("is set to {is}, where the peers find each other")))
}

fn peers() -> Ruling {
    managed("is not used: the controller configures where the peers find each other")
}

fn rest() -> Ruling {
    managed("is not used: the REST API is plain HTTP on port 9094, protected by a NetworkPolicy")
}

fn state() -> Ruling {
    managed("is not used: peers with different values would not share their pins")
}

fn logs() -> Ruling {
    managed("is not used: data are on the volume, and logs go to the container log")
}

fn peer_name(value: &str) -> Ruling {
    if value.is_empty() || value.len() > 60 || value.chars().any(char::is_control) {
        return Ruling::Refused(
            "must have 1 to 60 characters; correct it: until then the pod names are used".to_owned(),
        );
    }
    Ruling::Remarked("is the prefix of the peers' names, followed by the number of the pod".to_owned())
}

fn secret(value: &str) -> Ruling {
    if value.is_empty() {
        let why = "is empty, which would leave the cluster open to everyone: all peers use a generated secret";
        return Ruling::Replaced(String::new(), why.to_owned());
    }
    if value.len() == 64 && value.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ruling::Remarked("is in a ConfigMap, which more people may read than a Secret".to_owned());
    }
    Ruling::Refused("must have 64 hexadecimal digits; correct it, or leave it empty for a generated one".to_owned())
}

fn identity(_: &str) -> Ruling {
    managed("is not used: each peer has its own identity, in a Secret of the controller")
}

fn leave_on_shutdown(value: &str) -> Ruling {
    if is_true(value) {
        let why = "is refused: a peer would wipe its state whenever it stops; set it to false";
        return Ruling::Refused(why.to_owned());
    }
    boolean(value)
}

fn follower(value: &str) -> Ruling {
    if is_true(value) {
        return Ruling::Refused("is refused: followers cannot pin; set it to false".to_owned());
    }
    boolean(value)
}

fn only_untrusted(value: &str) -> Ruling {
    if is_true(value) {
        return Ruling::Refused(
            "is refused: all peers are trusted, so nothing could be pinned; set it to false".to_owned(),
        );
    }
    boolean(value)
}

fn repinning(value: &str) -> Ruling {
    match boolean(value) {
        Ruling::Honoured if !is_true(value) => {
            Ruling::Remarked("is enabled: all pins of a peer that restarts slowly are copied to other peers".to_owned())
        }
        ruling => ruling,
    }
}

fn batching(_: &str) -> Ruling {
    managed("is not used: a pin that is acknowledged before it is stored cannot be moved safely")
}

fn rest_listen(value: &str) -> Ruling {
    let is = "/ip4/0.0.0.0/tcp/9094";
    Ruling::Managed(
        (value != is)
            .then(|| format!("is set to {is}, because clients must reach it: a NetworkPolicy restricts which")),
    )
}

fn proxy_listen(value: &str) -> Ruling {
    let is = "/ip4/127.0.0.1/tcp/9095";
    Ruling::Managed((value != is).then(|| format!("is set to {is} unless spec.provider.kubo.proxy exposes the proxy")))
}

fn node(value: &str) -> Ruling {
    let is = "/ip4/127.0.0.1/tcp/5001";
    Ruling::Managed((value != is).then(|| format!("is set to {is}, the Kubo in the same pod")))
}

fn credentials(value: &str) -> Ruling {
    if value.is_empty() {
        return Ruling::Managed(None);
    }
    let why = "is refused: Temporal cannot send credentials; list the clients in spec.provider.kubo.clients";
    Ruling::Refused(why.to_owned())
}

//! Kubo's configuration: the controller's settings, merged with those of the user.

mod check;
mod fields;

use serde_json::{Map, Value, json};
use temporal_stack_common::{
    api::{KuboProvider, Network},
    manifest::bytes,
    message::capped,
};

use crate::{
    identity::Key,
    names::{GATEWAY, RPC, SWARM},
};

/// The field of the spec with the user's configuration.
const WHERE: &str = "spec.provider.kubo.kuboConfig";
/// How many settings a message lists.
const LISTED: usize = 20;
/// The header by which the RPC permits web pages.
const ORIGIN: &str = "Access-Control-Allow-Origin";

/// The settings that the user may not set, with the reasons.
const DECIDED: &[(&str, &str)] = &[
    ("/Identity", "each peer has its own identity"),
    ("/Addresses/API", "IPFS Cluster and the controller connect to this address"),
    ("/Addresses/Gateway", "probes and the Service of the gateway connect to this address"),
    ("/Addresses/Swarm", "the peers find each other at this address"),
    ("/API/Authorizations", "neither IPFS Cluster nor Temporal can send credentials"),
    ("/Peering", "the controller configures which peers connect"),
    ("/Discovery/MDNS", "peers find each other by name"),
    ("/Datastore/Spec", "a repository keeps the layout that it was created with"),
    ("/Internal/ShutdownTimeout", "it must be shorter than the pod's grace period"),
    ("/Pubsub/Enabled", "spec.provider.kubo.pubsub sets it"),
];

/// The same in a private network, which these settings would open or keep from starting.
const DECIDED_IN_PRIVATE: &[(&str, &str)] = &[
    ("/Bootstrap", "a private network has no bootstrap nodes"),
    ("/AutoConf", "it contacts the public network"),
    ("/AutoTLS", "it contacts the public network"),
    ("/Routing", "it contacts the public network"),
    ("/Swarm/Transports/Network", "only TCP supports a swarm key"),
];

/// The user's part of the configuration, checked.
#[derive(Debug, Default)]
pub(crate) struct UserConfig {
    /// The settings to merge into the controller's.
    fields: Map<String, Value>,
    /// The refused settings, a sentence each.
    pub(crate) refused: Vec<String>,
    /// The settings without effect, a sentence each.
    pub(crate) ignored: Vec<String>,
    /// Why Kubo would not start with it: all errors, refused settings and settings without effect, so that one edit suffices.
    pub(crate) fatal: Option<String>,
}

impl UserConfig {
    /// Checks the configuration of a provider with peers in this network.
    pub(crate) fn read(provider: &KuboProvider, network: Network) -> Self {
        let (fields, refused) = accepted(provider, network);
        let checked = check::check(&fields, provider.image.as_deref());
        let fatal = (!checked.fatal.is_empty()).then(|| {
            let all = capped([&checked.fatal[..], &refused, &checked.ignored].concat(), LISTED);
            format!("{WHERE}: Kubo cannot start with this configuration; correct or remove: {}", all.join("; "))
        });
        let placed = |list: Vec<String>| list.into_iter().map(|text| format!("{WHERE}: {text}")).collect();
        Self { fields, refused: placed(refused), ignored: placed(checked.ignored), fatal }
    }
}

/// The configuration that all Kubos share: all but identity and neighbours.
pub(crate) fn common(provider: &KuboProvider, network: Network, user: &UserConfig) -> Value {
    let mut config = defaults(provider, network);
    merge(&mut config, &network_defaults(network));
    let managed = config.clone();
    for (key, value) in &user.fields {
        merge(&mut config, &json!({ key: value }));
    }
    // A section that the user has emptied must not remove the controller's settings.
    for (pointer, _) in decided(network) {
        if let Some(value) = managed.pointer(pointer) {
            put(&mut config, pointer, value);
        }
    }
    config
}

/// The controller's settings in every network.
fn defaults(provider: &KuboProvider, network: Network) -> Value {
    json!({
        "API": {"HTTPHeaders": {}},
        "Addresses": {
            "API": tcp(RPC),
            "Gateway": tcp(GATEWAY),
            "Swarm": swarm(network),
        },
        "Datastore": {
            "BloomFilterSize": 0,
            "GCPeriod": "1h",
            "HashOnRead": false,
            "Spec": {
                "mounts": [
                    {
                        "mountpoint": "/blocks",
                        "path": "blocks",
                        "prefix": "flatfs.datastore",
                        "shardFunc": "/repo/flatfs/shard/v1/next-to-last/2",
                        // A reported pin must survive a power loss.
                        "sync": true,
                        "type": "flatfs",
                    },
                    {
                        "compression": "none",
                        "mountpoint": "/",
                        "path": "datastore",
                        "prefix": "leveldb.datastore",
                        "type": "levelds",
                    },
                ],
                "type": "mount",
            },
            "StorageGCWatermark": 90,
            "StorageMax": storage_max(provider),
        },
        "Discovery": {"MDNS": {"Enabled": false}},
        "Internal": {"ShutdownTimeout": "40s"},
        "Pubsub": {"Enabled": provider.pubsub},
        // No router could map ports to a pod.
        "Swarm": {"DisableNatPortMap": true},
    })
}

/// The controller's additional settings in this network.
fn network_defaults(network: Network) -> Value {
    match network {
        Network::Public => json!({
            "Bootstrap": ["auto"],
            "DNS": {"Resolvers": {".": "auto"}},
            "Ipns": {"DelegatedPublishers": ["auto"]},
            "Routing": {"DelegatedRouters": ["auto"]},
        }),
        Network::Private => json!({
            "AutoConf": {"Enabled": false},
            "AutoTLS": {"Enabled": false},
            "Bootstrap": [],
            "DNS": {"Resolvers": {}},
            "HTTPRetrieval": {"Enabled": false},
            "Ipns": {"DelegatedPublishers": []},
            "Provide": {"Enabled": false},
            // All peers are connected with each other, so no peer needs to be found.
            "Routing": {"DelegatedRouters": [], "Type": "none"},
            "Swarm": {
                "EnableHolePunching": false,
                "RelayClient": {"Enabled": false},
                "RelayService": {"Enabled": false},
                "Transports": {"Network": {
                    "QUIC": false, "Relay": false, "WebRTCDirect": false, "WebTransport": false, "Websocket": false,
                }},
            },
        }),
    }
}

/// The configuration of one Kubo, with host name and peer ID of each of the others.
pub(crate) fn peer_config(common: &Value, key: &Key, others: &[(String, &str)]) -> Value {
    let peer = |(host, id): &(String, &str)| json!({"ID": id, "Addrs": [format!("/dns/{host}/tcp/{SWARM}")]});
    let mut config = common.clone();
    config["Identity"] = json!({"PeerID": key.id, "PrivKey": key.private});
    config["Peering"] = json!({"Peers": others.iter().map(peer).collect::<Vec<_>>()});
    config
}

/// What the user asked for: a change of it restarts peers.
pub(crate) fn requested(provider: &KuboProvider) -> Value {
    // The limit of the repository follows the volume at the next start: a volume grows under its running pod.
    json!([provider.pubsub, provider.kubo_config])
}

/// The accepted and the refused settings of the user.
fn accepted(provider: &KuboProvider, network: Network) -> (Map<String, Value>, Vec<String>) {
    let mut given = Value::Object(provider.kubo_config.clone().into_iter().collect());
    let mut refused = Vec::new();
    for (pointer, why) in decided(network) {
        if remove(&mut given, pointer) {
            let name = pointer.trim_start_matches('/').replace('/', ".");
            refused.push(format!("{name} is managed by the controller: {why}; remove it"));
        }
    }
    if remove_open_origins(&mut given) {
        refused.push(format!(
            "API.HTTPHeaders.{ORIGIN} has *: any web page could control the peer through the browser of an RPC user; list the origins"
        ));
    }
    match given {
        Value::Object(fields) => (fields, refused),
        _ => (Map::new(), refused),
    }
}

fn decided(network: Network) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let private = DECIDED_IN_PRIVATE.iter().filter(move |_| network == Network::Private);
    DECIDED.iter().chain(private)
}

/// Removes a field in any case: Kubo's keys are case-insensitive. `true` if it existed.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some(fields) = value.as_object_mut() else { return false };
    let path = pointer.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let spelt: Vec<String> = fields.keys().filter(|key| key.eq_ignore_ascii_case(first)).cloned().collect();
    let mut existed = false;
    for key in spelt {
        existed |= match fields.get_mut(&key) {
            Some(field) if !rest.is_empty() => remove(field, rest),
            _ => fields.remove(&key).is_some(),
        };
    }
    existed
}

/// Removes origins that match all pages. `true` if there was one.
fn remove_open_origins(given: &mut Value) -> bool {
    let fields = given.as_object_mut().into_iter().flatten().filter(|(key, _)| key.eq_ignore_ascii_case("API"));
    let api = fields.filter_map(|(_, value)| value.as_object_mut()).flatten();
    let headers = api.filter(|(key, _)| key.eq_ignore_ascii_case("HTTPHeaders"));
    let mut existed = false;
    for headers in headers.filter_map(|(_, value)| value.as_object_mut()) {
        let is_open =
            |value: &Value| value.as_str().is_some_and(|origin| ["*", "http://*", "https://*"].contains(&origin));
        headers.retain(|name, origins| {
            let has_open = name.eq_ignore_ascii_case(ORIGIN)
                && (is_open(origins) || origins.as_array().is_some_and(|list| list.iter().any(is_open)));
            existed |= has_open;
            !has_open
        });
    }
    existed
}

/// Sets a field, and creates missing sections.
fn put(into: &mut Value, pointer: &str, value: &Value) {
    let mut place = into;
    for key in pointer.trim_start_matches('/').split('/') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    place.clone_from(value);
}

/// Puts the fields of one object over those of another.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// All addresses of both families: Kubo listens on each as written. In a pod without IPv6, `prepare-kubo.sh` removes the IPv6
/// ones.
fn tcp(port: u16) -> [String; 2] {
    [format!("/ip4/0.0.0.0/tcp/{port}"), format!("/ip6/::/tcp/{port}")]
}

/// A swarm key works with TCP only.
fn swarm(network: Network) -> Vec<String> {
    let tcp = tcp(SWARM);
    let quic = [format!("/ip4/0.0.0.0/udp/{SWARM}/quic-v1"), format!("/ip6/::/udp/{SWARM}/quic-v1")];
    match network {
        Network::Public => tcp.into_iter().chain(quic).collect(),
        Network::Private => tcp.into(),
    }
}

/// Nine tenths of the volume: the rest is for the state of IPFS Cluster and for what is being fetched.
fn storage_max(provider: &KuboProvider) -> String {
    let size = bytes(&provider.storage.size.0).unwrap_or_default();
    format!("{}B", size / 10 * 9)
}

#[cfg(test)]
mod tests;

//! Kubo's configuration: what the controller decides, with the user's own merged in.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use temporal_stack_common::{
    api::{KuboProvider, Network},
    manifest::bytes,
};

use crate::{
    identity::Key,
    names::{GATEWAY, RPC, SWARM},
};

/// Another Kubo of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// Its host name.
    pub(crate) host: String,
    /// Its peer ID.
    pub(crate) id: String,
}

/// What the user may not set, with what breaks.
const DECIDED: &[(&str, &str)] = &[
    ("/Identity", "each peer has an identity of its own"),
    ("/Addresses/API", "IPFS Cluster and the controller use the RPC there"),
    ("/Addresses/Gateway", "probes and the gateway's Service lead there"),
    ("/Addresses/Swarm", "the peers find each other there"),
    ("/API/Authorizations", "neither IPFS Cluster nor Temporal can send credentials"),
    ("/Peering", "the controller tells peers of each other"),
    ("/Discovery/MDNS", "peers know each other by name"),
    ("/Datastore/Spec", "a repository keeps the layout that it was made with"),
    ("/Internal/ShutdownTimeout", "a pod has only so long to stop"),
    ("/Pubsub/Enabled", "spec.provider.kubo.pubsub says it"),
];

/// The same in a private network, which these would open or which they would keep from starting.
const DECIDED_IN_PRIVATE: &[(&str, &str)] = &[
    ("/Bootstrap", "a private network has no others to bootstrap from"),
    ("/AutoConf", "it asks the public network"),
    ("/AutoTLS", "it asks the public network"),
    ("/Routing", "it asks the public network"),
    ("/Swarm/Transports/Network", "only TCP can keep others out by a swarm key"),
];

/// What is configured of every Kubo alike: all but its identity and neighbours.
pub(crate) fn common(provider: &KuboProvider, network: Network) -> Value {
    let mut config = json!({
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
                        // A pin that was reported must survive the loss of power.
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
        // Nobody opens ports of a router for a pod.
        "Swarm": {"DisableNatPortMap": true},
    });
    let of_network = match network {
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
            // All peers are connected with each other, so nobody has to be looked for.
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
    };
    merge(&mut config, &of_network);
    let mine = config.clone();
    for (key, value) in taken(provider, network).0 {
        merge(&mut config, &json!({ key: value }));
    }
    // A section that the user has emptied must not take with it what is decided.
    for (pointer, _) in decided(network) {
        if let Some(value) = mine.pointer(pointer) {
            put(&mut config, pointer, value);
        }
    }
    config
}

/// The configuration of one Kubo.
pub(crate) fn of_peer(common: &Value, key: &Key, neighbours: &[Neighbour]) -> Value {
    let mut config = common.clone();
    let peers: Vec<_> = neighbours
        .iter()
        .map(|peer| json!({"ID": peer.id, "Addrs": [format!("/dns/{}/tcp/{SWARM}", peer.host)]}))
        .collect();
    config["Identity"] = json!({"PeerID": key.id, "PrivKey": key.private});
    config["Peering"] = json!({ "Peers": peers });
    config
}

/// What the user asked for: a change of it restarts peers.
pub(crate) fn wishes(provider: &KuboProvider) -> Value {
    // How large the repository may become follows the volume at the next start: a volume grows under its running pod.
    json!([provider.pubsub, provider.kubo_config])
}

/// What is refused of the user's configuration, a sentence each.
pub(crate) fn refused(provider: &KuboProvider, network: Network) -> Vec<String> {
    taken(provider, network).1
}

fn taken(provider: &KuboProvider, network: Network) -> (Map<String, Value>, Vec<String>) {
    let given: BTreeMap<_, _> = provider.kubo_config.clone();
    let mut given = Value::Object(given.into_iter().collect());
    let mut refused = Vec::new();
    for (pointer, why) in decided(network) {
        if remove(&mut given, pointer) {
            let name = pointer.trim_start_matches('/').replace('/', ".");
            refused
                .push(format!("spec.provider.kubo.kuboConfig: {name} is the controller's, because {why}; take it out"));
        }
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

/// Takes a field out, however it is spelt: Kubo reads its keys in any case. `true` if it was there.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some(fields) = value.as_object_mut() else { return false };
    let path = pointer.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let spelt: Vec<String> = fields.keys().filter(|key| key.eq_ignore_ascii_case(first)).cloned().collect();
    let mut was_there = false;
    for key in spelt {
        was_there |= match fields.get_mut(&key) {
            Some(field) if !rest.is_empty() => remove(field, rest),
            _ => fields.remove(&key).is_some(),
        };
    }
    was_there
}

/// Sets a field, in sections that are made where they are missing.
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

/// All addresses of both families: Kubo takes each for what it says. What a pod without IPv6 cannot listen on is taken out by
/// `prepare-kubo.sh`.
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
mod tests {
    use super::*;

    fn provider(config: &Value) -> KuboProvider {
        serde_json::from_value(json!({ "kuboConfig": config })).unwrap()
    }

    #[test]
    fn the_users_fields_are_merged_into_what_the_controller_writes() {
        let provider = provider(&json!({"Datastore": {"StorageMax": "50GB"}, "Gateway": {"NoFetch": true}}));
        let config = common(&provider, Network::Public);
        assert_eq!(config["Datastore"]["StorageMax"], "50GB");
        assert_eq!(config["Datastore"]["GCPeriod"], "1h");
        assert_eq!(config["Gateway"]["NoFetch"], true);
        assert!(refused(&provider, Network::Public).is_empty());
    }

    #[test]
    fn what_would_break_a_peer_is_refused() {
        let provider = provider(
            &json!({"Identity": {"PeerID": "x"}, "Addresses": {"API": "/ip4/127.0.0.1/tcp/1", "Announce": ["/ip4/1.2.3.4/tcp/4001"]}}),
        );
        let config = common(&provider, Network::Public);
        assert_eq!(config["Addresses"]["API"], json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]));
        assert_eq!(config["Addresses"]["Announce"][0], "/ip4/1.2.3.4/tcp/4001");
        assert_eq!(config.get("Identity"), None);
        let refused = refused(&provider, Network::Public).join("; ");
        assert!(refused.contains("Identity is the controller's") && refused.contains("Addresses.API"), "{refused}");
    }

    #[test]
    fn no_spelling_and_no_empty_section_gets_around_that() {
        let provider =
            provider(&json!({"addresses": {"api": "/ip4/127.0.0.1/tcp/1"}, "Addresses": null, "bootstrap": ["x"]}));
        let config = common(&provider, Network::Private);
        assert_eq!(config["Addresses"]["API"], json!(["/ip4/0.0.0.0/tcp/5001", "/ip6/::/tcp/5001"]));
        assert_eq!(config["addresses"], json!({}));
        assert_eq!((config.get("bootstrap"), &config["Bootstrap"]), (None, &json!([])));
        assert_eq!(refused(&provider, Network::Private).len(), 2);
    }

    #[test]
    fn a_private_network_asks_nobody_outside() {
        let provider = provider(&json!({"Bootstrap": ["/dnsaddr/bootstrap.libp2p.io/p2p/x"]}));
        let config = common(&provider, Network::Private);
        assert_eq!(config["Bootstrap"], json!([]));
        assert_eq!(config["Routing"]["Type"], "none");
        assert_eq!(config["Addresses"]["Swarm"], json!(["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]));
        assert!(!config.to_string().contains("auto"), "{config}");
        assert_eq!(refused(&provider, Network::Private).len(), 1);
        assert_eq!(common(&provider, Network::Public)["Bootstrap"][0], "/dnsaddr/bootstrap.libp2p.io/p2p/x");
    }

    #[test]
    fn the_repository_may_fill_nine_tenths_of_the_volume() {
        let provider = KuboProvider::default();
        assert_eq!(common(&provider, Network::Public)["Datastore"]["StorageMax"], "9663676416B");
    }
}
